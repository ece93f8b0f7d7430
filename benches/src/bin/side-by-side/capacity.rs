//! How much a core carries: which amount to try next, and whether one was carried. Pure.

use serde::{Deserialize, Serialize};

use super::outcome::FULL_SHARE;
use super::round::Figures;

/// The load generator is at its limit with this share of its core.
const LOADER_FULL_SHARE: f64 = 0.97;

/// Less than this share of what is due is late: players fall behind. The edges of a window cut a
/// keyframe and a merge window off, which is less.
const DELIVERED_SHARE_MIN: f64 = 0.93;

/// Publishers that send less than this share of what is due are the load generator's fault.
const REAL_TIME_MIN: f64 = 0.98;

/// Frames that come later than this are late.
const LATENCY_MAX_MS: f64 = 1_000.0;

/// A gap between what was carried and what was not that is narrow enough.
const NARROW: f64 = 1.05;

/// The next amount over the last, while all are carried: far away from a full core, and near to it.
const STRIDE_MIN: f64 = 1.5;
const STRIDE_MAX: f64 = 3.0;
const NEARLY_FULL_SHARE: f64 = 0.85;
const SMALL_STRIDE: f64 = 1.1;

/// The next amount over the last, while none is carried.
const RETREAT: f64 = 0.6;

/// Where a search begins, and where it ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Climb {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// Why an amount was not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Limit {
    /// The server's core is full.
    Processor,
    /// Players missed messages, or got nothing, or were put out.
    Loss,
    /// Players fall behind.
    Late,
    /// Not everybody got in.
    Absent,
    /// The load generator could not do it: what was carried is a lower bound.
    Loader,
    /// There was no round.
    Broken,
    /// Nothing: the search ended first. What was carried is a lower bound.
    None,
}

impl Limit {
    /// For the page.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Loss => "loss",
            Self::Late => "delay",
            Self::Absent => "failed joins",
            Self::Loader => "the loader (lower bound)",
            Self::Broken => "breakdown",
            Self::None => "nothing yet (lower bound)",
        }
    }
}

/// What a search came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    /// The most that was carried.
    pub(crate) amount: u32,
    /// The least that was not.
    pub(crate) not: Option<u32>,
    /// Why not.
    pub(crate) limited_by: Limit,
    /// All attempts: amount, share of the server's core, share of the load generator's, and why it
    /// was not carried.
    pub(crate) attempts: Vec<(u32, f64, f64, Limit)>,
}

/// What stands in the way of an amount; none where it was carried.
pub(crate) fn judge(figures: &Figures) -> Option<Limit> {
    let late = figures.due_share.is_some_and(|share| share < DELIVERED_SHARE_MIN)
        || figures.latency_p99_ms.is_some_and(|millis| millis > LATENCY_MAX_MS);
    let troubled = !figures.ready || figures.lost() > 0 || late;
    let publishers_late = figures.real_time.is_some_and(|share| share < REAL_TIME_MIN);
    if figures.given_share() >= FULL_SHARE {
        Some(Limit::Processor)
    } else if publishers_late || (troubled && figures.loader_core >= LOADER_FULL_SHARE) {
        Some(Limit::Loader)
    } else if !figures.ready {
        Some(Limit::Absent)
    } else if figures.lost() > 0 {
        Some(Limit::Loss)
    } else {
        late.then_some(Limit::Late)
    }
}

/// A search for the most that is carried: in strides up to what is not, then between the two.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    climb: Climb,
    next: u32,
    carried: Option<u32>,
    not: Option<u32>,
}

impl Search {
    /// Begins with `guess`, if somebody has one.
    pub(crate) fn new(climb: Climb, guess: Option<u32>) -> Self {
        Self {
            climb,
            next: guess.unwrap_or(climb.from).clamp(1, climb.to),
            carried: None,
            not: None,
        }
    }

    /// The amount to try next; none when the answer is near enough.
    pub(crate) fn poll(&self) -> Option<u32> {
        let narrow = match (self.carried, self.not) {
            (Some(carried), Some(not)) => f64::from(not) <= f64::from(carried) * NARROW,
            (Some(carried), None) => carried >= self.climb.to,
            (None, Some(not)) => not <= 1,
            (None, None) => false,
        };
        (!narrow).then_some(self.next)
    }

    /// `amount` was carried with such a share of the core, or was not.
    pub(crate) fn on_attempt(&mut self, amount: u32, share: f64, carried: bool) {
        if carried {
            self.carried = self.carried.max(Some(amount));
        } else {
            self.not = Some(self.not.map_or(amount, |not| not.min(amount)));
        }
        let next = match (self.carried, self.not) {
            (Some(carried), Some(not)) => (f64::from(carried) * f64::from(not)).sqrt(),
            (Some(carried), None) => {
                let least = if share < NEARLY_FULL_SHARE { STRIDE_MIN } else { SMALL_STRIDE };
                f64::from(carried) * (FULL_SHARE / share.max(0.01)).clamp(least, STRIDE_MAX)
            }
            (None, Some(not)) => f64::from(not) * RETREAT,
            (None, None) => f64::from(self.climb.from),
        };
        self.next = (next.round() as u32).clamp(1, self.climb.to);
    }

    pub(crate) const fn carried(&self) -> Option<u32> {
        self.carried
    }

    pub(crate) const fn not(&self) -> Option<u32> {
        self.not
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIMB: Climb = Climb { from: 600, to: 8_000 };

    /// Searches on a core that `capacity` fills; returns the search and the number of attempts.
    fn search(capacity: f64, guess: Option<u32>) -> (Search, usize) {
        let mut search = Search::new(CLIMB, guess);
        for attempts in 0..40 {
            let Some(amount) = search.poll() else { return (search, attempts) };
            let share = f64::from(amount) / capacity * FULL_SHARE;
            search.on_attempt(amount, share, share < FULL_SHARE);
        }
        panic!("no end: {search:?}");
    }

    #[test]
    fn a_search_comes_near_to_what_a_core_carries_in_few_attempts() {
        for capacity in [150.0, 700.0, 1_300.0, 5_500.0, 7_900.0] {
            for guess in [None, Some(1_200)] {
                let (search, attempts) = search(capacity, guess);
                let carried = f64::from(search.carried().unwrap());
                assert!(carried < capacity && carried * 1.06 > capacity, "{capacity}: {search:?}");
                assert!(attempts <= 11, "{capacity}: {attempts}");
            }
        }
    }

    #[test]
    fn a_search_ends_at_the_most_that_is_tried() {
        let (search, _) = search(1e6, None);
        assert_eq!((search.carried(), search.not()), (Some(8_000), None));
    }

    #[test]
    fn a_search_that_finds_nothing_ends() {
        let mut search = Search::new(CLIMB, None);
        while let Some(amount) = search.poll() {
            search.on_attempt(amount, 0.1, false);
        }
        assert_eq!((search.carried(), search.not()), (None, Some(1)));
    }

    fn quiet() -> Figures {
        Figures {
            cpu_share: 0.5,
            ready: true,
            due_share: Some(0.99),
            real_time: Some(1.0),
            latency_p99_ms: Some(3.0),
            loader_core: 0.5,
            ..Figures::default()
        }
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let judged = |change: fn(&mut Figures)| {
            let mut figures = quiet();
            change(&mut figures);
            judge(&figures)
        };
        assert_eq!(judged(|_| {}), None);
        assert_eq!(judged(|figures| figures.loader_core = 1.0), None, "it managed");
        assert_eq!(judged(|figures| figures.cpu_share = 0.96), Some(Limit::Processor));
        assert_eq!(judged(|figures| figures.faults = 1), Some(Limit::Loss));
        assert_eq!(judged(|figures| figures.ready = false), Some(Limit::Absent));
        assert_eq!(judged(|figures| figures.due_share = Some(0.9)), Some(Limit::Late));
        assert_eq!(judged(|figures| figures.latency_p99_ms = Some(2e3)), Some(Limit::Late));
        assert_eq!(judged(|figures| figures.real_time = Some(0.9)), Some(Limit::Loader));
        let both = |figures: &mut Figures| {
            figures.loader_core = 0.99;
            figures.due_share = Some(0.5);
        };
        assert_eq!(judged(both), Some(Limit::Loader));
        let stolen = |figures: &mut Figures| {
            figures.cpu_share = 0.8;
            figures.steal = 0.17;
        };
        assert_eq!(judged(stolen), Some(Limit::Processor), "the host gave no more");
    }
}
