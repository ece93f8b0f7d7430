//! Workers as units: none, as many as there are streams, none again.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::installing::serves;
use super::machine::Machine;
use super::media::{Media, Place, plays_from};
use super::network::ELSEWHERE;
use super::{end, eventually, quietly, seen};

/// Streams, and so workers: each carries one.
const STREAMS: usize = 3;

/// How long workers may take to come or go.
const SCALED_MAX: Duration = Duration::from_secs(60);

/// The settings of this part.
const WORKERS: &str = "/etc/edgerelay/conf.d/workers.toml";

/// Streams come, and workers with them, and push on to a server outside; streams go, and so do they.
pub(super) fn from_zero_and_back(machine: &Machine, media: &Media) -> Result<()> {
    let settings = format!(
        "[workers]\nbackend = \"systemd\"\nmax = {STREAMS}\n\
         [workers.scaling]\npoll = \"500ms\"\ncooldown = \"2s\"\nstreams_threshold = 1\n\
         [workers.capacity]\nstreams = 1\n\
         [workers.pipeline]\npush_url = \"rtmp://{ELSEWHERE}/live\"\n"
    );
    machine
        .shell(&format!("cat > {WORKERS} <<'END'\n{settings}END\nsystemctl restart edgerelay"))?;
    serves(machine)?;
    scale(machine, media)?;
    machine.shell(&format!("rm {WORKERS}; systemctl restart edgerelay"))?;
    serves(machine)
}

fn scale(machine: &Machine, media: &Media) -> Result<()> {
    let _upstream = Upstream::start(machine)?;
    ensure!(active(machine)? == 0, "there are workers before there are streams");
    let names: Vec<String> = (0..STREAMS).map(|number| format!("worked-{number}")).collect();
    let mut publishers = Vec::new();
    for name in &names {
        publishers.push(media.publish(machine, Place::Outside, name)?);
    }
    eventually(
        machine,
        &format!("{STREAMS} units edgerelay-worker@ are active"),
        SCALED_MAX,
        || {
            let count = active(machine)?;
            ensure!(count == STREAMS, "{count} are active");
            Ok(())
        },
    )?;
    for name in &names {
        plays_from(machine, Place::Outside, &format!("rtmp://{ELSEWHERE}/live/{name}"))?;
        seen(format_args!("{name} has gone through its worker to the server outside"));
    }
    println!("{}", machine.shell("systemctl --no-pager --no-legend list-units 'edgerelay*'")?);
    publishers.clear();
    eventually(machine, "no worker is left", SCALED_MAX, || {
        let count = active(machine)?;
        ensure!(count == 0, "{count} are active");
        Ok(())
    })
}

fn active(machine: &Machine) -> Result<usize> {
    let list = "systemctl list-units --no-legend --state=active 'edgerelay-worker@*.service'";
    Ok(machine.shell(list)?.lines().count())
}

/// Another relay, at the other end of the cable.
struct Upstream(Child);

impl Upstream {
    fn start(machine: &Machine) -> Result<Self> {
        // The one that is installed: it runs on this machine, too.
        let folder = super::folder().join("upstream");
        let mut unpack = Command::new("dpkg-deb");
        quietly(unpack.arg("--extract").arg(machine.package()).arg(&folder))?;
        let mut command = machine.outside("env");
        command.arg(folder.join("usr/bin/edgerelay")).args(["run", "--set", "http.listen=[]"]);
        command.args(["--set", "accounting.enabled=false"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("start the server outside")?))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}
