//! A command over all its runs: begun again with growing pauses when it ends or hangs, so often and
//! no more.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::command::{self, RunEnd, Shown, Signals};
use super::presets::StreamCommand;
use super::tail::{LogTail, Progress};
use crate::config::WorkersConfig;
use crate::hub::backoff::Backoff;
use crate::message::{PipelineFailure, PipelineState, StreamReport};

/// A command that says nothing of its progress is taken to do its work when it has run for so long.
const TAKEN_FOR_RUNNING: Duration = Duration::from_secs(2);

/// How often a command is tried.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    pub(super) retries_max: u64,
    pub(super) retry_delay: Duration,
    pub(super) retry_delay_max: Duration,
    pub(super) retry_reset: Duration,
    pub(super) stall_timeout: Duration,
}

impl From<&WorkersConfig> for Patience {
    fn from(config: &WorkersConfig) -> Self {
        Self {
            retries_max: config.retries_max as u64,
            retry_delay: config.retry_delay,
            retry_delay_max: config.retry_delay_max,
            retry_reset: config.retry_reset,
            stall_timeout: config.stall_timeout,
        }
    }
}

/// Runs `command` until its stream is over or it failed too often, and keeps `report` up to date.
pub(super) async fn run(
    guard: PathBuf,
    command: StreamCommand,
    patience: Patience,
    mut signals: Signals,
    report: watch::Sender<StreamReport>,
) {
    let mut backoff = Backoff::new(patience.retry_delay, patience.retry_delay_max);
    let mut tail = LogTail::new(command.secrets.iter().cloned());
    loop {
        let (shown, seen) = watch::channel(Shown { log: tail, progress: Progress::default() });
        let begun = Instant::now();
        let end = {
            let run = command::run(&guard, &command, patience.stall_timeout, &mut signals, &shown);
            tokio::select! {
                end = run => end,
                never = follow(seen, &report, command.tells_progress) => match never {},
            }
        };
        let last = shown.borrow().clone();
        tail = last.log;
        report.send_modify(|report| report.log = tail.lines());
        let (failure, why) = match end {
            RunEnd::Finished => return,
            RunEnd::Exited(why) => (PipelineFailure::Exited, why),
            RunEnd::Stalled => (
                PipelineFailure::Stalled,
                format!(
                    "the command was killed: media went in and nothing came out for {} s",
                    patience.stall_timeout.as_secs_f64()
                ),
            ),
            RunEnd::NotStarted(why) => {
                (PipelineFailure::Exited, format!("the command cannot be started: {why}"))
            }
        };
        let went_well = last.progress.has_begun() && begun.elapsed() >= patience.retry_reset;
        if went_well {
            backoff.reset();
        }
        let gives_up = u64::from(backoff.attempts()) >= patience.retries_max;
        tracing::warn!(why, retries = backoff.attempts(), gives_up, "a stream's command failed");
        report.send_modify(|report| {
            report.reason = why;
            report.failure = Some(failure);
            report.retries += u64::from(!gives_up);
            report.state = if gives_up { PipelineState::Failed } else { PipelineState::Recovering };
        });
        if gives_up {
            return;
        }
        let delay = backoff.next_delay(getrandom::u64().unwrap_or_default());
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.is_over() => return,
        }
    }
}

/// Brings what the command shows into the report, for ever.
async fn follow(
    mut seen: watch::Receiver<Shown>,
    report: &watch::Sender<StreamReport>,
    tells_progress: bool,
) -> Infallible {
    if !tells_progress {
        // That it runs is all that can be known.
        sleep(TAKEN_FOR_RUNNING).await;
        report.send_modify(|report| report.state = PipelineState::Relaying);
    }
    while seen.changed().await.is_ok() {
        let (begun, bytes, log) = {
            let shown = seen.borrow_and_update();
            (shown.progress.has_begun(), shown.progress.bytes, shown.log.lines())
        };
        report.send_modify(|report| {
            report.log = log;
            if begun {
                report.bytes_out = bytes;
                report.state = PipelineState::Relaying;
                report.reason.clear();
                report.failure = None;
            }
        });
    }
    std::future::pending().await
}
