//! An encoder and a viewer that do exactly what a test says, message by message.

use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, MediaMessage};

use super::rtmp::Peer;
use super::synthetic::{Sink, Source};

/// How long a viewer waits for the next message.
const LIMIT: Duration = Duration::from_secs(20);

/// A publisher of numbered messages.
pub(crate) struct Encoder {
    pub(crate) peer: Peer,
    pub(crate) source: Source,
}

impl Encoder {
    /// Publishes `url`, and sends the decoder configurations. Its messages are marked as
    /// `publisher`'s.
    pub(crate) async fn start(url: &str, publisher: u32) -> Self {
        let mut peer = Peer::publish(url).await.expect("accepted");
        for message in Source::head() {
            peer.send(&message).await.expect("the relay reads");
        }
        Self { peer, source: Source::new(publisher, 500) }
    }

    /// Sends the next `count` messages.
    pub(crate) async fn send(&mut self, count: usize) {
        for _ in 0..count {
            self.peer.send(&self.source.next_message()).await.expect("the relay reads");
        }
    }

    /// Sends the next message up to its middle.
    pub(crate) async fn send_half(&mut self) {
        self.peer.send_half(&self.source.next_message()).await.expect("the relay reads");
    }
}

/// A player that looks at what it gets.
pub(crate) struct Viewer {
    pub(crate) peer: Peer,
    pub(crate) sink: Sink,
}

impl Viewer {
    /// Plays `url`.
    pub(crate) async fn start(url: &str) -> Self {
        Self { peer: Peer::play(url).await.expect("plays"), sink: Sink::default() }
    }

    /// The next media message.
    pub(crate) async fn next(&mut self) -> MediaMessage {
        loop {
            match self.peer.next_event_within(LIMIT).await {
                Ok(ClientEvent::Media(message)) => {
                    self.sink.take(&message);
                    return message;
                }
                Ok(_) => {}
                Err(error) => panic!("the viewer stays: {error} after {:?}", self.sink),
            }
        }
    }

    /// Watches until message `number` of `publisher` has come.
    pub(crate) async fn watch_until(&mut self, publisher: u32, number: u64) {
        while self.sink.last != Some((publisher, number)) {
            self.next().await;
        }
    }
}
