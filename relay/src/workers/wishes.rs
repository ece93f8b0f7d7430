//! What operators want of workers and streams.

use super::fleet::Fleet;
use crate::id::{StreamKey, WorkerId};
use crate::message::{Wish, WishRefused, WorkRequest};
use crate::placement::{Input, StreamState, WorkerState};

impl Fleet {
    /// Begins what is wanted, or says why not.
    pub(super) fn on_request(&mut self, request: WorkRequest) {
        let begun = match request.wish {
            Wish::DrainWorker(worker) => self.drain(worker),
            Wish::RetryStream(stream) => self.retry(stream),
        };
        // Who asked may be gone. It is done all the same.
        let _unheard = request.tell.send(begun);
    }

    fn drain(&mut self, worker: WorkerId) -> Result<(), WishRefused> {
        let workers = self.placement.workers();
        let state = workers.iter().find(|it| it.worker == worker).map(|it| it.state);
        match state.ok_or(WishRefused::Unknown("there is no such worker"))? {
            // It would be found again, and get streams again.
            _ if !self.backend.is_managed() => Err(WishRefused::NotNow(
                "somebody else runs this worker: told to end, it keeps its streams until they end",
            )),
            WorkerState::Starting | WorkerState::Ready => {
                tracing::info!(worker = worker.0, "an operator drains a worker");
                self.handle(Input::Drain { worker });
                Ok(())
            }
            WorkerState::Draining => Ok(()),
            WorkerState::Suspect | WorkerState::Stopping => {
                Err(WishRefused::NotNow("the worker is about to end"))
            }
        }
    }

    fn retry(&mut self, stream: StreamKey) -> Result<(), WishRefused> {
        let streams = self.placement.streams();
        let state = streams.iter().find(|it| it.stream == stream).map(|it| it.state);
        match state {
            None => Err(WishRefused::Unknown("no such stream goes to workers")),
            Some(StreamState::Failed) => {
                tracing::info!(app = &*stream.app, "an operator has a stream tried again");
                self.handle(Input::Retry { stream });
                Ok(())
            }
            Some(_) => Err(WishRefused::NotNow("the stream has not failed")),
        }
    }
}
