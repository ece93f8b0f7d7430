//! The commands that ask the running node: their arguments, and what they print.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Exit;
use super::answers::{Clients, Scaler, Streams, Workers};
use super::human;
use super::listing::{self, Listing};
use super::node::{AskError, NodeClient, block_on, parse};
use super::top::{self, TopArguments};
use crate::config::{ConfigErrors, LoadOptions, Surroundings, load};
use crate::id::{StreamKey, WorkerId};
use crate::message::{ReloadReport, Wish};

/// The paths of the API.
pub(super) const STREAMS: &str = "/api/v1/streams";
pub(super) const CLIENTS: &str = "/api/v1/clients";
pub(super) const WORKERS: &str = "/api/v1/workers";
pub(super) const SCALER: &str = "/api/v1/scaler";
pub(super) const HEALTH: &str = "/health";
const RELOAD: &str = "/api/v1/reload";
/// Characters of one change that are shown.
const CHANGE_CHARS_MAX: usize = 500;

/// Which node is asked.
#[derive(Debug, Args)]
pub(super) struct NodeArguments {
    /// The node's control socket. Without it: where nodes have theirs, your own before the system's.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Take the control socket from this configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl NodeArguments {
    /// Where to look for the node, in this order.
    fn candidates(self, environment: Vec<(String, String)>) -> Result<Vec<PathBuf>, ConfigErrors> {
        if let Some(socket) = self.socket {
            return Ok(vec![socket]);
        }
        let options = LoadOptions { file: self.config, environment, ..LoadOptions::default() };
        let loaded = load(&options)?;
        Ok(loaded.config.control.socket.candidates(&Surroundings::of_process()))
    }
}

/// What a question is asked with.
#[derive(Debug, Args)]
pub(super) struct AskArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Print the API's answer as it is.
    #[arg(long)]
    json: bool,
}

/// What streams are listed with, or what is done with one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct StreamsArguments {
    #[command(flatten)]
    pub(super) ask: AskArguments,
    #[command(subcommand)]
    pub(super) command: Option<StreamsCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum StreamsCommand {
    /// Have a stream that failed tried again by the workers.
    Retry {
        /// The stream.
        #[arg(value_name = "APP/NAME", value_parser = parse_stream)]
        stream: StreamKey,
        #[command(flatten)]
        node: NodeArguments,
    },
}

/// What workers are listed with, or what is done with one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct WorkersArguments {
    #[command(flatten)]
    pub(super) ask: AskArguments,
    #[command(subcommand)]
    pub(super) command: Option<WorkersCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum WorkersCommand {
    /// Give a worker no new streams, and end it once it has none. Another one takes its place.
    Drain {
        /// The worker's number.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        worker: u16,
        #[command(flatten)]
        node: NodeArguments,
    },
}

fn parse_stream(text: &str) -> Result<StreamKey, String> {
    let key = text.split_once('/').map(|(app, name)| StreamKey::new(app, name));
    let whole = |key: &StreamKey| !key.app.is_empty() && !key.name.is_empty();
    key.filter(whole).ok_or_else(|| "expected APP/NAME, as `streams` lists it".to_owned())
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
}

impl Form {
    pub(super) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// What the node is asked for.
#[derive(Debug)]
pub(super) enum Question {
    Streams(Form),
    Clients(Form),
    Workers(Form),
    Reload(Form),
    Wish(Wish),
    Top(top::Options),
}

/// A question and where to find who answers it.
#[derive(Debug)]
pub(super) struct Asking {
    candidates: Vec<PathBuf>,
    question: Question,
}

impl Asking {
    pub(super) fn new(
        question: fn(Form) -> Question,
        arguments: AskArguments,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let candidates = arguments.node.candidates(environment)?;
        Ok(Self { candidates, question: question(Form::of(arguments.json)) })
    }

    pub(super) fn streams(
        arguments: StreamsArguments,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        match arguments.command {
            None => Self::new(Question::Streams, arguments.ask, environment),
            Some(StreamsCommand::Retry { stream, node }) => {
                let question = Question::Wish(Wish::RetryStream(stream));
                Ok(Self { candidates: node.candidates(environment)?, question })
            }
        }
    }

    pub(super) fn workers(
        arguments: WorkersArguments,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        match arguments.command {
            None => Self::new(Question::Workers, arguments.ask, environment),
            Some(WorkersCommand::Drain { worker, node }) => {
                let question = Question::Wish(Wish::DrainWorker(WorkerId(worker)));
                Ok(Self { candidates: node.candidates(environment)?, question })
            }
        }
    }

    pub(super) fn top(
        arguments: TopArguments,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let question = Question::Top(arguments.options());
        Ok(Self { candidates: arguments.node.candidates(environment)?, question })
    }

    /// Asks and prints the answer.
    pub(super) fn run(self, out: &mut impl Write, err: &mut impl Write) -> Exit {
        let asked = match self.question {
            Question::Top(options) => return top::run(self.candidates, options, out, err),
            Question::Reload(form) => return self.reload(form, out, err),
            Question::Wish(ref wish) => self.wish(wish, out),
            Question::Streams(form) => self.list(form, out, err, &[STREAMS], |answers| {
                let answer: Streams = parse(STREAMS, first(answers))?;
                Ok((listing::streams(&answer), answer.shards_missing))
            }),
            Question::Clients(form) => self.list(form, out, err, &[CLIENTS], |answers| {
                let answer: Clients = parse(CLIENTS, first(answers))?;
                Ok((listing::clients(&answer), answer.shards_missing))
            }),
            Question::Workers(form) => self.list(form, out, err, &[WORKERS, SCALER], |answers| {
                let answer: Workers = parse(WORKERS, first(answers))?;
                let scaler = answers.get(1).map(String::as_str).unwrap_or_default();
                let scaler: Scaler = parse(SCALER, scaler)?;
                Ok((listing::workers(&answer, &scaler), Vec::new()))
            }),
        };
        conclude(asked, err)
    }

    /// Has the node read its configuration again, and prints what changed or what is wrong.
    fn reload(&self, form: Form, out: &mut impl Write, err: &mut impl Write) -> Exit {
        let told = || -> Result<(String, ReloadReport), Trouble> {
            let answer = block_on(async {
                let mut node = NodeClient::connect(&self.candidates).await?;
                node.tell(RELOAD).await
            });
            let answer = answer.map_err(Trouble::Start)??;
            let report = parse(RELOAD, &answer)?;
            Ok((answer, report))
        };
        let (answer, report) = match told() {
            Ok(told) => told,
            Err(trouble) => return conclude(Err(trouble), err),
        };
        if form == Form::Json {
            let _unread = writeln!(out, "{answer}");
        } else {
            for line in reload_lines(&report) {
                let _unread = writeln!(out, "{}", human::printable(&line, CHANGE_CHARS_MAX));
            }
            for error in &report.errors {
                let _unread = writeln!(err, "{}", human::printable(error, CHANGE_CHARS_MAX));
            }
        }
        if report.applied { Exit::Success } else { Exit::Configuration }
    }

    /// Has the node do what is wished for, and says what follows.
    fn wish(&self, wish: &Wish, out: &mut impl Write) -> Result<(), Trouble> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let (page, follows) = match wish {
            Wish::DrainWorker(WorkerId(worker)) => (
                format!("{WORKERS}/{worker}/drain"),
                format!("worker {worker} gets no new streams and ends once it has none"),
            ),
            Wish::RetryStream(StreamKey { app, name }) => (
                format!("{STREAMS}/{}/{}/retry", encode(app), encode(name)),
                human::printable(&format!("{app}/{name} waits for a worker"), CHANGE_CHARS_MAX),
            ),
        };
        block_on(async {
            let mut node = NodeClient::connect(&self.candidates).await?;
            node.tell(&page).await
        })
        .map_err(Trouble::Start)??;
        let _unread = writeln!(out, "{follows}");
        Ok(())
    }

    /// Asks for `pages`, the first of which is what `--json` prints, and prints what `show` makes of
    /// the answers. It also names the shards whose part is missing.
    fn list(
        &self,
        form: Form,
        out: &mut impl Write,
        err: &mut impl Write,
        pages: &[&'static str],
        show: impl Fn(&[String]) -> Result<(Listing, Vec<u16>), AskError>,
    ) -> Result<(), Trouble> {
        let pages = match form {
            Form::Table => pages,
            Form::Json => pages.get(..1).unwrap_or(pages),
        };
        let answers = block_on(async {
            let mut node = NodeClient::connect(&self.candidates).await?;
            let mut answers = Vec::new();
            for page in pages {
                answers.push(node.ask(page).await?);
            }
            Ok::<_, AskError>(answers)
        })
        .map_err(Trouble::Start)??;
        if form == Form::Json {
            let _unread = writeln!(out, "{}", first(&answers));
            return Ok(());
        }
        let (listing, missing) = show(&answers)?;
        for line in listing.lines() {
            let _unread = writeln!(out, "{line}");
        }
        if let Some(note) = missing_note(&missing) {
            let _unread = writeln!(err, "edgerelay: {note}");
        }
        Ok(())
    }
}

/// What a reload did, a line for each key.
fn reload_lines(report: &ReloadReport) -> Vec<String> {
    if !report.applied {
        return vec!["not reloaded; the configuration before is in force".to_owned()];
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let mut lines: Vec<_> = report
        .changes
        .iter()
        .map(|change| {
            let when = match change.effect.as_str() {
                "from_now_on" => ", for what begins from now on",
                "restart" => ", not before a restart",
                _ => "",
            };
            format!(
                "{}: {} instead of {}{when}",
                change.key,
                value(&change.new),
                value(&change.old)
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("nothing has changed".to_owned());
    }
    lines
}

fn first(answers: &[String]) -> &str {
    answers.first().map(String::as_str).unwrap_or_default()
}

/// What is to be known of an answer in which shards are missing.
pub(super) fn missing_note(missing: &[u16]) -> Option<String> {
    let numbers: Vec<String> = missing.iter().map(ToString::to_string).collect();
    (!numbers.is_empty())
        .then(|| format!("shard {} did not answer; what it carries is missing", numbers.join(", ")))
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Ask(#[from] AskError),
    #[error("could not start: {0}")]
    Start(std::io::Error),
    #[error("the terminal failed: {0}")]
    Terminal(std::io::Error),
}

/// Says what went wrong, and how the command ends.
pub(super) fn conclude(result: Result<(), Trouble>, err: &mut impl Write) -> Exit {
    let Err(trouble) = result else { return Exit::Success };
    let _unread = writeln!(err, "edgerelay: {trouble}");
    match trouble {
        Trouble::Ask(AskError::NotPermitted(..)) => Exit::NotPermitted,
        Trouble::Ask(_) | Trouble::Start(_) | Trouble::Terminal(_) => Exit::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(
        socket: Option<&str>,
        file: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<Vec<PathBuf>, ConfigErrors> {
        let folder = tempfile::tempdir().unwrap();
        let config = file.map(|text| {
            let path = folder.path().join("edgerelay.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        NodeArguments { socket: socket.map(PathBuf::from), config }
            .candidates(environment.collect())
    }

    #[test]
    fn the_node_is_looked_for_where_a_flag_a_file_or_the_environment_says() {
        let variable = [("EDGERELAY_CONTROL__SOCKET", "/run/env.sock")];
        let file = "[control]\nsocket = \"/run/file.sock\"\n";
        let found = |socket, file, variables: &[_]| candidates(socket, file, variables).unwrap();
        assert_eq!(found(Some("x.sock"), None, &variable), [PathBuf::from("x.sock")]);
        assert_eq!(found(None, Some(file), &[]), [PathBuf::from("/run/file.sock")]);
        // As for the node itself, the environment is above the file.
        assert_eq!(found(None, Some(file), &variable), [PathBuf::from("/run/env.sock")]);
        let off = found(None, Some("[control]\nsocket = \"\"\n"), &[]);
        assert_eq!(off, Vec::<PathBuf>::new());
        assert!(!found(None, None, &[]).is_empty());
    }

    #[test]
    fn a_wrong_configuration_is_refused_before_anybody_is_asked() {
        assert!(candidates(None, Some("[control]\nsocket = \"run/x.sock\"\n"), &[]).is_err());
        let long = format!("[control]\nsocket = \"/{}\"\n", "x".repeat(107));
        assert!(candidates(None, Some(&long), &[]).is_err());
    }

    #[test]
    fn who_is_not_permitted_is_told_by_the_exit_code() {
        let mut said = Vec::new();
        let refused = AskError::NotPermitted("/x".into(), "because".to_owned());
        assert_eq!(conclude(Err(Trouble::Ask(refused)), &mut said), Exit::NotPermitted);
        assert_eq!(conclude(Err(Trouble::Ask(AskError::NoSocket)), &mut said), Exit::Unavailable);
        assert_eq!(conclude(Ok(()), &mut said), Exit::Success);
        assert_eq!(
            String::from_utf8(said).unwrap(),
            "edgerelay: /x: not permitted: because\n\
             edgerelay: no control socket is configured: control.socket is \"\"\n"
        );
    }
}
