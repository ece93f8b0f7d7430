//! Goes by another configuration while streams run: what they may hold, where they are pushed, and
//! when deadlines are due. No connection is closed for it.

use std::rc::Rc;

use super::{Shard, pull, push};
use crate::config::Config;
use crate::hub::limits::StreamLimits;

impl Shard {
    /// Goes by `config` from now on. Streams of an application that is gone go on as they are.
    pub(super) fn reconfigure(self: &Rc<Self>, config: &Config) {
        let before = self.config.replace(Rc::new(config.clone()));
        let config = self.config();
        let mut state = self.state.borrow_mut();
        let streams: Vec<_> = state.streams.iter().map(|(stream, _)| stream).collect();
        for stream in streams {
            let Some(entry) = state.streams.get_mut(stream) else { continue };
            let Some(app) = config.app(&entry.key.app) else { continue };
            entry.stream.set_limits(&StreamLimits::new(app, config.rtmp.chunk_size));
            let is_waited_for = !entry.waiting.is_empty();
            if before.app(&app.name).map(|before| &before.push) != Some(&app.push) {
                push::adjust(&mut state, self, stream, &app.push);
            }
            if is_waited_for {
                // There may be an origin now.
                pull::start_if_wanted(&mut state, self, stream);
            }
        }
        // A shorter time-out may be due before what was going to be looked at.
        for slot in state.slots() {
            state.watch_deadline(self, slot);
        }
        drop(state);
        self.urgent.notify_one();
    }
}
