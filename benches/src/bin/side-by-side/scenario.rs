//! What is asked of every contender.

use super::capacity::Climb;

/// The congestion control of the page; figures under others stand in columns at the end.
pub(crate) const FIRST_CONGESTION: &str = "reno";

/// One load, and what is asked about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// For the page.
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    pub(crate) question: Question,
    /// The merge windows that edgerelay is asked with.
    pub(crate) windows: &'static [&'static str],
    /// Who is asked besides edgerelay and nginx-rtmp.
    pub(crate) guests: Guests,
    /// Whether it is measured under a second congestion control too.
    pub(crate) twice: bool,
}

/// What contenders are compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Yardstick {
    /// Processor seconds for each gigabit delivered.
    #[default]
    Cost,
    /// How much was carried.
    Carried,
    /// Processor time, where servers rightly deliver different amounts.
    ProcessorTime,
    /// Resident memory, where nothing is delivered.
    Memory,
}

/// Who takes part where there is something to learn from it: all of everything takes hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guests {
    None,
    /// The floors that send as one of the merge windows does.
    Floors,
    /// xiu and node-media-server.
    Peers,
    /// Both.
    All,
}

/// All merge windows. The longest is above what is allowed by default.
const WINDOWS: &[&str] = &["0s", "33ms", "100ms", "350ms", "auto"];

/// Those that say by themselves when they send.
const FIXED_WINDOWS: &[&str] = &["0s", "33ms", "100ms", "350ms"];

/// Those that differ most.
const TWO_WINDOWS: &[&str] = &["0s", "100ms"];

/// The group of pictures of the join storm.
const STORM_GOP_SECONDS: u64 = 4;

/// For questions that the window does not touch.
const DEFAULT_WINDOW: &[&str] = &["auto"];

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Streams of so many video kbit/s, each with so many players.
    Play { streams: u32, players_each: u32, video_kbits: u32 },
    /// Streams that the server pushes to a sink.
    Push { streams: u32, video_kbits: u32 },
    /// Players of a stream that nobody publishes.
    Idle { players: u32 },
    /// Players that come and go beside steady ones, on a GOP of four seconds.
    Storm { steady: u32, joins_per_second: u32 },
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// What the load costs.
    Cost,
    /// How much of it one core carries.
    Capacity(Climb),
    /// What it costs on two shards, over one.
    Shards,
    /// What it costs to be counted by the kernel, and looked at.
    Accounting,
}

/// Everything, in the order of the page.
pub(crate) const SCENARIOS: [Scenario; 14] = [
    Scenario {
        windows: FIXED_WINDOWS,
        ..fan_out("fan-out-50", "One stream of 2.5 Mbit/s to 50 players", 50)
    },
    Scenario {
        guests: Guests::All,
        twice: true,
        ..fan_out("fan-out-200", "One stream of 2.5 Mbit/s to 200 players", 200)
    },
    fan_out("fan-out-500", "One stream of 2.5 Mbit/s to 500 players", 500),
    Scenario {
        windows: FIXED_WINDOWS,
        ..many("many-100", "100 streams of 500 kbit/s, one player each", 100)
    },
    Scenario {
        guests: Guests::Peers,
        twice: true,
        ..many("many-200", "200 streams of 500 kbit/s, one player each", 200)
    },
    Scenario {
        name: "capacity-players",
        title: "Players of one stream of 2.5 Mbit/s that a core carries",
        question: Question::Capacity(Climb { from: 600, to: 16_000 }),
        windows: DEFAULT_WINDOW,
        guests: Guests::None,
        ..fan_out("", "", 0)
    },
    Scenario {
        name: "capacity-streams",
        title: "Streams of 500 kbit/s with one player each that a core carries",
        question: Question::Capacity(Climb { from: 200, to: 3_000 }),
        windows: DEFAULT_WINDOW,
        ..many("", "", 0)
    },
    Scenario {
        name: "push-50",
        title: "50 streams of 500 kbit/s pushed to a sink",
        load: Load::Push { streams: 50, video_kbits: 436 },
        windows: FIXED_WINDOWS,
        ..many("", "", 0)
    },
    Scenario {
        name: "idle-10000",
        title: "10 000 players that wait",
        load: Load::Idle { players: 10_000 },
        windows: DEFAULT_WINDOW,
        guests: Guests::Peers,
        ..many("", "", 0)
    },
    Scenario {
        name: "join-storm",
        title: "200 joins a second beside 20 players, GOP of 4 s",
        load: Load::Storm { steady: 20, joins_per_second: 200 },
        windows: &["0s", "auto"],
        guests: Guests::Peers,
        ..many("", "", 0)
    },
    Scenario {
        name: "fat",
        title: "One stream of 50 Mbit/s to 20 players",
        load: Load::Play { streams: 1, players_each: 20, video_kbits: 50_000 },
        windows: TWO_WINDOWS,
        ..fan_out("", "", 0)
    },
    Scenario {
        name: "shards-fan-out",
        title: "Two shards: one stream of 2.5 Mbit/s to 200 players",
        question: Question::Shards,
        windows: TWO_WINDOWS,
        ..fan_out("", "", 200)
    },
    Scenario {
        name: "shards-many",
        title: "Two shards: 100 streams of 500 kbit/s, one player each",
        question: Question::Shards,
        windows: TWO_WINDOWS,
        ..many("", "", 100)
    },
    Scenario {
        name: "accounting",
        title: "Kernel accounting, read once a second: one stream of 2.5 Mbit/s to 300 players",
        question: Question::Accounting,
        guests: Guests::None,
        windows: &["0s"],
        ..fan_out("", "", 300)
    },
];

const fn fan_out(name: &'static str, title: &'static str, players_each: u32) -> Scenario {
    let load = Load::Play { streams: 1, players_each, video_kbits: 2_436 };
    let guests = Guests::Floors;
    Scenario { name, title, load, question: Question::Cost, windows: WINDOWS, guests, twice: false }
}

const fn many(name: &'static str, title: &'static str, streams: u32) -> Scenario {
    let load = Load::Play { streams, players_each: 1, video_kbits: 436 };
    let guests = Guests::None;
    Scenario { name, title, load, question: Question::Cost, windows: WINDOWS, guests, twice: false }
}

impl Scenario {
    /// Bits per second of audio in every stream.
    pub(crate) const AUDIO_KBITS: u32 = 64;

    /// The scenario of a name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Whether it is measured under a congestion control.
    pub(crate) fn is_measured_under(&self, congestion: &str) -> bool {
        self.twice || congestion == FIRST_CONGESTION
    }

    /// What contenders are compared by.
    pub(crate) const fn yardstick(&self) -> Yardstick {
        match (self.question, self.load) {
            (Question::Capacity(_), _) => Yardstick::Carried,
            (_, Load::Storm { .. }) => Yardstick::ProcessorTime,
            (_, Load::Idle { .. }) => Yardstick::Memory,
            (Question::Cost | Question::Shards | Question::Accounting, _) => Yardstick::Cost,
        }
    }

    /// How long its window is: longer than asked for where a group of pictures is, since newcomers of
    /// some servers only get pictures once in it.
    pub(crate) fn window_seconds(&self, asked: u64) -> u64 {
        match self.load {
            Load::Storm { .. } => asked.max(STORM_GOP_SECONDS),
            _ => asked,
        }
    }

    /// The same with so many players of one stream, or so many streams of one player.
    pub(crate) const fn of(self, amount: u32) -> Self {
        let load = match self.load {
            Load::Play { players_each: 1, video_kbits, .. } => {
                Load::Play { streams: amount, players_each: 1, video_kbits }
            }
            Load::Play { streams, video_kbits, .. } => {
                Load::Play { streams, players_each: amount, video_kbits }
            }
            other => other,
        };
        Self { load, ..self }
    }

    /// Streams, pushed or played.
    pub(crate) const fn streams(&self) -> u32 {
        match self.load {
            Load::Play { streams, .. } | Load::Push { streams, .. } => streams,
            Load::Idle { .. } => 0,
            Load::Storm { .. } => 1,
        }
    }

    /// Players that stay.
    pub(crate) const fn players(&self) -> u32 {
        match self.load {
            Load::Play { streams, players_each, .. } => streams * players_each,
            Load::Push { streams, .. } => streams,
            Load::Idle { players } => players,
            Load::Storm { steady, .. } => steady,
        }
    }

    /// The stream of the load's first player as arguments of the load generator.
    pub(crate) fn pattern(&self) -> Vec<String> {
        let (kbits, gop_seconds) = match self.load {
            Load::Play { video_kbits, .. } | Load::Push { video_kbits, .. } => (video_kbits, 2),
            Load::Idle { .. } => (436, 2),
            Load::Storm { .. } => (2436, STORM_GOP_SECONDS),
        };
        let gop = format!("{gop_seconds}s");
        let audio = format!("{}k", Self::AUDIO_KBITS);
        let bitrate = format!("{kbits}k");
        ["--bitrate", &bitrate, "--audio", &audio, "--gop", &gop].map(str::to_owned).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_not_empty() {
        let mut names = SCENARIOS.map(|scenario| scenario.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
        assert!(names.iter().all(|name| !name.is_empty()));
    }

    #[test]
    fn a_storm_lasts_a_group_of_pictures() {
        let window = |name, asked| Scenario::named(name).unwrap().window_seconds(asked);
        assert_eq!((window("join-storm", 3), window("join-storm", 8)), (4, 8));
        assert_eq!(window("fan-out-50", 3), 3);
    }

    #[test]
    fn an_amount_is_of_players_or_of_streams() {
        let of = |name| *Scenario::named(name).unwrap();
        let players = of("capacity-players").of(700);
        assert_eq!((players.streams(), players.players()), (1, 700));
        let streams = of("capacity-streams").of(300);
        assert_eq!((streams.streams(), streams.players()), (300, 300));
    }
}
