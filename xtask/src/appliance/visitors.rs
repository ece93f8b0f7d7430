//! Somebody who connects a hundred times a second, or less often to a slow machine, shakes hands and leaves: `xtask
//! visit`, which runs at the other end of the cable, and counts whom the relay did not serve.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::machine::Machine;
use super::network::MACHINE;
use super::{end, seen};

/// Time between two visits. An emulated machine serves as many, too, but while it upgrades the slowest wait almost as
/// long as [`PATIENCE`].
const PERIOD: Duration = Duration::from_millis(10);

/// What a visitor waits for an answer. One that waits in a queue is not refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// C0 and C1; the answer is as long, and as long again without its first byte.
const HELLO_BYTES: usize = 1 + 1536;

/// Visits that go on until this value is asked for their sum.
pub(super) struct Visitors(Child);

impl Visitors {
    pub(super) fn start(machine: &Machine) -> Result<Self> {
        // This program, also where its file has been replaced since it was started.
        let own = format!("/proc/{}/exe", std::process::id());
        let mut command = machine.outside("env");
        let period = PERIOD * machine.slowness();
        if period != PERIOD {
            println!("  visitors come each {period:?}, not each {PERIOD:?}: the machine is slow");
        }
        command.arg(own).args(["visit", &format!("{MACHINE}:1935")]);
        command.arg(period.as_millis().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn().context("start visitors")?))
    }

    /// Ends them. Fails if one was not served, or too few have come for that to mean anything.
    pub(super) fn were_all_served(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let mut told = String::new();
        let mut stdout = self.0.stdout.take().context("the visitors' output")?;
        stdout.read_to_string(&mut told).context("hear the visitors")?;
        let told = told.trim_end();
        let served: u64 = told
            .strip_prefix("served ")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .with_context(|| format!("the visitors say {told:?}"))?;
        ensure!(told.contains(", not served 0,"), "visitors were turned away: {told}");
        ensure!(served > 200, "too few visitors: {told}");
        seen(format_args!("visitors: {told}"));
        Ok(())
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// `xtask visit`: visits until the standard input ends, and says how that went.
pub(crate) fn visit(address: SocketAddr, period: Duration) -> Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        let _end = io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let (tell, outcomes) = mpsc::channel();
    let started = Instant::now();
    let mut next = started;
    while !over.load(Ordering::Relaxed) {
        let tell = tell.clone();
        thread::spawn(move || {
            let began = Instant::now();
            let outcome = shake_hands(address);
            let _heard = tell.send(outcome.map(|()| began.elapsed()));
        });
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let seconds = started.elapsed().as_secs_f64();
    drop(tell);
    let (mut served, mut slowest) = (0_u64, Duration::ZERO);
    let mut reasons = BTreeMap::<String, u64>::new();
    for outcome in outcomes {
        match outcome {
            Ok(time) => {
                served += 1;
                slowest = slowest.max(time);
            }
            Err(error) => *reasons.entry(error.to_string()).or_default() += 1,
        }
    }
    let turned_away: u64 = reasons.values().sum();
    let rate = (served + turned_away) as f64 / seconds;
    println!(
        "served {served} in {seconds:.1} s, not served {turned_away}, {rate:.0} a second, the slowest \
         after {:.0} ms {reasons:?}",
        slowest.as_secs_f64() * 1e3,
    );
    Ok(())
}

fn shake_hands(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut hello = [0; HELLO_BYTES];
    hello[0] = 3;
    stream.write_all(&hello)?;
    stream.read_exact(&mut [0; 2 * HELLO_BYTES - 1])
}
