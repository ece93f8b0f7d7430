//! Streams that live through the edges of RTMP's clock: 24 bits, 31 bits, 32 bits.

use crate::support::machine;
use crate::support::relay::Relay;
use crate::support::rtmp::block_on;
use crate::support::scripted::{Encoder, Viewer};
use crate::support::synthetic::Source;

/// Messages before and after the edge, 20 ms each.
const BEFORE: u16 = 100;
const AFTER: u16 = 100;

fn survives(edge: u32) {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    let (reached, end) = (u64::from(BEFORE) - 1, u64::from(BEFORE + AFTER) - 1);
    block_on(async {
        let first = edge.wrapping_sub(u32::from(BEFORE) * 20);
        let mut encoder = Encoder::start(&url, 1).await;
        encoder.source = Source::new(1, 2_000).starting_at(first);
        let mut early = Viewer::start(&url).await;
        encoder.send(BEFORE.into()).await;
        early.watch_until(1, reached).await;
        encoder.send(AFTER.into()).await;
        early.watch_until(1, end).await;
        // Joins beyond the edge.
        let mut late = Viewer::start(&url).await;
        late.watch_until(1, end).await;
        for Viewer { sink, .. } in [early, late] {
            assert!(sink.is_unbroken(), "{sink:?}");
        }
    });
}

#[test]
fn a_stream_survives_four_hours_and_forty_minutes() {
    survives(0x00FF_FFFF);
}

#[test]
fn a_stream_survives_twenty_five_days() {
    survives(0x8000_0000);
}

#[test]
fn a_stream_survives_fifty_days() {
    survives(0);
}
