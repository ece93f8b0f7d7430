//! Asks every shard what it carries, and waits no longer than a bound for the answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::merge::{ClientCounts, NodeSnapshot, count_clients};
use crate::id::ShardId;
use crate::message::{ShardMessage, ShardSnapshot};
use crate::telemetry::Ledger;

/// How long a shard has to answer, mailbox included.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// How old a description may be when it is handed out again. However many requests come in, a shard
/// describes itself no more often than this.
pub(super) const REUSE_AGE_MAX: Duration = Duration::from_millis(250);

/// Takes snapshots of the node. Requests that come together share one.
#[derive(Debug)]
pub(super) struct Collector {
    shards: Vec<mpsc::Sender<ShardMessage>>,
    ledger: Arc<Ledger>,
    answer_wait_max: Duration,
    reuse_age_max: Duration,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    taken: Option<(Instant, Arc<NodeSnapshot>)>,
    /// By shard, kept over a shard's silence.
    clients: Vec<ClientCounts>,
}

impl Collector {
    pub(super) fn new(
        shards: Vec<mpsc::Sender<ShardMessage>>,
        ledger: Arc<Ledger>,
        answer_wait_max: Duration,
        reuse_age_max: Duration,
    ) -> Self {
        let clients = vec![ClientCounts::new(); shards.len()];
        let last = Mutex::new(Last { taken: None, clients });
        Self { shards, ledger, answer_wait_max, reuse_age_max, last }
    }

    /// The node as it is now, or was a moment ago.
    pub(super) async fn snapshot(&self) -> Arc<NodeSnapshot> {
        // Held over the asking, so that whoever comes meanwhile finds the answer made.
        let mut last = self.last.lock().await;
        if let Some((taken_at, node)) = &last.taken
            && taken_at.elapsed() < self.reuse_age_max
        {
            return Arc::clone(node);
        }
        // First, so that shards describe their clients with fresh figures.
        self.ledger.freshen().await;
        let answers = self.ask().await;
        let mut shards_missing = Vec::new();
        let mut parts = Vec::with_capacity(answers.len());
        for ((shard, answer), counts) in answers.into_iter().zip(&mut last.clients) {
            match answer {
                Some(part) => {
                    *counts = count_clients(&part);
                    parts.push(part);
                }
                None => shards_missing.push(shard),
            }
        }
        let mut node = NodeSnapshot::merge(parts);
        node.shards_missing = shards_missing;
        for (application, count) in last.clients.iter().flatten() {
            *node.clients_by_application.entry(Arc::clone(application)).or_default() += count;
        }
        let node = Arc::new(node);
        last.taken = Some((Instant::now(), Arc::clone(&node)));
        node
    }

    /// Every shard's answer, in order of the shards; `None` from one that was silent or is gone.
    async fn ask(&self) -> Vec<(ShardId, Option<ShardSnapshot>)> {
        let mut asking = JoinSet::new();
        for (number, mailbox) in (0..).zip(&self.shards) {
            let (mailbox, wait_max) = (mailbox.clone(), self.answer_wait_max);
            asking.spawn(async move {
                let answer = timeout(wait_max, ask_one(&mailbox)).await.ok().flatten();
                (ShardId(number), answer)
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_unstable_by_key(|(shard, _)| *shard);
        answers
    }
}

async fn ask_one(mailbox: &mpsc::Sender<ShardMessage>) -> Option<ShardSnapshot> {
    let (reply, answer) = oneshot::channel();
    mailbox.send(ShardMessage::Snapshot(reply)).await.ok()?;
    answer.await.ok()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::id::StreamKey;

    const SHORT: Duration = Duration::from_millis(20);

    fn collector(mailboxes: Vec<mpsc::Sender<ShardMessage>>, reuse: Duration) -> Collector {
        Collector::new(mailboxes, Arc::new(Ledger::disabled()), SHORT, reuse)
    }

    async fn answer(mailbox: &mut mpsc::Receiver<ShardMessage>, key: &StreamKey) {
        match mailbox.recv().await {
            Some(ShardMessage::Snapshot(reply)) => drop(reply.send(sample::captured(key))),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_silent_shard_is_named_and_the_others_are_shown() {
        let key = StreamKey::new("live", "cam1");
        let (silent, _mailbox) = mpsc::channel(1);
        let (gone, _) = mpsc::channel(1);
        let (lively, mut mailbox) = mpsc::channel(1);
        let collector = collector(vec![silent, gone, lively], Duration::ZERO);
        let (node, ()) = tokio::join!(collector.snapshot(), answer(&mut mailbox, &key));
        assert_eq!(node.shards_missing, [ShardId(0), ShardId(1)]);
        assert_eq!(node.streams.len(), 1);
    }

    #[tokio::test]
    async fn a_full_mailbox_is_not_waited_for_longer_than_the_bound() {
        let (full, _mailbox) = mpsc::channel(1);
        full.try_send(ShardMessage::Stop).unwrap();
        let node = collector(vec![full], Duration::ZERO).snapshot().await;
        assert_eq!(node.shards_missing, [ShardId(0)]);
    }

    #[tokio::test]
    async fn a_shard_that_falls_silent_counts_with_what_it_said_last() {
        let key = StreamKey::new("live", "cam1");
        let (shard, mut mailbox) = mpsc::channel(4);
        let collector = collector(vec![shard], Duration::ZERO);
        let (_, ()) = tokio::join!(collector.snapshot(), answer(&mut mailbox, &key));
        let node = collector.snapshot().await;
        assert_eq!(node.shards_missing, [ShardId(0)]);
        assert_eq!(node.clients_by_application.get("live"), Some(&2));
        assert!(node.streams.is_empty());
    }

    #[tokio::test]
    async fn requests_that_come_together_ask_a_shard_once() {
        let key = StreamKey::new("live", "cam1");
        let (shard, mut mailbox) = mpsc::channel(4);
        let collector = collector(vec![shard], Duration::from_secs(3600));
        let (first, second, ()) =
            tokio::join!(collector.snapshot(), collector.snapshot(), answer(&mut mailbox, &key));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(mailbox.try_recv().is_err());
    }
}
