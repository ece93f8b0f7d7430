//! What the shards carry, asked of all of them within a bound.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::message::{ShardMessage, ShardSnapshot};

/// How long a shard has to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);

/// The answers of those that gave one.
pub(super) async fn take(shards: &[mpsc::Sender<ShardMessage>]) -> Vec<ShardSnapshot> {
    let asked: Vec<_> = shards
        .iter()
        .map(|shard| {
            let (reply, answer) = oneshot::channel();
            let _full = shard.try_send(ShardMessage::Snapshot(reply));
            answer
        })
        .collect();
    let mut parts = Vec::with_capacity(asked.len());
    for answer in asked {
        if let Ok(Ok(part)) = timeout(ANSWER_WAIT_MAX, answer).await {
            parts.push(part);
        }
    }
    parts
}
