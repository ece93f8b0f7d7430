//! `cargo xtask appliance-test`: installs the package on a real Debian with a real systemd, as a user
//! would, and looks at what it does there until nothing of it is left.
//!
//! The order of the acceptance; what each part does and looks at stands in the modules below.

mod activated;
mod changes;
mod image;
mod installing;
mod leaving;
mod machine;
mod media;
mod network;
mod running;
mod upgrading;
mod visitors;
mod watched;
mod working;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::deb::{self, Kind};
use crate::{setup, step, workspace};

use machine::{Kind as MachineKind, Machine};
use media::Media;
pub(crate) use visitors::visit;

/// Debian packages for it, and why.
const PACKAGES: [(&str, &str); 7] = [
    ("debootstrap", "makes the Debian"),
    ("systemd-container", "boots it"),
    ("iproute2", "makes its network"),
    ("curl", "asks the relay"),
    ("ffmpeg", "publishes and plays"),
    ("util-linux", "nsenter, setpriv"),
    ("dpkg-dev", "makes a second version of the package"),
];

/// Those for `--vm` besides.
const VM_PACKAGES: [(&str, &str); 3] = [
    ("qemu-system-x86", "emulates the machine"),
    ("openssh-client", "runs commands there"),
    ("e2fsprogs", "makes its disk"),
];

/// Time between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(200);

/// What `cargo xtask appliance-test` is told.
#[derive(Args)]
pub(crate) struct ApplianceArguments {
    /// Install the package to ship, rather than one with the binary that tests use
    #[arg(long)]
    release: bool,
    /// Install this package
    #[arg(long, value_name = "FILE", conflicts_with = "release")]
    package: Option<PathBuf>,
    /// Between installation and purge, look at this part only; may be given again
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Install it on a virtual machine with Debian's own kernel, which qemu emulates
    #[arg(long)]
    vm: bool,
}

/// Why nothing could be tested: this machine boots no other.
#[derive(Debug)]
struct CannotBoot(String);

impl fmt::Display for CannotBoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no Debian can be booted here: {}", self.0)
    }
}

impl std::error::Error for CannotBoot {}

/// `cargo xtask appliance-test`.
pub(crate) fn test(arguments: &ApplianceArguments) -> Result<()> {
    step::timed("appliance-test", || {
        let package = match &arguments.package {
            Some(package) => package.clone(),
            None if arguments.release => deb::package(Kind::Release, 1)?,
            None => deb::package(Kind::Trial, 1)?,
        };
        let kind = if arguments.vm { MachineKind::Vm } else { MachineKind::Container };
        accept(kind, &package, &arguments.only)
    })
}

/// The part of CI: with the package that the part before has made. Left out only where no Debian can be
/// booted whatever we do, and not without saying so.
pub(crate) fn check() -> Result<()> {
    let package = deb::place(Kind::Trial, 1)?;
    ensure!(package.exists(), "{} is missing: it is made by the part before", package.display());
    match accept(MachineKind::Container, &package, &[]) {
        Err(error) if error.is::<CannotBoot>() => {
            println!("appliance: {}", "!".repeat(72));
            println!(
                "appliance: LEFT OUT, nothing of the package was tried on a system: {error:#}"
            );
            println!("appliance: {}", "!".repeat(72));
            Ok(())
        }
        outcome => outcome,
    }
}

fn accept(kind: MachineKind, package: &Path, only: &[String]) -> Result<()> {
    if step::output(Command::new("id").arg("-u"))? != "0" {
        return Err(CannotBoot("that takes root".to_owned()).into());
    }
    setup::install(&PACKAGES)?;
    match kind {
        MachineKind::Container => may_make_containers()?,
        MachineKind::Vm => setup::install(&VM_PACKAGES)?,
    }
    let mut machine = Machine::boot(kind, package)?;
    let outcome = walk_through(&mut machine, only);
    if outcome.is_err() {
        machine.tell_what_happened();
    }
    outcome
}

/// What a container is made of can be had here. Asked first, and apart from the boot, so that a boot that fails is
/// an error and no excuse.
fn may_make_containers() -> Result<()> {
    let folder = folder().join("question");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    // A file system of its own, as layers need one that is no layer itself, with a process in all the
    // namespaces that systemd-nspawn makes.
    let script = "mount -t tmpfs none \"$1\" && cd \"$1\" && mkdir low up work all dev && \
                  mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=work all && \
                  mknod dev/null c 1 3 && mount -t cgroup2 none low";
    let mut asked = Command::new("unshare");
    asked
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "sh", "-ec", script, "sh"]);
    quietly(asked.arg(&folder)).map_err(|error| CannotBoot(format!("{error:#}")))?;
    Ok(())
}

/// What is looked at between the installation and the end, in this order.
const PARTS: [(&str, Part); 7] = [
    ("publish", |machine, media| media.passes_through(machine)),
    ("reload", |machine, media| running::reload(machine, media)),
    ("recover", |machine, media| running::recover(machine, media)),
    ("reboot", running::reboot),
    ("workers", |machine, media| working::from_zero_and_back(machine, media)),
    ("socket", |machine, media| activated::socket(machine, media)),
    ("upgrade", |machine, media| upgrading::upgrade(machine, media)),
];

type Part = fn(&mut Machine, &Media) -> Result<()>;

fn walk_through(machine: &mut Machine, only: &[String]) -> Result<()> {
    for name in only {
        let known = PARTS.iter().any(|(part, _)| part == name);
        ensure!(known, "there is no part {name}, but {:?}", PARTS.map(|(part, _)| part));
    }
    let media = Media::make()?;
    let before = machine.changes()?;
    part("install", || installing::install(machine))?;
    for (name, work) in PARTS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            part(name, || work(machine, &media))?;
        }
    }
    part("purge", || leaving::leave(machine, &before))?;
    println!("appliance: all is as it should be");
    Ok(())
}

fn part(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    step::timed(&format!("appliance: {name}"), work)
}

/// Says what has been seen.
fn seen(what: impl fmt::Display) {
    println!("  ok: {what}");
}

/// Looks until `look` is content, for at most `limit`, or as long as that is on a slow `machine`; says so, or fails
/// with what it saw last.
fn eventually(
    machine: &Machine,
    what: &str,
    limit: Duration,
    look: impl FnMut() -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    eventually_unsaid(machine, what, limit, look)?;
    seen(format_args!("{what}, after {}", step::seconds(started.elapsed())));
    Ok(())
}

/// As [`eventually`], for what is said elsewhere.
fn eventually_unsaid(
    machine: &Machine,
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    let limit = limit * machine.slowness();
    let started = Instant::now();
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > limit => {
                return Err(error).with_context(|| format!("{what}: not within {limit:?}"));
            }
            // Between two looks at the event.
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// What is kept between runs, and what one run makes.
fn folder() -> PathBuf {
    workspace::target().join("appliance")
}

/// Waits for a process that is about to end.
fn ends_within(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("look at a process")? {
            return Ok(status);
        }
        ensure!(started.elapsed() < limit, "it has not come within {limit:?}");
        std::thread::sleep(LOOK);
    }
}

/// Ends a program of ours. No harm once it has ended.
fn end(child: &mut Child) {
    let _gone = child.kill();
    let _status = child.wait();
}

/// Runs `command` for its effect, quietly; what it says is the error.
fn quietly(command: &mut Command) -> Result<String> {
    let line = step::command_line(command);
    let output = command.stdin(std::process::Stdio::null()).output();
    let output = output.with_context(|| format!("start `{line}`"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        bail!("`{line}`: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

/// Fails, with what there is, unless there is nothing.
fn nothing(what: &str, found: &str) -> Result<()> {
    ensure!(found.is_empty(), "there are {what}:\n{found}");
    seen(format_args!("no {what}"));
    Ok(())
}

/// Fails, with both, unless `found` is `expected`.
fn same(what: &str, found: &str, expected: &str) -> Result<()> {
    ensure!(found == expected, "{what} is {found:?} and should be {expected:?}");
    seen(format_args!("{what} is {found}"));
    Ok(())
}
