//! Another process takes the place of a running one: nobody is turned away, nobody is interrupted.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::notify::NotifySocket;
use crate::support::process::{Process, code};
use crate::support::relay::{BINARY, Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::swarm::Swarm;

const LIMIT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(20);
/// C0 and C1; the answer is as long, and as long again without its first byte.
const HELLO_BYTES: usize = 1 + 1536;

/// The process that took over. It ends with the test.
struct Successor(Pid);

impl Successor {
    /// Has another process take the relay's place, and waits until that answers.
    #[track_caller]
    fn of(relay: &Relay) -> Self {
        relay.signal(Signal::USR2);
        let pid = eventually("another process that answers", LIMIT, || {
            relay.answering().filter(|pid| *pid != relay.pid())
        });
        Self(Pid::from_raw(pid).expect("a process id"))
    }

    /// Ends it as systemd does, and waits for that.
    #[track_caller]
    fn stop(self) {
        kill_process(self.0, Signal::TERM).expect("it runs");
        let pid = self.0.as_raw_nonzero().get();
        eventually("the end of the successor", LIMIT, || is_over(pid).then_some(()));
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _gone = kill_process(self.0, Signal::KILL);
    }
}

/// Waits until the process is over, though the successor still holds what it prints to.
#[track_caller]
fn wait_until_over(relay: &Relay) {
    let pid = relay.pid();
    eventually("the end of the old process", LIMIT, || is_over(pid).then_some(()));
}

/// Whether a process runs no more, though nobody may have asked how it ended.
fn is_over(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| {
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X']))
    })
}

/// The process whose child it is.
fn parent(successor: &Successor) -> Option<i32> {
    let path = format!("/proc/{}/stat", successor.0.as_raw_nonzero());
    let stat = std::fs::read_to_string(path).ok()?;
    stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}

/// Connects a hundred times a second, shakes hands and leaves.
struct Visitors {
    served: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Visitors {
    fn start(address: SocketAddr) -> Self {
        let (served, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, told) = (served.clone(), stop.clone());
        let thread = thread::spawn(move || {
            block_on(async move {
                let mut faults = Vec::new();
                let mut visits = JoinSet::new();
                let mut ticks = interval(Duration::from_millis(10));
                while !told.load(Relaxed) {
                    ticks.tick().await;
                    let counted = counted.clone();
                    visits.spawn(async move {
                        visit(address).await.map(|()| counted.fetch_add(1, Relaxed))
                    });
                }
                for visit in visits.join_all().await {
                    faults.extend(visit.err().map(|error| error.to_string()));
                }
                faults
            })
        });
        Self { served, stop, thread }
    }

    #[track_caller]
    fn wait_for(&self, more: u64) {
        let until = self.served.load(Relaxed) + more;
        eventually("more visitors to be served", LIMIT, || {
            (self.served.load(Relaxed) >= until).then_some(())
        });
    }

    fn finish(self) -> Vec<String> {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("the visitors do not panic")
    }
}

async fn visit(address: SocketAddr) -> std::io::Result<()> {
    let visit = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut hello = [0; HELLO_BYTES];
        hello[0] = 3;
        stream.write_all(&hello).await?;
        stream.read_exact(&mut [0; 2 * HELLO_BYTES - 1]).await?;
        Ok::<(), std::io::Error>(())
    };
    timeout(LIMIT, visit).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[test]
fn an_upgrade_turns_nobody_away_and_interrupts_no_stream() {
    let _machine = machine::shared();
    let mut relay = Settings::new().node("drain_timeout = \"2s\"").start();
    let urls: Vec<_> = (0..4).map(|number| relay.url(&format!("cam{number}"))).collect();
    let publishers = Swarm::publish(urls.clone(), 2_500, PERIOD);
    publishers.wait_until_ready();
    let players = Swarm::play(urls);
    players.wait_until_ready();
    let source = Clip::Plain.frames();
    let viewer = Player::start(&relay.url("clip"));
    relay.wait_for_role("play", 5);
    let mut encoder = publish(Clip::Plain.path(), &relay.url("clip"), Pace::RealTime);
    relay.wait_for_streams(5);
    let visitors = Visitors::start(relay.address());
    visitors.wait_for(50);

    let successor = Successor::of(&relay);
    visitors.wait_for(100);
    let fresh = Swarm::publish(vec![relay.url("fresh")], 2_500, PERIOD);
    fresh.wait_until_ready();
    let watching = Swarm::play(vec![relay.url("fresh")]);
    watching.wait_until_ready();
    relay.wait_for_streams(1);
    let before = players.messages();
    eventually("what the old process carries to go on", LIMIT, || {
        (players.messages() > before + 200).then_some(())
    });
    assert_eq!(visitors.finish(), Vec::<String>::new(), "all were served");
    encoder.succeed(LIMIT);
    viewer.finish(LIMIT).is_all_of(&source).unwrap();
    assert!(publishers.is_well() && players.is_well());

    assert_eq!(publishers.finish(), Vec::<String>::new());
    assert_eq!(players.finish(), Vec::<String>::new());
    wait_until_over(&relay);
    assert!(fresh.is_well() && watching.is_well(), "the new process goes on");
    assert_eq!(fresh.finish(), Vec::<String>::new());
    assert_eq!(watching.finish(), Vec::<String>::new());
    successor.stop();
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn an_upgrade_that_fails_changes_nothing_and_one_after_it_works() {
    let _machine = machine::shared();
    let settings = Settings::new().node("shards = 3");
    let settings_text = settings.text().replace("shards = 2\n", "");
    let mut relay = Settings::new().at(settings.rtmp_address()).start();
    let publisher = Swarm::publish(vec![relay.url("cam")], 1_000, PERIOD);
    publisher.wait_until_ready();
    relay.write("[node]\nnot_a_key = 1\n");
    relay.signal(Signal::USR2);
    eventually("the failure in the log", LIMIT, || {
        relay.log().contains("no other process takes over").then_some(())
    });
    assert!(relay.log().contains("edgerelay.toml:2:1: node.not_a_key"), "{}", relay.log());
    assert_eq!(relay.answering(), Some(relay.pid()));
    block_on(async { Peer::publish(&relay.url("other")).await.expect("served as before") });

    // With another number of shards, and at another place for HTTP.
    relay.write(&settings_text);
    relay.signal(Signal::USR2);
    let http = settings.http_address();
    let pid = eventually("another process that answers elsewhere", LIMIT, || {
        crate::support::http::ask(http, "/stat").and_then(|answer| {
            answer.body.split_once("<pid>")?.1.split_once("</pid>")?.0.parse().ok()
        })
    });
    let successor = Successor(Pid::from_raw(pid).expect("a process id"));
    block_on(async {
        for number in 0..20 {
            let url = relay.url(&format!("new{number}"));
            Peer::publish(&url).await.expect("each socket has its shard");
        }
    });
    assert!(publisher.is_well());
    drop(publisher);
    wait_until_over(&relay);
    successor.stop();
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn the_end_of_the_successor_waits_for_the_old_process_to_drain() {
    let _machine = machine::shared();
    let mut relay = Settings::new().node("drain_timeout = \"2s\"").start();
    let publisher = Swarm::publish(vec![relay.url("cam")], 1_000, PERIOD);
    publisher.wait_until_ready();
    let successor = Successor::of(&relay);
    let pid = successor.0.as_raw_nonzero().get();
    let told = Instant::now();
    kill_process(successor.0, Signal::TERM).expect("it runs");
    // To systemd it is the service: whatever is left when it ends is killed.
    eventually("the end of the old process, which drains", LIMIT, || {
        let (old, new) = (is_over(relay.pid()), is_over(pid));
        assert!(old || !new, "the successor has not waited");
        old.then_some(())
    });
    assert!(told.elapsed() >= Duration::from_secs(2), "it drained for {:?}", told.elapsed());
    eventually("the end of the successor", LIMIT, || is_over(pid).then_some(()));
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn systemd_follows_an_upgrade() {
    let _machine = machine::shared();
    let systemd = NotifySocket::start();
    let mut relay = Settings::new().environment("NOTIFY_SOCKET", &systemd.address()).start();
    systemd.hear("READY=1");
    let successor = Successor::of(&relay);
    let told = systemd.hear("MAINPID=");
    assert!(told.contains(&format!("MAINPID={}\n", successor.0.as_raw_nonzero())), "{told}");
    systemd.hear("READY=1");
    // It is told of the end of its own children alone.
    assert_ne!(parent(&successor), Some(relay.pid()), "the successor is nobody's but init's");
    // Nobody was left to be served.
    wait_until_over(&relay);
    assert!(systemd.rest().iter().all(|told| !told.contains("STOPPING")), "the service goes on");
    successor.stop();
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn a_socket_that_systemd_gives_is_served_with_what_waits_in_its_queue() {
    let _machine = machine::shared();
    let settings = Settings::new();
    let listener = TcpListener::bind(settings.rtmp_address()).unwrap();
    let url = format!("rtmp://{}/live/early", settings.rtmp_address());
    let early = thread::spawn(move || block_on(async { Peer::publish(&url).await.map(drop) }));
    let relay = settings.start_with_socket(listener);
    early.join().expect("no panic").expect("served once the relay runs");
    let urls = (0..10).map(|number| relay.url(&format!("cam{number}"))).collect();
    let publishers = Swarm::publish(urls, 1_000, PERIOD);
    publishers.wait_until_ready();
    assert_eq!(publishers.finish(), Vec::<String>::new());
}

#[test]
fn commands_reach_the_process_that_took_over() {
    let _machine = machine::shared();
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("control.sock");
    let settings = Settings::new().control(&format!("socket = \"{}\"", socket.display()));
    let mut relay = settings.start();
    let streams = || {
        let mut asking = Command::new(BINARY);
        let mut asked = Process::start(asking.args(["streams", "--json", "--socket"]).arg(&socket));
        asked.succeed(LIMIT);
        asked.stdout()
    };
    let publisher = Swarm::publish(vec![relay.url("cam")], 1_000, PERIOD);
    publisher.wait_until_ready();
    assert!(streams().contains("\"cam\""), "{}", streams());
    let successor = Successor::of(&relay);
    assert!(!streams().contains("\"cam\""), "which the old process carries: {}", streams());
    drop(publisher);
    wait_until_over(&relay);
    assert!(socket.exists(), "the old process took its own away, and no other");
    streams();
    successor.stop();
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn a_hand_over_outlives_calls_that_are_interrupted() {
    let _machine = machine::shared();
    let folder = tempfile::TempDir::new().unwrap();
    let calls = folder.path().join("calls");
    // The first call of each kind in each thread.
    let inject = "inject=sendmsg,recvmsg:error=EINTR:when=1";
    let traced = ["-D", "-f", "-qq", "-e", "trace=sendmsg,recvmsg", "-e", inject, "-o"];
    let arguments = [&traced[..], &[calls.to_str().unwrap()]].concat();
    let relay = Settings::new().start_by("strace", &arguments);
    let successor = Successor::of(&relay);
    wait_until_over(&relay);
    successor.stop();
    let calls = std::fs::read_to_string(calls).unwrap();
    // The end of a call may be on a line of its own.
    for call in ["sendmsg", "recvmsg"] {
        let interrupted = |line: &&str| line.contains(call) && line.contains("(INJECTED)");
        assert!(calls.lines().any(|line| interrupted(&line)), "{call}: {calls}");
    }
}
