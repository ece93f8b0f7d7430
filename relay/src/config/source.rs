//! Where a running node's configuration comes from, and reading it again while the node runs.

use std::net::IpAddr;

use super::change::Change;
use super::check::check;
use super::fault::ConfigErrors;
use super::load::{LoadOptions, assemble};
use super::loops::Node;
use super::settings::Config;

/// What a configuration was made from.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    /// Files, environment and flags.
    pub options: LoadOptions,
    /// The worker whose configuration is derived from it, if it is not the node's own.
    pub instance: Option<u32>,
}

/// A configuration that was read while another is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// What is to be in force: as it was read, but for keys that need a restart.
    pub config: Config,
    /// All that differs, keys that need a restart included.
    pub changes: Vec<Change>,
    /// What an operator should know although nothing is wrong.
    pub warnings: Vec<String>,
}

impl ConfigSource {
    /// Reads the configuration again. `running` is in force, and these are the host's addresses now.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, or with it as far as it can be taken over.
    pub fn reload(
        &self,
        running: &Config,
        local_addresses: Vec<IpAddr>,
    ) -> Result<Reload, ConfigErrors> {
        let options = LoadOptions { local_addresses, ..self.options.clone() };
        let (loaded, positions) = assemble(&options)?;
        let read = match self.instance {
            // There was a port for it when it started, and ports need a restart.
            Some(instance) => loaded.config.for_worker(instance).unwrap_or_else(|| running.clone()),
            None => loaded.config,
        };
        let changes = running.changes_to(&read);
        let config = read.within_reach_of(running);
        if self.instance.is_none() {
            let node =
                Node { host_name: &options.host_name, local_addresses: &options.local_addresses };
            let mut errors = ConfigErrors::default();
            check(&config, &node, &positions, &mut errors);
            if !errors.errors.is_empty() {
                for error in &mut errors.errors {
                    error.what.push_str(", until a restart brings the other changes");
                }
                return Err(errors);
            }
        }
        Ok(Reload { config, changes, warnings: loaded.warnings })
    }
}
