//! The table of transitions itself.

use std::collections::BTreeSet;

use super::super::*;

#[test]
fn a_state_and_an_event_lead_to_one_state() {
    let pairs: BTreeSet<_> = TRANSITIONS.iter().map(|(from, event, _)| (*from, *event)).collect();
    assert_eq!(pairs.len(), TRANSITIONS.len());
}

#[test]
fn every_state_can_be_reached_and_left_but_the_last() {
    let mut reached = BTreeSet::from([StreamState::Pending]);
    for _ in StreamState::ALL {
        for (from, _, to) in TRANSITIONS {
            if reached.contains(from) {
                reached.insert(*to);
            }
        }
    }
    assert_eq!(reached, BTreeSet::from(StreamState::ALL));
    for state in StreamState::ALL {
        let left = TRANSITIONS.iter().any(|(from, ..)| *from == state);
        assert_eq!(left, state != StreamState::Done, "{state:?}");
    }
}

#[test]
fn a_publication_can_end_in_every_state() {
    for state in StreamState::ALL {
        let ends = state.after(Event::Ended).is_some();
        let over = matches!(state, StreamState::Draining | StreamState::Done);
        assert_eq!(ends, !over, "{state:?}");
    }
}

#[test]
fn what_is_not_in_the_table_does_not_happen() {
    assert_eq!(StreamState::Pending.after(Event::Begun), None);
    assert_eq!(StreamState::Done.after(Event::Republished), None);
    assert_eq!(StreamState::Pending.after(Event::Placed), Some(StreamState::Assigned));
}
