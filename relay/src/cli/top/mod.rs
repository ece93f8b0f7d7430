//! `edgerelay top`: the node at a glance, again and again.
//!
//! Owns the two ways to show it, once as text and live on a terminal. What is shown is `model`'s and
//! `view`'s, which know neither socket nor terminal.

mod feed;
mod live;
mod model;
mod rates;
mod screen;
mod view;

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::feed::Answers;
use self::model::Model;
use super::Exit;
use super::asking::{Form, NodeArguments, Trouble, conclude};
use super::node::{AskError, NodeClient, block_on};

/// How `top` is called.
#[derive(Debug, Args)]
pub(super) struct TopArguments {
    #[command(flatten)]
    pub(super) node: NodeArguments,
    /// Print one screen as text. So it is, too, where the standard output is no terminal.
    #[arg(long)]
    once: bool,
    /// Print the API's answers as they are, as one object.
    #[arg(long)]
    json: bool,
    /// Seconds from one look to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// How `top` shows the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    once: bool,
    form: Form,
    interval: Duration,
}

impl TopArguments {
    pub(super) fn options(&self) -> Options {
        let interval = Duration::from_secs(self.interval);
        Options { once: self.once, form: Form::of(self.json), interval }
    }
}

/// Shows the node until somebody has seen enough.
pub(super) fn run(
    candidates: Vec<PathBuf>,
    options: Options,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let is_live = !options.once && options.form == Form::Table && std::io::stdout().is_terminal();
    let shown = if is_live {
        live::watch(candidates, options.interval)
    } else {
        print(&candidates, options, out)
    };
    conclude(shown, err)
}

fn print(candidates: &[PathBuf], options: Options, out: &mut impl Write) -> Result<(), Trouble> {
    let (earlier, answers) = block_on(async {
        let mut node = NodeClient::connect(candidates).await?;
        let answers = Answers::ask(&mut node).await?;
        if options.form == Form::Json {
            return Ok::<_, AskError>((None, answers));
        }
        // A rate is what came between two looks.
        tokio::time::sleep(options.interval).await;
        Ok((Some(answers), Answers::ask(&mut node).await?))
    })
    .map_err(Trouble::Start)??;
    let Some(earlier) = earlier else {
        let _unread = writeln!(out, "{}", answers.to_json());
        return Ok(());
    };
    let mut model = Model::new();
    model.handle_sample(earlier.parse()?);
    model.handle_sample(answers.parse()?);
    for line in view::text(&model) {
        let _unread = writeln!(out, "{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
