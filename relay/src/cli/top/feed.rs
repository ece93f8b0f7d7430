//! What the node answers, again and again: asked for on a thread of its own, so that a node that is
//! slow to answer keeps nobody from the keys.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::super::answers::{Clients, Health, Scaler, Streams, Workers};
use super::super::asking::{CLIENTS, HEALTH, SCALER, STREAMS, WORKERS};
use super::super::node::{AskError, NodeClient, block_on, parse};

/// News that wait to be shown; a screen that shows none needs none.
const NEWS_MAX: usize = 4;

/// The node at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) health: Health,
    pub(super) streams: Streams,
    pub(super) clients: Clients,
    pub(super) workers: Workers,
    pub(super) scaler: Scaler,
}

/// The same as it was answered.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    health: String,
    streams: String,
    clients: String,
    workers: String,
    scaler: String,
}

impl Answers {
    /// Asks for all of it.
    pub(super) async fn ask(node: &mut NodeClient) -> Result<Self, AskError> {
        Ok(Self {
            health: node.ask(HEALTH).await?,
            streams: node.ask(STREAMS).await?,
            clients: node.ask(CLIENTS).await?,
            workers: node.ask(WORKERS).await?,
            scaler: node.ask(SCALER).await?,
        })
    }

    /// All of it as one object.
    pub(super) fn to_json(&self) -> String {
        let Self { health, streams, clients, workers, scaler } = self;
        format!(
            "{{\"health\":{health},\"streams\":{streams},\"clients\":{clients},\
             \"workers\":{workers},\"scaler\":{scaler}}}"
        )
    }

    pub(super) fn parse(&self) -> Result<Sample, AskError> {
        Ok(Sample {
            health: parse(HEALTH, &self.health)?,
            streams: parse(STREAMS, &self.streams)?,
            clients: parse(CLIENTS, &self.clients)?,
            workers: parse(WORKERS, &self.workers)?,
            scaler: parse(SCALER, &self.scaler)?,
        })
    }
}

/// What the feed tells.
#[derive(Debug)]
pub(super) enum News {
    /// The node answered.
    Sample(Box<Sample>),
    /// It did not, for this reason. It is asked again.
    Fault(String),
    /// Somebody told this process to end.
    End,
}

/// Asks `node` now and then, and whoever serves one of `candidates` after it is gone, for as long as
/// the news are taken.
pub(super) fn start(candidates: Vec<PathBuf>, pause: Duration) -> io::Result<Receiver<News>> {
    let (tell, news) = sync_channel(NEWS_MAX);
    thread::Builder::new().name("feed".to_owned()).spawn(move || {
        let fed = block_on(feed(&candidates, pause, &tell));
        if let Err(error) | Ok(Err(error)) = fed {
            let _unheard = tell.send(News::Fault(error.to_string()));
        }
    })?;
    Ok(news)
}

async fn feed(candidates: &[PathBuf], pause: Duration, tell: &SyncSender<News>) -> io::Result<()> {
    let mut ends = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
        signal(SignalKind::interrupt())?,
    ];
    let [terminate, hangup, interrupt] = &mut ends;
    let mut looks = interval(pause);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut node = None;
    loop {
        let look = async {
            looks.tick().await;
            look(&mut node, candidates).await
        };
        let news = tokio::select! {
            looked = look => looked,
            _ = terminate.recv() => News::End,
            _ = hangup.recv() => News::End,
            _ = interrupt.recv() => News::End,
        };
        let is_end = matches!(news, News::End);
        if tell.send(news).is_err() || is_end {
            return Ok(());
        }
    }
}

async fn look(node: &mut Option<NodeClient>, candidates: &[PathBuf]) -> News {
    let answers = async {
        let mut open = match node.take() {
            Some(open) => open,
            None => NodeClient::connect(candidates).await?,
        };
        let answers = Answers::ask(&mut open).await?;
        *node = Some(open);
        answers.parse()
    };
    match answers.await {
        Ok(sample) => News::Sample(Box::new(sample)),
        Err(error) => News::Fault(error.to_string()),
    }
}
