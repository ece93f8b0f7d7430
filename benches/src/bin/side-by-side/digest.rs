//! What only several scenarios together say: whether cost stays flat, and what players and streams
//! take of memory. Pure.

use super::outcome::{ContenderOutcome, ScenarioOutcome};
use super::scenario::FIRST_CONGESTION;
use super::store::Store;

/// A table of its own.
#[derive(Debug)]
pub(crate) struct Digest {
    pub(crate) title: &'static str,
    /// What the columns mean.
    pub(crate) note: &'static str,
    pub(crate) rows: Vec<Vec<String>>,
}

/// All that there are figures for.
pub(crate) fn of(store: &Store) -> Vec<Digest> {
    let find = |name| store.find(name, FIRST_CONGESTION);
    let fan_outs = find("fan-out-50").zip(find("fan-out-500"));
    let manys = find("many-100").zip(find("many-200"));
    let flat = fan_outs.map(|(few, many)| Digest {
        title: "Whether cost stays flat: 500 players over 50",
        note: "Medians of `fan-out-50` and `fan-out-500`.",
        rows: flatness(few, many),
    });
    let memory = Digest {
        title: "Resident memory",
        note: "KiB. A playing player is what one more took from `fan-out-50` to `fan-out-500`; a \
               stream what one more took, with its player, from `many-100` to `many-200`, where a \
               group of pictures has 122 KiB; an idle player is one of `idle-10000`.",
        rows: memory(find("idle-10000"), fan_outs, manys),
    };
    flat.into_iter().chain([memory]).filter(|digest| digest.rows.len() > 1).collect()
}

fn flatness(few: &ScenarioOutcome, many: &ScenarioOutcome) -> Vec<Vec<String>> {
    let cost = |contender: &ContenderOutcome| {
        Some(contender.spread(|figures| figures.cpu_per_gigabit)?.median)
    };
    let row = |contender: &ContenderOutcome| {
        let (at_few, at_many) = (cost(few.contender(&contender.name)?)?, cost(contender)?);
        let ratio = format!("{:.2}", at_many / at_few);
        Some(vec![contender.name.clone(), format!("{at_few:.3}"), format!("{at_many:.3}"), ratio])
    };
    with_head(
        ["contender", "s/Gbit at 50", "s/Gbit at 500", "500 over 50"],
        many.contenders.iter().filter_map(row),
    )
}

type Pair<'a> = Option<(&'a ScenarioOutcome, &'a ScenarioOutcome)>;

fn memory(idle: Option<&ScenarioOutcome>, fan_outs: Pair<'_>, manys: Pair<'_>) -> Vec<Vec<String>> {
    let grown = |outcome: &ScenarioOutcome, name: &str| {
        let resident = outcome.contender(name)?.spread(|figures| Some(figures.resident_grown_kib));
        Some(resident?.median)
    };
    let one_more = |pair: Pair<'_>, name: &str| {
        let (few, many) = pair?;
        let more = f64::from(many.players) - f64::from(few.players);
        Some((grown(many, name)? - grown(few, name)?) / more)
    };
    let outcomes = [idle, fan_outs.map(|(_, many)| many), manys.map(|(_, many)| many)];
    let mut names: Vec<&str> = Vec::new();
    for contender in outcomes.into_iter().flatten().flat_map(|outcome| &outcome.contenders) {
        if !names.contains(&contender.name.as_str()) {
            names.push(&contender.name);
        }
    }
    let shown = |kib: Option<f64>| kib.map_or("-".into(), |kib| format!("{kib:.1}"));
    let row = |name: &str| {
        let idle = idle.and_then(|idle| Some(grown(idle, name)? / f64::from(idle.players.max(1))));
        let cells = [idle, one_more(fan_outs, name), one_more(manys, name)];
        let measured = cells.iter().any(Option::is_some);
        let row = [name.to_owned()].into_iter().chain(cells.map(shown)).collect();
        measured.then_some(row)
    };
    with_head(
        ["contender", "idle player", "playing player", "stream and its player"],
        names.into_iter().filter_map(row),
    )
}

fn with_head<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    [head.map(str::to_owned).to_vec()].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    /// One contender whose every round cost so much and grew so far.
    fn of_players(players: u32, cost: f64, grown_kib: f64) -> ScenarioOutcome {
        let mut outcome = outcome(&[("one", None, &[cost])]);
        outcome.players = players;
        for figures in outcome.contenders.iter_mut().flat_map(|one| &mut one.rounds).flatten() {
            figures.resident_grown_kib = grown_kib;
        }
        outcome
    }

    #[test]
    fn scenarios_of_one_kind_are_compared() {
        let mut store = Store::default();
        store.put("fan-out-50", FIRST_CONGESTION, of_players(50, 0.2, 1_000.0));
        assert!(of(&store).is_empty());
        store.put("fan-out-500", FIRST_CONGESTION, of_players(500, 0.3, 5_500.0));
        store.put("idle-10000", FIRST_CONGESTION, of_players(10_000, 0.0, 50_000.0));
        let digests = of(&store);
        let rows: Vec<_> = digests.iter().map(|digest| digest.rows[1].join(" ")).collect();
        assert_eq!(rows, ["one 0.200 0.300 1.50", "one 5.0 10.0 -"]);
    }
}
