//! What `top` knows and what keys do to it. No clock, no socket, no terminal.

use super::feed::Sample;
use super::rates::{Rate, Rates};

/// The parts of the screen that have rows.
pub(super) const SECTIONS: usize = 3;

/// By what streams and clients are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Out,
    In,
    Name,
    Age,
}

impl Sort {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Name => "name",
            Self::Age => "age",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Name,
            Self::Name => Self::Age,
            Self::Age => Self::Out,
        }
    }
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Sort,
    /// The next part of the screen.
    Section,
    /// So many rows on, or back.
    Scroll(isize),
    Top,
}

/// Whether there is more to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Go,
    Quit,
}

/// What is known of the node, and how it is looked at.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) sample: Option<Sample>,
    pub(super) rates: Rates,
    /// Why the newest look failed.
    pub(super) fault: Option<String>,
    pub(super) sort: Sort,
    /// The section that scrolls.
    pub(super) section: usize,
    /// Rows of each section above what is shown.
    pub(super) scrolled: [usize; SECTIONS],
}

impl Model {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The node answered.
    pub(super) fn handle_sample(&mut self, sample: Sample) {
        self.rates.handle(&sample.clients);
        self.sample = Some(sample);
        self.fault = None;
    }

    /// The node did not answer. What is known stays.
    pub(super) fn handle_fault(&mut self, fault: String) {
        self.fault = Some(fault);
    }

    /// Somebody pressed a key.
    pub(super) fn handle_key(&mut self, key: Key) -> Turn {
        match key {
            Key::Quit => return Turn::Quit,
            Key::Sort => self.sort = self.sort.next(),
            Key::Section => self.section = (self.section + 1) % SECTIONS,
            Key::Scroll(rows) => {
                if let Some(scrolled) = self.scrolled.get_mut(self.section) {
                    *scrolled = scrolled.saturating_add_signed(rows);
                }
            }
            Key::Top => self.scrolled = [0; SECTIONS],
        }
        Turn::Go
    }

    /// How fast a stream comes in and goes out: its connections together.
    pub(super) fn stream_rate(&self, app: &str, name: &str) -> Rate {
        let mut sum = Rate::default();
        let clients = self.sample.iter().flat_map(|sample| &sample.clients.clients);
        for client in clients {
            if client.app.as_deref() != Some(app) || client.name.as_deref() != Some(name) {
                continue;
            }
            // What a publisher is sent, and a player sends, are replies and acknowledgements.
            let rate = self.rates.of(client.id);
            match client.role.as_str() {
                "publish" | "pull" => sum.bits_in += rate.bits_in,
                _ => sum.bits_out += rate.bits_out,
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::answers::{Client, Clients};
    use super::*;

    fn client(id: u64, role: &str, age_seconds: f64, bytes: u64) -> Client {
        Client {
            id,
            role: role.to_owned(),
            app: Some("live".to_owned()),
            name: Some("cam".to_owned()),
            age_seconds,
            bytes_in: bytes,
            bytes_out: bytes,
            ..Client::default()
        }
    }

    #[test]
    fn a_stream_comes_in_by_its_publisher_and_goes_out_by_everybody_else() {
        let mut model = Model::new();
        for (age, bytes) in [(1.0, 0), (2.0, 1000)] {
            let roles = ["publish", "play", "push", "worker"];
            let clients = (1..).zip(roles).map(|(id, role)| client(id, role, age, bytes));
            let clients = Clients { clients: clients.collect(), ..Clients::default() };
            model.handle_sample(Sample { clients, ..Sample::default() });
        }
        let rate = Rate { bits_in: 8_000.0, bits_out: 24_000.0 };
        assert_eq!(model.stream_rate("live", "cam"), rate);
        assert_eq!(model.stream_rate("live", "other"), Rate::default());
    }

    #[test]
    fn keys_sort_scroll_and_quit() {
        let mut model = Model::new();
        let mut sorts = Vec::new();
        for _ in 0..5 {
            sorts.push(model.sort.label());
            assert_eq!(model.handle_key(Key::Sort), Turn::Go);
        }
        assert_eq!(sorts, ["out", "in", "name", "age", "out"]);
        model.handle_key(Key::Section);
        model.handle_key(Key::Scroll(10));
        model.handle_key(Key::Scroll(-3));
        assert_eq!(model.scrolled, [0, 7, 0]);
        model.handle_key(Key::Scroll(-30));
        assert_eq!(model.scrolled, [0, 0, 0]);
        assert_eq!(model.handle_key(Key::Quit), Turn::Quit);
    }

    #[test]
    fn a_node_that_falls_silent_is_shown_as_it_was_last() {
        let mut model = Model::new();
        model.handle_sample(Sample::default());
        model.handle_fault("no node".to_owned());
        assert!(model.sample.is_some() && model.fault.is_some());
        model.handle_sample(Sample::default());
        assert_eq!(model.fault, None);
    }
}
