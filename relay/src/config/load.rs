//! Puts a configuration together: defaults, file, `conf.d`, environment, flags.
//!
//! Owns the order of the layers and reading the files. The environment and the host's names are
//! passed in, so that the same input gives the same configuration.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::check;
use super::codec::{Codec as _, Wrong};
use super::fault::{ConfigError, ConfigErrors, Origin};
use super::limits::{DROP_INS_MAX, FILE_BYTES_MAX};
use super::loops::Node;
use super::reader::{self, Positions};
use super::settings::{Config, Role};
use super::value::{Table, merge, nest, parse_file, parse_untyped};
use super::worker_codec::PushBase;
use super::workers::PipelineKind;

const ENVIRONMENT_PREFIX: &str = "EDGERELAY_";
/// Separates section from key. Names without it are not ours: an orchestrator that calls the
/// service `edgerelay` sets `EDGERELAY_PORT` and the like.
const ENVIRONMENT_SEPARATOR: &str = "__";
/// A worker's upstream, as its predecessors called it.
const PUSH_URL_VARIABLE: &str = "RTMP_PUSH_URL";
/// The key of a worker's upstream, which wins over [`PUSH_URL_VARIABLE`].
const PUSH_URL_KEY: &str = "workers.pipeline.push_url";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file; the `conf.d/*.toml` beside it belong to it.
    pub file: Option<PathBuf>,
    /// The environment; other variables than ours are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags: the flag as written, the key's path, the value.
    pub overrides: Vec<Override>,
    /// The node's name where none is set.
    pub host_name: String,
    /// This host's own addresses, to recognise a push to itself.
    pub local_addresses: Vec<IpAddr>,
}

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The flag, for messages: `--log-level`.
    pub flag: String,
    /// The key's path: `log.level`.
    pub key: String,
    /// The value: as in the environment, a comma list or TOML.
    pub value: String,
}

/// A configuration and what was read for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files, in the order they were read.
    pub files: Vec<PathBuf>,
    /// What an operator should know although nothing is wrong.
    pub warnings: Vec<String>,
}

/// Reads, puts together and checks a configuration.
///
/// # Errors
///
/// All that is wrong with it.
pub fn load(options: &LoadOptions) -> Result<Loaded, ConfigErrors> {
    assemble(options).map(|(loaded, _)| loaded)
}

/// As [`load`], and where everything was written.
pub(super) fn assemble(options: &LoadOptions) -> Result<(Loaded, Positions), ConfigErrors> {
    let mut layers = Layers::default();
    if let Some(file) = &options.file {
        layers.add_files(file);
    }
    layers.add_environment(&options.environment);
    layers.add_overrides(&options.overrides);
    let Layers { table, mut errors, files, sources } = layers;

    let mut config = Config::default();
    let unread = !errors.errors.is_empty();
    let mut positions = reader::read(&mut config, &table, &mut errors);
    config.add_worker_app();
    let mut warnings = Vec::new();
    add_push_url(&mut config, options, &mut positions, &mut errors, &mut warnings);
    if config.node.name.is_empty() {
        config.node.name.clone_from(&options.host_name);
    }
    // What a file that cannot be read would have said is not known, so nothing is concluded.
    if !unread {
        let node =
            Node { host_name: &options.host_name, local_addresses: &options.local_addresses };
        check(&config, &node, &positions, &mut errors);
    }
    if errors.errors.is_empty() {
        Ok((Loaded { config, files, warnings }, positions))
    } else {
        errors.sort(&sources);
        Err(errors)
    }
}

#[derive(Default)]
struct Layers {
    table: Table,
    errors: ConfigErrors,
    files: Vec<PathBuf>,
    sources: Vec<Arc<str>>,
}

impl Layers {
    fn add_files(&mut self, file: &Path) {
        self.add_file(file);
        let directory = file.parent().unwrap_or(Path::new("")).join("conf.d");
        match drop_ins(&directory) {
            Ok(files) => files.iter().for_each(|file| self.add_file(file)),
            Err(fault) => self.refuse(&directory, &fault, "a readable directory"),
        }
    }

    fn add_file(&mut self, file: &Path) {
        let source: Arc<str> = file.to_string_lossy().into();
        self.sources.push(Arc::clone(&source));
        self.files.push(file.to_owned());
        match read_bounded(file) {
            Ok(text) => match parse_file(&source, &text) {
                Ok(table) => merge(&mut self.table, table),
                Err(errors) => errors.into_iter().for_each(|error| self.errors.push(error)),
            },
            Err(fault) => self.refuse(file, &fault, "a readable TOML file"),
        }
    }

    fn add_environment(&mut self, environment: &[(String, String)]) {
        let mut ours: Vec<_> = environment
            .iter()
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(ENVIRONMENT_PREFIX)?;
                path.contains(ENVIRONMENT_SEPARATOR).then(|| (name, path.to_lowercase(), value))
            })
            .collect();
        ours.sort_unstable();
        for (name, path, value) in ours {
            let source: Arc<str> = name.as_str().into();
            self.add_value(source, &path.split(ENVIRONMENT_SEPARATOR).collect::<Vec<_>>(), value);
        }
    }

    fn add_overrides(&mut self, overrides: &[Override]) {
        for Override { flag, key, value } in overrides {
            self.add_value(flag.as_str().into(), &key.split('.').collect::<Vec<_>>(), value);
        }
    }

    fn add_value(&mut self, source: Arc<str>, path: &[&str], value: &str) {
        let value = parse_untyped(&source, value);
        merge(&mut self.table, nest(path, value));
        self.sources.push(source);
    }

    fn refuse(&mut self, path: &Path, fault: &io::Error, expected: &str) {
        self.errors.push(ConfigError {
            origin: Origin::whole(&path.to_string_lossy()),
            key: String::new(),
            what: format!("cannot be read: {fault}"),
            expected: expected.to_owned(),
        });
    }
}

fn read_bounded(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The `*.toml` of a directory, by name. No directory, no files.
fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(fault),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
        if files.len() > DROP_INS_MAX {
            return Err(io::Error::other(format!("holds more than {DROP_INS_MAX} files")));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Takes [`PUSH_URL_VARIABLE`] where no key says otherwise, and lets a node that is a worker push
/// there what it gets.
fn add_push_url(
    config: &mut Config,
    options: &LoadOptions,
    positions: &mut Positions,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<String>,
) {
    let variable = options.environment.iter().find(|(name, _)| name == PUSH_URL_VARIABLE);
    if let Some((_, base)) = variable.filter(|(_, base)| !base.is_empty()) {
        let is_worker = config.node.role == Role::Worker;
        if !is_worker && !config.workers.backend.is_on() {
            warnings.push(format!(
                "{PUSH_URL_VARIABLE} has no effect unless node.role is \"worker\" or \
                 workers.backend is set"
            ));
        } else if !positions.is_set(PUSH_URL_KEY) {
            take_push_url(config, base, positions, errors);
        }
    }
    let pipeline = &config.workers.pipeline;
    if let Some(url) = pipeline.push_template()
        && config.node.role == Role::Worker
        && pipeline.kind == PipelineKind::Passthrough
    {
        push_worker_streams(config, &url, positions, errors);
    }
}

fn take_push_url(
    config: &mut Config,
    base: &str,
    positions: &mut Positions,
    errors: &mut ConfigErrors,
) {
    let origin = Origin { file: PUSH_URL_VARIABLE.into(), line: 1, column: 1 };
    match PushBase.read(&parse_untyped(&origin.file, base)) {
        Ok(base) => {
            config.workers.pipeline.push_url = base;
            positions.insert(PUSH_URL_KEY.to_owned(), origin);
        }
        Err(wrongs) => {
            for Wrong { what, expected, .. } in wrongs {
                let (origin, key) = (origin.clone(), String::new());
                errors.push(ConfigError { origin, key, what, expected });
            }
        }
    }
}

fn push_worker_streams(
    config: &mut Config,
    url: &str,
    positions: &mut Positions,
    errors: &mut ConfigErrors,
) {
    let origin = positions.of(PUSH_URL_KEY);
    let added = config.push_worker_streams(url);
    for (app, push) in &added {
        positions.insert(format!("app[{app}].push[{push}].url"), origin.clone());
    }
    if added.is_empty() {
        errors.push(ConfigError {
            origin,
            key: String::new(),
            what: "there is no application \"live\" or \"worker\" to push from".to_owned(),
            expected: "an [[app]] of that name, or no upstream".to_owned(),
        });
    }
}
