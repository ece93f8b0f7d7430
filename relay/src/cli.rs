//! The command line: arguments in, text and an exit code out.
//!
//! Owns what an operator types and reads back. Running the node is the supervisor's.

mod answers;
mod asking;
mod diagnosis;
mod human;
mod listing;
mod node;
mod table;
mod top;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;

use self::asking::{AskArguments, Asking, Question, StreamsArguments, WorkersArguments};
use self::top::TopArguments;
use crate::accounting::{self, PinsAtExit};
use crate::config::{
    Config, ConfigErrors, ConfigSource, LoadOptions, Loaded, Override, Secrets, host_name, load,
    local_addresses,
};
use crate::supervisor::{self, ReadyTold};
use crate::workers;

mod manual;

/// How a command ended, as `sysexits.h` numbers it. `doctor` alone counts by what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Success = 0,
    Warnings = 1,
    Errors = 2,
    Usage = 64,
    Unavailable = 69,
    NotPermitted = 77,
    Configuration = 78,
}

/// RTMP relay for edge nodes.
#[derive(Debug, Parser)]
#[command(name = "edgerelay", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node.
    Run {
        #[command(flatten)]
        config: ConfigArguments,
        /// Take the place of the node that started this process.
        #[arg(long, hide = true)]
        take_over: bool,
    },
    /// Check the configuration: exit 0, or 78 and each error with its line and column.
    Check {
        #[command(flatten)]
        config: ConfigArguments,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look for what is wrong with this machine, and say what mends it: exit 0, or 1 with warnings, or 2
    /// with errors.
    Doctor {
        #[command(flatten)]
        config: ConfigArguments,
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the streams of the running node, or have one tried again.
    Streams(StreamsArguments),
    /// List the connections of the running node, as the kernel counts them.
    Clients(AskArguments),
    /// List the workers of the running node and what they carry, or drain one.
    Workers(WorkersArguments),
    /// Have the running node read its configuration again: exit 0, or 78 and each error with its place.
    Reload(AskArguments),
    /// Watch the running node: streams, connections, workers, and how fast bytes go.
    Top(TopArguments),
    /// Count connections in the kernel: load the programs, pin their maps, stay. Takes CAP_BPF,
    /// CAP_NET_ADMIN and CAP_PERFMON.
    Accounting {
        #[command(flatten)]
        config: ConfigArguments,
        /// Leave the pins at the end, so that counting goes on.
        #[arg(long)]
        keep_pins: bool,
    },
    /// Run a worker, which gets streams from a node and works on them.
    Worker {
        #[command(flatten)]
        config: ConfigArguments,
        /// Which of the node's workers, from 1.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        instance: u32,
        /// The process that it is a worker of and ends with.
        #[arg(long, value_name = "PID", hide = true)]
        parent: Option<u32>,
    },
    /// Run a command so that nothing of it is left when its worker ends.
    #[command(hide = true)]
    Guard {
        /// Become the command.
        #[arg(long)]
        inner: bool,
        /// The command.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Start a command and leave it to init.
    #[command(hide = true)]
    Detach {
        /// The command.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what a shell needs to complete this command's arguments.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of all commands into a folder.
    #[command(hide = true)]
    Man {
        /// A folder that is there.
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration in effect as TOML.
    Dump {
        #[command(flatten)]
        config: ConfigArguments,
        /// Print stream keys in URLs, too.
        #[arg(long)]
        show_secrets: bool,
    },
}

#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file. Without it, the defaults: RTMP on port 1935, application "live".
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override log.level.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Override any key but those of applications, such as rtmp.listen=127.0.0.1:1935.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_override)]
    set: Vec<Override>,
}

fn parse_override(text: &str) -> Result<Override, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let flag = format!("--set {key}");
    Ok(Override { flag, key: key.to_owned(), value: value.to_owned() })
}

/// What the command line asks for beyond what is already done.
#[derive(Debug)]
enum Request {
    /// Nothing: exit.
    Exit(Exit),
    /// Run the node, and where its configuration can be read again.
    Run(Box<Config>, Box<ConfigSource>, ReadyTold),
    /// Count connections in the kernel.
    Account(Box<Config>, PinsAtExit),
    /// Run the node as the worker of its parent.
    Work(Box<Config>, u32),
    /// Ask the running node.
    Ask(Asking),
    /// Watch over a command, or become it.
    Guard { command: Vec<OsString>, inner: bool },
    /// Start a command and leave it to init.
    Detach(Vec<OsString>),
}

/// The command's whole life.
#[must_use]
pub fn main() -> ExitCode {
    let environment =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let request = handle_arguments(
        std::env::args_os(),
        environment,
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    );
    match request {
        Request::Exit(exit) => ExitCode::from(exit as u8),
        Request::Account(config, at_exit) => accounting::run(&config, at_exit),
        Request::Run(config, source, ready) => supervisor::run(*config, Some(*source), ready),
        Request::Work(config, parent) => match workers::die_with(parent) {
            // What its parent handed over can be read once.
            Ok(()) => supervisor::run(*config, None, ReadyTold::Parent),
            Err(error) => {
                eprintln!("edgerelay: {error}");
                ExitCode::from(Exit::Unavailable as u8)
            }
        },
        Request::Ask(asking) => {
            ExitCode::from(asking.run(&mut io::stdout().lock(), &mut io::stderr().lock()) as u8)
        }
        Request::Guard { command, inner } => workers::guard::run(&command, inner),
        Request::Detach(command) => supervisor::detach(&command),
    }
}

fn lossy(text: OsString) -> String {
    text.into_string().unwrap_or_else(|text| text.to_string_lossy().into_owned())
}

/// Does what `arguments` say, up to running the node. A reader that goes away is no error, so
/// failed writes are passed over.
fn handle_arguments(
    arguments: impl Iterator<Item = OsString>,
    environment: Vec<(String, String)>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Request {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) if message.use_stderr() => {
            let _ = write!(err, "{message}");
            return Request::Exit(Exit::Usage);
        }
        Err(help_or_version) => {
            let _ = write!(out, "{help_or_version}");
            return Request::Exit(Exit::Success);
        }
    };
    match arguments.command {
        Command::Completions { shell } => {
            manual::write_completions(Arguments::command(), shell, out);
            Request::Exit(Exit::Success)
        }
        Command::Man { folder } => match manual::write_pages(Arguments::command(), &folder) {
            Ok(()) => Request::Exit(Exit::Success),
            Err(error) => {
                let _ = writeln!(err, "edgerelay: {}: {error}", folder.display());
                Request::Exit(Exit::Unavailable)
            }
        },
        Command::Run { config, take_over } => {
            let options = load_options(config, environment);
            match load_by(&options, err) {
                Ok(loaded) => {
                    let source = ConfigSource { options, instance: None };
                    let ready = if take_over { ReadyTold::Predecessor } else { ReadyTold::Nobody };
                    Request::Run(Box::new(loaded.config), Box::new(source), ready)
                }
                Err(errors) => refuse(&errors, err),
            }
        }
        Command::Accounting { config, keep_pins } => match load_config(config, environment, err) {
            Ok(loaded) => {
                let at_exit = if keep_pins { PinsAtExit::Keep } else { PinsAtExit::Remove };
                Request::Account(Box::new(loaded.config), at_exit)
            }
            Err(errors) => refuse(&errors, err),
        },
        Command::Worker { config, instance, parent } => {
            let options = load_options(config, environment);
            let loaded = match load_by(&options, err) {
                Ok(loaded) => loaded,
                Err(errors) => return refuse(&errors, err),
            };
            match (loaded.config.for_worker(instance).map(Box::new), parent) {
                (Some(config), Some(parent)) => Request::Work(config, parent),
                (Some(config), None) => {
                    let source = ConfigSource { options, instance: Some(instance) };
                    Request::Run(config, Box::new(source), ReadyTold::Nobody)
                }
                (None, _) => {
                    let _ = writeln!(err, "edgerelay: there is no port for worker {instance}");
                    Request::Exit(Exit::Configuration)
                }
            }
        }
        Command::Streams(arguments) => ask(Asking::streams(arguments, environment), err),
        Command::Clients(arguments) => {
            ask(Asking::new(Question::Clients, arguments, environment), err)
        }
        Command::Workers(arguments) => ask(Asking::workers(arguments, environment), err),
        Command::Reload(arguments) => {
            ask(Asking::new(Question::Reload, arguments, environment), err)
        }
        Command::Top(arguments) => ask(Asking::top(arguments, environment), err),
        Command::Guard { inner, command } => Request::Guard { command, inner },
        Command::Detach { command } => Request::Detach(command),
        Command::Check { config, json: true } => {
            let result = load(&load_options(config, environment));
            let _ = writeln!(out, "{}", describe_as_json(&result));
            Request::Exit(if result.is_ok() { Exit::Success } else { Exit::Configuration })
        }
        Command::Check { config, json: false } => match load_config(config, environment, err) {
            Ok(loaded) => {
                let _ = writeln!(out, "configuration OK: {}", describe(&loaded.config));
                Request::Exit(Exit::Success)
            }
            Err(errors) => refuse(&errors, err),
        },
        Command::Doctor { config, json } => {
            let loaded = load(&load_options(config, environment));
            Request::Exit(diagnosis::run(&loaded, json, out))
        }
        Command::Config(ConfigCommand::Dump { config, show_secrets }) => {
            match load_config(config, environment, err) {
                Ok(loaded) => {
                    let secrets = if show_secrets { Secrets::Shown } else { Secrets::Redacted };
                    let _ = write!(out, "{}", loaded.config.to_toml(secrets));
                    Request::Exit(Exit::Success)
                }
                Err(errors) => refuse(&errors, err),
            }
        }
    }
}

fn ask(asking: Result<Asking, ConfigErrors>, err: &mut impl Write) -> Request {
    match asking {
        Ok(asking) => Request::Ask(asking),
        Err(errors) => refuse(&errors, err),
    }
}

fn load_options(arguments: ConfigArguments, environment: Vec<(String, String)>) -> LoadOptions {
    let log_level = arguments.log_level.map(|value| Override {
        flag: "--log-level".to_owned(),
        key: "log.level".to_owned(),
        value,
    });
    LoadOptions {
        file: arguments.config,
        environment,
        overrides: arguments.set.into_iter().chain(log_level).collect(),
        host_name: host_name(),
        local_addresses: local_addresses(),
    }
}

fn load_config(
    arguments: ConfigArguments,
    environment: Vec<(String, String)>,
    err: &mut impl Write,
) -> Result<Loaded, ConfigErrors> {
    load_by(&load_options(arguments, environment), err)
}

fn load_by(options: &LoadOptions, err: &mut impl Write) -> Result<Loaded, ConfigErrors> {
    let loaded = load(options)?;
    for warning in &loaded.warnings {
        let _ = writeln!(err, "warning: {warning}");
    }
    Ok(loaded)
}

fn refuse(errors: &ConfigErrors, err: &mut impl Write) -> Request {
    let _ = writeln!(err, "{errors}");
    Request::Exit(Exit::Configuration)
}

fn describe(config: &Config) -> String {
    let join = |addresses: &[std::net::SocketAddr]| match addresses {
        [] => "off".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let apps: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
    format!(
        "node {} ({}), RTMP {}, HTTP {}, applications {}",
        config.node.name,
        config.node.role.label(),
        join(&config.rtmp.listen),
        join(&config.http.listen),
        apps.join(" "),
    )
}

fn describe_as_json(result: &Result<Loaded, ConfigErrors>) -> serde_json::Value {
    match result {
        Ok(loaded) => json!({
            "ok": true,
            "files": loaded.files,
            "warnings": loaded.warnings,
            "errors": [],
            "omitted": 0,
        }),
        Err(faults) => json!({
            "ok": false,
            "errors": faults.errors,
            "omitted": faults.omitted,
        }),
    }
}

#[cfg(test)]
mod tests;
