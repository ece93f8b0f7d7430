//! The machine that the package is installed on: a container, or with `--vm` a virtual machine with a kernel of
//! its own. Commands are run in it as its root.

mod container;
mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::changes::Changes;
use super::network::Network;
use super::{ends_within, quietly, seen};
use crate::step;
use container::Container;
use vm::Vm;

/// How long a boot may take. A second or two is usual.
const BOOT_MAX: Duration = Duration::from_secs(90);

/// How long the machine may take to go down.
const DOWN_MAX: Duration = Duration::from_secs(30);

/// How much longer anything may take where each instruction is emulated: waits, and streams that have to outlast
/// what is done meanwhile.
const EMULATED: u32 = 5;

/// How a shell is started there.
const ENVIRONMENT: [&str; 5] = [
    "env",
    "--ignore-environment",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND=noninteractive",
    "LC_ALL=C.UTF-8",
];

/// Lines of the console that are shown when something failed.
const CONSOLE_LINES: usize = 40;

/// What is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By systemd-nspawn: with this machine's kernel.
    Container,
    /// By qemu, which emulates a processor: with Debian's kernel.
    Vm,
}

/// What a machine of either kind can. It goes with the value.
trait System {
    /// Where it is connected.
    fn network(&self) -> &Network;

    /// A shell there, which ends at the first error of `script`.
    fn shell(&self, script: &str) -> Command;

    /// A program there, which ends when this command does.
    fn inside(&self, line: &[&str]) -> Command;

    /// Copies `file` into root's home folder, as `name`.
    fn put(&self, file: &Path, name: &str) -> Result<()>;

    /// Where programs that [`System::inside`] starts find `file` of this machine.
    fn lend(&self, file: &Path) -> Result<PathBuf>;

    /// What runs it, and ends when it is switched off.
    fn process(&mut self) -> &mut Child;

    /// Boots what has gone down, with the same files and in the same network.
    fn start_again(&mut self) -> Result<()>;

    /// What differs from the image.
    fn changes(&self) -> Result<Changes>;

    /// Where its console is written to.
    fn console(&self) -> PathBuf;
}

/// A booted machine. Goes with this value.
pub(super) struct Machine {
    system: Box<dyn System>,
    slowness: u32,
    /// What is installed first.
    package: PathBuf,
}

impl Machine {
    /// Boots the system with `package` lying in root's home folder.
    pub(super) fn boot(kind: Kind, package: &Path) -> Result<Self> {
        let (system, slowness): (Box<dyn System>, _) = match kind {
            Kind::Container => (Box::new(Container::boot()?), 1),
            Kind::Vm => (Box::new(Vm::boot()?), EMULATED),
        };
        let machine = Self { system, slowness, package: package.to_owned() };
        machine.put(package, "edgerelay.deb")?;
        seen(format_args!("booted: {}", machine.shell("uname -r; systemctl --version | head -1")?));
        Ok(machine)
    }

    /// Boots once more, with the same files and in the same network.
    pub(super) fn reboot(&mut self) -> Result<()> {
        // Whether the shell lives to tell is a matter of luck.
        let _said = self.shell("systemctl reboot");
        let started = Instant::now();
        ends_within(self.system.process(), DOWN_MAX * self.slowness)
            .context("the machine's going down")?;
        let down = started.elapsed();
        self.system.start_again()?;
        seen(format_args!(
            "rebooted: down after {}, up after {}",
            step::seconds(down),
            step::seconds(started.elapsed())
        ));
        Ok(())
    }

    /// What a shell there prints for `script`, which ends at its first error.
    pub(super) fn shell(&self, script: &str) -> Result<String> {
        quietly(&mut self.system.shell(script))
    }

    /// As [`Machine::shell`], whose failure is expected: what it says.
    pub(super) fn shell_fails(&self, script: &str) -> Result<String> {
        match self.shell(script) {
            Ok(said) => bail!("`{script}` was to fail, but said: {said}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// A program that reaches the relay over the machine's loopback.
    pub(super) fn inside(&self, line: &[&str]) -> Command {
        self.system.inside(line)
    }

    /// A program of this machine that is at the other end of the cable.
    pub(super) fn outside(&self, program: &str) -> Command {
        self.system.network().outside(program)
    }

    /// Copies `file` into root's home folder, as `name`.
    pub(super) fn put(&self, file: &Path, name: &str) -> Result<()> {
        self.system.put(file, name)
    }

    /// Where programs that [`Machine::inside`] starts find `file` of this machine.
    pub(super) fn lend(&self, file: &Path) -> Result<PathBuf> {
        self.system.lend(file)
    }

    /// The package that is installed first.
    pub(super) fn package(&self) -> &Path {
        &self.package
    }

    /// How many times as long as usual anything may take.
    pub(super) fn slowness(&self) -> u32 {
        self.slowness
    }

    /// What differs from the image.
    pub(super) fn changes(&self) -> Result<Changes> {
        self.system.changes()
    }

    /// Prints what helps to find out why something failed.
    pub(super) fn tell_what_happened(&self) {
        let script = "systemctl --no-pager --full status 'edgerelay*' || true; \
                      journalctl --no-pager --lines 60 || true";
        match self.shell(script) {
            Ok(said) => eprintln!("{said}"),
            Err(error) => eprintln!("{error:#}"),
        }
        eprintln!("{}", last_lines(&self.system.console()));
    }
}

/// What starts another program that the kernel ends if this one is killed.
pub(super) fn ending_with_us() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command
}

/// Unmounts what is mounted at `place`, if something is.
fn unmount(place: &Path) {
    if quietly(Command::new("mountpoint").arg("-q").arg(place)).is_ok() {
        let _gone = quietly(Command::new("umount").arg(place));
    }
}

/// What a shell is started with for `script`.
fn shell_line(script: &str) -> Vec<String> {
    let script = format!("cd /root\n{script}");
    ENVIRONMENT.iter().chain(&["sh", "-ec", &script]).map(|word| (*word).to_owned()).collect()
}

/// The end of what the console says.
fn last_lines(console: &Path) -> String {
    let said = fs::read(console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().collect();
    let shown = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
    format!("the console's last lines:\n{}", shown.join("\n"))
}
