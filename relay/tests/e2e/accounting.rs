//! What the kernel counts against what both ends count: with the kernel programs, which need rights
//! that not every machine gives, and without.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use edgerelay_ebpf_common::LAYOUT_VERSION;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::eventually::{eventually, throughout};
use crate::support::ffmpeg::{Player, publish_looped};
use crate::support::fleet::{fleet, wait_for_state};
use crate::support::kernel::{Loader, PinPlace, pinned};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::meter::Meter;
use crate::support::namespace::{in_own_network, mounts, segments_sent_again, set_loopback};
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::block_on;
use crate::support::scripted::{Encoder, Viewer};

const LIMIT: Duration = Duration::from_secs(20);

/// What kernel and test may differ by, of a connection that is open.
const TOLERANCE: f64 = 0.001;

/// The kernel's figures of the only client with `role`, once there are any from `source`.
#[track_caller]
fn kernel_figures(relay: &Relay, role: &str, source: &str) -> Value {
    eventually(&format!("figures of {role} from {source}"), LIMIT, || {
        let clients: Value = serde_json::from_str(&relay.ask("/api/v1/clients").body).ok()?;
        let clients = clients["clients"].as_array()?.clone();
        let mut found = clients.into_iter().filter(|client| client["role"] == role);
        let kernel = found.next()?["kernel"].clone();
        assert!(found.next().is_none(), "one client with the role {role}");
        (kernel["source"] == source).then_some(kernel)
    })
}

fn bytes(kernel: &Value, direction: &str) -> u64 {
    kernel[direction].as_u64().expect("a count of bytes")
}

/// Waits until the figure of an open connection has caught up with what passed by now, and holds it
/// against what passed then.
#[track_caller]
fn assert_follows(what: &str, kernel: impl Fn() -> u64, passed: impl Fn() -> u64) {
    let (goal, asked) = (passed() as f64, Instant::now());
    let counted = eventually(what, LIMIT, || {
        let counted = kernel();
        (counted as f64 >= goal * (1.0 - TOLERANCE)).then_some(counted)
    });
    let now = passed() as f64;
    println!("{what}: {goal} bytes were counted {:?} later as {counted}", asked.elapsed());
    assert!(counted as f64 <= now * (1.0 + TOLERANCE), "{what}: {counted} of {now} bytes");
}

/// What the kernel counted over all connections on the RTMP listener, once `closed` of them are over.
#[track_caller]
fn wait_for_closed(relay: &Relay, closed: f64) -> (u64, u64) {
    let over_roles = |name: &str| -> f64 {
        ["idle", "publish", "play"]
            .iter()
            .map(|role| relay.metric(name, &[&format!("role=\"{role}\"")]))
            .sum()
    };
    eventually("all connections to be closed", LIMIT, || {
        let opened = over_roles("edgerelay_kernel_connections_opened_total");
        let done = over_roles("edgerelay_kernel_connections_closed_total");
        (opened == done && done >= closed).then_some(())
    });
    let total = |name| over_roles(name) as u64;
    (total("edgerelay_kernel_received_bytes_total"), total("edgerelay_kernel_sent_bytes_total"))
}

fn attached(relay: &Relay, value: f64) {
    relay.wait_for_metric("edgerelay_ebpf_attached", &[], LIMIT, |found| found == value);
}

/// ffmpeg publishes and plays for `span`: what the kernel counts is held against what passed on both
/// ends, while it runs and when it is over.
fn ffmpeg_is_counted(span: Duration) {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    let mut loader = Loader::start(&settings);
    let relay = settings.start();
    attached(&relay, 1.0);
    let (publisher_way, player_way) = (Meter::new(relay.address()), Meter::new(relay.address()));
    let mut publisher = publish_looped(Clip::Plain.path(), &publisher_way.url("cam1"));
    relay.wait_for_streams(1);
    let mut player = Player::start(&player_way.url("cam1"));
    let started = Instant::now();
    player.wait_for_frames(10, LIMIT);
    let mut looks = 0;
    while looks < 3 || started.elapsed() < span {
        assert_follows(
            "publisher, in",
            || bytes(&kernel_figures(&relay, "publish", "ebpf"), "bytes_in"),
            || publisher_way.bytes_in(),
        );
        assert_follows(
            "player, out",
            || bytes(&kernel_figures(&relay, "play", "ebpf"), "bytes_out"),
            || player_way.bytes_out(),
        );
        looks += 1;
        player.wait_for_frames(player.frames().count() + 30, LIMIT);
    }
    let player_figures = kernel_figures(&relay, "play", "ebpf");
    assert!(player_figures["rtt_seconds"].as_f64().expect("a number") > 0.0, "{player_figures}");
    publisher.stop(LIMIT);
    drop(player);
    let (received, sent) = wait_for_closed(&relay, 2.0);
    let to_relay = publisher_way.bytes_in() + player_way.bytes_in();
    let from_relay = publisher_way.bytes_out() + player_way.bytes_out();
    println!("over: {received} of {to_relay} bytes received, {sent} of {from_relay} bytes sent");
    // Two connections: a FIN of each may be counted, and what nobody read any more.
    assert!(received.abs_diff(to_relay) <= 2, "{received} received, {to_relay} handed over");
    assert!(sent >= from_relay, "{sent} acknowledged, {from_relay} read");
    let unread = (sent - from_relay) as f64;
    assert!(unread <= from_relay as f64 * TOLERANCE || unread <= 512e3, "{unread} bytes unread");
    loader.stop();
}

#[test]
fn accounting_agrees_with_both_ends_of_ffmpeg() {
    ffmpeg_is_counted(Duration::from_secs(5));
}

#[test]
#[ignore = "half a minute; `cargo xtask test --only soak` runs it"]
fn soak_accounting_agrees_with_both_ends_of_ffmpeg_for_half_a_minute() {
    ffmpeg_is_counted(Duration::from_secs(30));
}

#[test]
fn accounting_of_a_publisher_that_only_sends_is_fresh() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    let _loader = Loader::start(&settings);
    let relay = settings.start();
    attached(&relay, 1.0);
    let way = Meter::new(relay.address());
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        for _ in 0..3 {
            encoder.send(200).await;
            let counted = || bytes(&kernel_figures(&relay, "publish", "ebpf"), "bytes_in");
            assert_follows("publisher that only sends", counted, || way.bytes_in());
        }
        // Nothing is sent any more: soon not a byte may be missing.
        eventually("every byte", LIMIT, || {
            let counted = bytes(&kernel_figures(&relay, "publish", "ebpf"), "bytes_in");
            (counted == way.bytes_in() && counted > 300_000).then_some(())
        });
        encoder.peer.close().await.expect("closes");
    });
    let (received, sent) = wait_for_closed(&relay, 1.0);
    assert!(received.abs_diff(way.bytes_in()) <= 1, "{received} of {}", way.bytes_in());
    assert!(sent.abs_diff(way.bytes_out()) <= 1, "{sent} of {}", way.bytes_out());
}

#[test]
fn accounting_of_a_thousand_short_connections_is_exact() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    let _loader = Loader::start(&settings);
    let relay = settings.start();
    attached(&relay, 1.0);
    for _ in 0..1000 {
        drop(TcpStream::connect(relay.address()).expect("connects"));
    }
    wait_for_closed(&relay, 1000.0);
    let rtmp = "service=\"rtmp\"";
    for name in ["edgerelay_kernel_service_opened_total", "edgerelay_kernel_service_closed_total"] {
        relay.wait_for_metric(name, &[rtmp], LIMIT, |count| count >= 1000.0);
        assert_eq!(relay.metric(name, &[rtmp]), 1000.0, "{name}");
    }
    let idle = "role=\"idle\"";
    assert_eq!(relay.metric("edgerelay_kernel_connections_opened_total", &[idle]), 1000.0);
    assert_eq!(relay.metric("edgerelay_kernel_connections", &[idle]), 0.0);
    assert_eq!(relay.metric("edgerelay_kernel_untracked_total", &[]), 0.0);
}

#[test]
fn accounting_picks_up_connections_from_before_and_survives_its_loader() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    let relay = settings.clone().start();
    let way = Meter::new(relay.address());
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        encoder.send(100).await;
        // Nobody loads anything: the socket is asked.
        let counted = || bytes(&kernel_figures(&relay, "publish", "tcp_info"), "bytes_in");
        assert_follows("publisher before the loader", counted, || way.bytes_in());
        eventually("the log to say why", LIMIT, || {
            relay.log().contains("nothing is pinned in").then_some(())
        });
        // A loader comes: it finds the connection.
        let mut first = Loader::start(&settings);
        attached(&relay, 1.0);
        encoder.send(100).await;
        let counted = || bytes(&kernel_figures(&relay, "publish", "ebpf"), "bytes_in");
        assert_follows("publisher from before", counted, || way.bytes_in());
        // Another takes its place, and the first leaves the pins to it.
        let mut second = Loader::start(&settings);
        first.succeed();
        assert!(first.log().contains("another loader has taken over"), "{}", first.log());
        // It dies: the programs count on, and the next loader finds everything.
        second.kill();
        encoder.send(100).await;
        drop(TcpStream::connect(relay.address()).expect("connects"));
        let mut third = Loader::start_with(&settings, &["--keep-pins"]);
        attached(&relay, 1.0);
        let rtmp = "service=\"rtmp\"";
        let opened = "edgerelay_kernel_service_opened_total";
        relay.wait_for_metric(opened, &[rtmp], LIMIT, |count| count == 2.0);
        // It stops and leaves the pins: counting goes on.
        third.stop();
        encoder.send(100).await;
        assert_follows("publisher without a loader", counted, || way.bytes_in());
        // The last one takes everything away.
        let mut fourth = Loader::start(&settings);
        assert_eq!(pinned(&place.pins()).len(), 6, "{:?}", pinned(&place.pins()));
        fourth.stop();
        assert_eq!(pinned(&place.pins()), Vec::<String>::new());
        attached(&relay, 0.0);
        encoder.send(100).await;
        let counted = || bytes(&kernel_figures(&relay, "publish", "tcp_info"), "bytes_in");
        assert_follows("publisher after the loaders", counted, || way.bytes_in());
        encoder.peer.close().await.expect("closes");
    });
    let (received, _) = wait_for_closed(&relay, 2.0);
    assert!(received.abs_diff(way.bytes_in()) <= 2, "{received} of {}", way.bytes_in());
}

#[test]
fn accounting_replaces_pins_of_another_layout() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    let mut old = Loader::start_with(&settings, &["--keep-pins"]);
    old.stop();
    place.pretend_layout(LAYOUT_VERSION + 1);
    let relay = settings.clone().start();
    let found = format!("the maps are of layout {}", LAYOUT_VERSION + 1);
    eventually("the log to say why", LIMIT, || relay.log().contains(&found).then_some(()));
    attached(&relay, 0.0);
    let mut new = Loader::start(&settings);
    assert!(new.log().contains("pins of another layout are replaced"), "{}", new.log());
    attached(&relay, 1.0);
    drop(TcpStream::connect(relay.address()).expect("connects"));
    wait_for_closed(&relay, 1.0);
    new.stop();
    assert_eq!(pinned(&place.pins()), Vec::<String>::new());
}

#[test]
fn accounting_sums_up_every_role() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let far = Settings::new().app("[[app]]").app("name = \"copies\"").start();
    let far_app = |app| format!("rtmp://{}/{app}", far.address());
    let settings = fleet(&far_app("live"))
        .accounting(&place.setting())
        .push(&format!("{}/{{name}}", far_app("copies")));
    let _loader = Loader::start(&settings);
    let relay = settings.start();
    attached(&relay, 1.0);
    let way = Meter::new(relay.address());
    let publisher = publish_looped(Clip::Plain.path(), &way.url("cam1"));
    relay.wait_for_streams(1);
    let mut player = Player::start(&relay.url("cam1"));
    player.wait_for_frames(10, LIMIT);
    wait_for_state(&relay, "cam1", "relaying", LIMIT);
    let counted = |what, role| {
        let role = format!("role=\"{role}\"");
        move |relay: &Relay| relay.metric(&format!("edgerelay_kernel_{what}"), &[&role])
    };
    // Each moves media one way, and commands or acknowledgements the other.
    for role in ["publish", "play", "push", "worker", "http"] {
        for what in ["connections_opened_total", "received_bytes_total", "sent_bytes_total"] {
            eventually(&format!("{what} of {role}"), LIMIT, || {
                (counted(what, role)(&relay) > 0.0).then_some(())
            });
        }
    }
    for role in ["publish", "play", "push", "worker"] {
        assert_eq!(counted("connections", role)(&relay), 1.0, "{role}");
    }
    assert_follows(
        "publish, in",
        || counted("received_bytes_total", "publish")(&relay) as u64,
        || way.bytes_in(),
    );
    drop((publisher, player));
    for role in ["publish", "play", "push", "worker"] {
        eventually(&format!("the end of {role}"), LIMIT, || {
            let closed = counted("connections_closed_total", role)(&relay);
            let opened = counted("connections_opened_total", role)(&relay);
            (closed == opened && counted("connections", role)(&relay) == 0.0).then_some(())
        });
    }
}

#[test]
fn accounting_counts_what_was_sent_again() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    in_own_network(|| {
        // So that what is lost is the relay's: it sends at its next step, when the way is closed.
        let settings =
            place.settings().rtmp("merge_window = \"3s\"").rtmp("merge_window_max = \"3s\"");
        let _loader = Loader::start(&settings);
        let relay = settings.start();
        attached(&relay, 1.0);
        block_on(async {
            let mut encoder = Encoder::start(&relay.url("cam1"), 1).await;
            encoder.send(50).await;
            let mut viewer = Viewer::start(&relay.url("cam1")).await;
            viewer.watch_until(1, encoder.source.made() - 1).await;
            encoder.send(50).await;
            set_loopback("down");
            let port = relay.address().port();
            eventually("segments to be sent again", LIMIT, || {
                (segments_sent_again(port) > 1).then_some(())
            });
            set_loopback("up");
            viewer.watch_until(1, encoder.source.made() - 1).await;
            let roles = ["publish", "play"].map(|role| format!("role=\"{role}\""));
            let name = "edgerelay_kernel_retransmits_total";
            let in_all = eventually("the same count", LIMIT, || {
                let counted: f64 = roles.iter().map(|role| relay.metric(name, &[role])).sum();
                let in_all = segments_sent_again(port);
                println!("{counted} of {in_all} segments sent again");
                (counted == in_all as f64).then_some(in_all)
            });
            assert!(in_all > 1);
        });
    });
}

#[test]
fn accounting_takes_three_capabilities_and_reading_it_takes_none() {
    const LOADER: [&str; 4] =
        ["--bounding-set", "-all,+bpf,+net_admin,+perfmon", "--inh-caps", "-all"];
    const NOBODY: [&str; 9] = [
        "--reuid",
        "65534",
        "--regid",
        "0",
        "--clear-groups",
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
    ];
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let settings = place.settings();
    place.open();
    let mut loader = Loader::start_by(&settings, "setpriv", &LOADER);
    let relay = settings.start_by("setpriv", &NOBODY);
    attached(&relay, 1.0);
    let way = Meter::new(relay.address());
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        encoder.send(100).await;
        let counted = || bytes(&kernel_figures(&relay, "publish", "ebpf"), "bytes_in");
        assert_follows("publisher", counted, || way.bytes_in());
        encoder.peer.close().await.expect("closes");
    });
    loader.stop();
}

#[test]
fn accounting_goes_without_the_kernels_description_of_its_types() {
    let _machine = machine::shared();
    let Some(place) = PinPlace::new() else { return };
    let Some(namespaces) = mounts() else { return };
    let settings = place.settings();
    let loader = Loader::start_without_types(&settings, namespaces);
    assert!(loader.log().contains("when they measure a round trip"), "{}", loader.log());
    let relay = settings.start();
    attached(&relay, 1.0);
    let way = Meter::new(relay.address());
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        let viewer_way = Meter::new(relay.address());
        let mut viewer = Viewer::start(&viewer_way.url("cam1")).await;
        // Whoever is sent something measures round trips, and the programs see it then. Whoever only
        // sends is seen by asking the socket.
        let started = Instant::now();
        loop {
            encoder.send(50).await;
            viewer.watch_until(1, encoder.source.made() - 1).await;
            let clients: Value =
                serde_json::from_str(&relay.ask("/api/v1/clients").body).expect("JSON");
            let clients = clients["clients"].as_array().expect("a list").iter();
            if clients.filter(|it| it["role"] == "play").any(|it| it["kernel"]["source"] == "ebpf")
            {
                break;
            }
            assert!(started.elapsed() < LIMIT, "the programs see who is sent something");
        }
        let counted = || bytes(&kernel_figures(&relay, "publish", "tcp_info"), "bytes_in");
        assert_follows("publisher that only sends", counted, || way.bytes_in());
        viewer.peer.close().await.expect("closes");
        encoder.peer.close().await.expect("closes");
    });
    let (received, _) = wait_for_closed(&relay, 2.0);
    println!("{received} received, {} handed over by the publisher", way.bytes_in());
    assert!(received >= way.bytes_in());
}

#[test]
fn accounting_without_a_loader_counts_the_same() {
    let _machine = machine::shared();
    let settings = Settings::new().accounting("pin_dir = \"/nowhere/edgerelay\"");
    let relay = settings.start();
    let way = Meter::new(relay.address());
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        encoder.send(100).await;
        let counted = || bytes(&kernel_figures(&relay, "publish", "tcp_info"), "bytes_in");
        assert_follows("publisher", counted, || way.bytes_in());
        encoder.peer.close().await.expect("closes");
    });
    let (received, sent) = wait_for_closed(&relay, 1.0);
    assert!(received.abs_diff(way.bytes_in()) <= 1, "{received} of {}", way.bytes_in());
    assert!(sent <= way.bytes_out() + 1, "{sent} of {}", way.bytes_out());
    assert_eq!(relay.metric("edgerelay_ebpf_attached", &[]), 0.0);
    let warnings = relay.log().matches("sockets are asked instead").count();
    assert_eq!(warnings, 1, "it says so once, and why");
}

#[test]
fn accounting_without_a_loader_asks_no_socket_that_rests() {
    let _machine = machine::shared();
    let folder = TempDir::new().expect("a temporary folder");
    let calls = folder.path().join("calls");
    let watched = ["-D", "-f", "-qq", "-e", "trace=getsockopt", "-o"];
    let arguments = [&watched[..], &[calls.to_str().expect("text")]].concat();
    let settings = Settings::new().accounting("pin_dir = \"/nowhere/edgerelay\"");
    let relay = settings.start_by("strace", &arguments);
    let asked = || {
        let calls = std::fs::read_to_string(&calls).expect("strace writes");
        calls.matches("TCP_INFO").count()
    };
    let way = Meter::new(relay.address());
    let received =
        || relay.metric("edgerelay_kernel_received_bytes_total", &["role=\"publish\""]) as u64;
    block_on(async {
        let mut encoder = Encoder::start(&way.url("cam1"), 1).await;
        for round in ["at first", "after a rest"] {
            let before = asked();
            encoder.send(100).await;
            eventually("the socket to be asked", LIMIT, || (asked() > before).then_some(()));
            // Once more for what had come and gone since, once more for what was on its way. No page is
            // asked for meanwhile, as that asks, too.
            let most = asked() + 2;
            throughout("the socket's rest", Duration::from_secs(6), || asked() <= most);
            assert_eq!(received(), way.bytes_in(), "{round}");
        }
        encoder.peer.close().await.expect("closes");
    });
}
