//! Whole configurations, right and wrong.

mod changes;
mod documents;
mod layers;
mod loops;
mod workers;
mod wrong;

use std::fs;

use super::{Config, ConfigErrors, LoadOptions, Loaded, load};

/// A directory with an `edgerelay.toml`, and more where a test wants it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("edgerelay.toml", text);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn options(&self) -> LoadOptions {
        LoadOptions {
            file: Some(self.0.path().join("edgerelay.toml")),
            host_name: "edge-host".to_owned(),
            local_addresses: vec!["192.0.2.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            ..LoadOptions::default()
        }
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.options())
    }

    /// The errors' text, with paths cut to what is in the folder.
    fn complaints(&self, options: &LoadOptions) -> String {
        let errors = load(options).expect_err("the configuration is accepted");
        errors.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn accepted(text: &str) -> Config {
    match Folder::new(text).load() {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors}"),
    }
}

#[track_caller]
fn assert_refused(text: &str, complaints: &str) {
    let folder = Folder::new(text);
    assert_eq!(folder.complaints(&folder.options()), complaints);
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
