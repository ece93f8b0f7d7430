//! The files under `packaging/`, read as those read them for whom they are.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The path of a file under `packaging/`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(name)
}

/// The text of a file under `packaging/`.
#[track_caller]
pub(crate) fn text(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file.
#[track_caller]
pub(crate) fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in a folder that end in `.yaml`, and of those in folders below it.
pub(crate) fn manifests(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            names.extend(manifests(&name));
        } else if name.ends_with(".yaml") {
            names.push(name);
        }
    }
    names.sort_unstable();
    names
}

/// A string in a document.
#[track_caller]
pub(crate) fn string<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no string {pointer} in {value}"))
}

/// A whole number in a document.
#[track_caller]
pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no number {pointer} in {value}"))
}

/// A trigger of a `ScaledObject`: what its scaler is told, and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    pub(crate) kind: String,
    pub(crate) name: String,
    metadata: Value,
}

impl Trigger {
    /// All triggers of a file.
    #[track_caller]
    pub(crate) fn all(file: &str) -> Vec<Self> {
        let documents = documents(file);
        let lists = documents.iter().filter_map(|it| it.pointer("/spec/triggers")?.as_array());
        let triggers: Vec<Self> = lists
            .flatten()
            .map(|trigger| Self {
                kind: string(trigger, "/type").to_owned(),
                name: string(trigger, "/name").to_owned(),
                metadata: trigger["metadata"].clone(),
            })
            .collect();
        assert!(!triggers.is_empty(), "no triggers in {file}");
        triggers
    }

    /// What its scaler is told under `key`: always a string.
    #[track_caller]
    pub(crate) fn told(&self, key: &str) -> &str {
        string(&self.metadata, &format!("/{key}"))
    }

    /// All that its scaler is told by name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.as_object().into_iter().flat_map(|map| map.keys()).map(String::as_str)
    }

    /// What one worker is for.
    #[track_caller]
    pub(crate) fn threshold(&self) -> f64 {
        let key = if self.kind == "prometheus" { "threshold" } else { "targetValue" };
        self.told(key).parse().expect("a number")
    }

    /// What more than this wakes a worker.
    #[track_caller]
    pub(crate) fn activation(&self) -> f64 {
        let key =
            if self.kind == "prometheus" { "activationThreshold" } else { "activationTargetValue" };
        self.told(key).parse().expect("a number")
    }
}
