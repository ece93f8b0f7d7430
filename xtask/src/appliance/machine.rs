//! A machine: the image with a writable layer above it, booted by systemd-nspawn in a network of its
//! own. Commands are run in it as its root.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::changes::{self, Changes};
use super::network::Network;
use super::{LOOK, quietly, seen};
use crate::step;

/// How long a boot may take. A second or two is usual.
const BOOT_MAX: Duration = Duration::from_secs(90);

/// How long the machine may take to go down before it is killed.
const DOWN_MAX: Duration = Duration::from_secs(30);

/// Where packages lie, for root.
const PACKAGES: &str = "root";

/// What the relay uses and a container is not given by itself.
const SYSTEM_CALLS: &str = "bpf perf_event_open io_uring_setup io_uring_enter io_uring_register";

/// What accounting uses, likewise.
const CAPABILITIES: &str = "CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON";

/// How a shell is started there, in every namespace of the machine's.
const ENVIRONMENT: [&str; 5] = [
    "env",
    "--ignore-environment",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND=noninteractive",
    "LC_ALL=C.UTF-8",
];

/// A booted machine. Goes with this value.
pub(super) struct Machine {
    /// The machine's first process, as this machine numbers it.
    init: u32,
    nspawn: Child,
    layers: Layers,
    pub(super) network: Network,
}

impl Machine {
    /// Boots `image` with `package` lying in root's home folder.
    pub(super) fn boot(image: &Path, package: &Path) -> Result<Self> {
        let layers = Layers::mount(image)?;
        fs::copy(package, layers.root().join(PACKAGES).join("edgerelay.deb"))
            .with_context(|| format!("copy {}", package.display()))?;
        let network = Network::make()?;
        let (nspawn, init) = start(&layers, &network)?;
        let machine = Self { init, nspawn, layers, network };
        seen(format_args!("booted: {}", machine.shell("uname -r; systemctl --version | head -1")?));
        Ok(machine)
    }

    /// Boots once more, with the same files and in the same network.
    pub(super) fn reboot(&mut self) -> Result<()> {
        // Whether the shell lives to tell is a matter of luck.
        let _said = self.shell("systemctl reboot");
        let started = Instant::now();
        while self.nspawn.try_wait().context("look at systemd-nspawn")?.is_none() {
            if started.elapsed() > DOWN_MAX {
                bail!("the machine has not gone down within {DOWN_MAX:?}");
            }
            std::thread::sleep(LOOK);
        }
        let down = started.elapsed();
        (self.nspawn, self.init) = start(&self.layers, &self.network)?;
        seen(format_args!(
            "rebooted: down after {}, up after {}",
            step::seconds(down),
            step::seconds(started.elapsed())
        ));
        Ok(())
    }

    /// What a shell there prints for `script`, which ends at its first error.
    pub(super) fn shell(&self, script: &str) -> Result<String> {
        quietly(&mut shell(self.init, script))
    }

    /// As [`Machine::shell`], whose failure is expected: what it says.
    pub(super) fn shell_fails(&self, script: &str) -> Result<String> {
        match self.shell(script) {
            Ok(said) => bail!("`{script}` was to fail, but said: {said}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// What differs from the image.
    pub(super) fn changes(&self) -> Result<Changes> {
        // So that what is cached there has come to be.
        self.shell("sync")?;
        changes::between(&self.layers.image, &self.layers.upper())
    }

    /// The machine's folder `/`.
    pub(super) fn root(&self) -> PathBuf {
        self.layers.root()
    }

    /// Prints what helps to find out why something failed.
    pub(super) fn tell_what_happened(&self) {
        let script = "systemctl --no-pager --full status 'edgerelay*' || true; \
                      journalctl --no-pager --lines 60 || true";
        match self.shell(script) {
            Ok(said) => eprintln!("{said}"),
            Err(error) => eprintln!("{error:#}"),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ordered = self.shell("systemctl poweroff");
        let started = Instant::now();
        while matches!(self.nspawn.try_wait(), Ok(None)) && started.elapsed() < DOWN_MAX {
            std::thread::sleep(LOOK);
        }
        // No harm once it has ended.
        let _gone = self.nspawn.kill();
        let _status = self.nspawn.wait();
    }
}

/// Boots, and says which process is the machine's first.
fn start(layers: &Layers, network: &Network) -> Result<(Child, u32)> {
    let console = layers.folder.join("console.log");
    let file = File::create(&console).context("make the console's file")?;
    let mut nspawn = nspawn(layers, network, (file.try_clone()?, file))
        .spawn()
        .context("start systemd-nspawn")?;
    match wait_for_boot(&mut nspawn) {
        Ok(init) => Ok((nspawn, init)),
        Err(error) => {
            let _gone = nspawn.kill();
            let _status = nspawn.wait();
            let said = fs::read_to_string(&console).unwrap_or_default();
            Err(error.context(said))
        }
    }
}

fn nspawn(layers: &Layers, network: &Network, console: (File, File)) -> Command {
    let mut command = ending_with_us();
    command.arg("systemd-nspawn");
    command.args(["--quiet", "--boot", "--machine=edgerelay", "--register=no", "--keep-unit"]);
    command.args(["--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]);
    command.arg(format!("--directory={}", layers.root().display()));
    command.arg(format!("--network-namespace-path={}", network.path()));
    command.arg(format!("--system-call-filter={SYSTEM_CALLS}"));
    command.arg(format!("--capability={CAPABILITIES}"));
    command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
    command.stdin(Stdio::null()).stdout(console.0).stderr(console.1);
    command
}

/// Waits until systemd has started what it starts, and says which process it is.
fn wait_for_boot(nspawn: &mut Child) -> Result<u32> {
    let started = Instant::now();
    loop {
        if let Some(status) = nspawn.try_wait().context("look at systemd-nspawn")? {
            bail!("systemd-nspawn ended with {status}");
        }
        let state = first_child(nspawn.id()).map(|init| {
            // Degraded is not what is asked here: something of the image may not suit a container.
            let said = shell(init, "systemctl is-system-running").output();
            (init, said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()))
        });
        if let Some((init, Ok(state))) = &state
            && (state == "running" || state == "degraded")
        {
            return Ok(*init);
        }
        if started.elapsed() > BOOT_MAX {
            bail!("it has not booted within {BOOT_MAX:?}: {state:?}");
        }
        std::thread::sleep(LOOK);
    }
}

/// What starts another program that the kernel ends if this one is killed.
pub(super) fn ending_with_us() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command
}

fn first_child(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

fn shell(init: u32, script: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &init.to_string(), "--all"]);
    command.args(ENVIRONMENT).args(["sh", "-ec", &format!("cd /root\n{script}")]);
    command
}

/// The image below, what this machine writes above it, and both together.
struct Layers {
    image: PathBuf,
    folder: PathBuf,
}

impl Layers {
    fn mount(image: &Path) -> Result<Self> {
        let layers = Self { image: image.to_owned(), folder: super::folder().join("machine") };
        // A run that was killed has left its own.
        layers.unmount();
        fs::create_dir_all(&layers.folder).context("make the machine's folder")?;
        // In memory: that is quick, and a layer cannot lie on everything that a folder lies on.
        quietly(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&layers.folder))?;
        for folder in [layers.upper(), layers.work(), layers.root()] {
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            layers.image.display(),
            layers.upper().display(),
            layers.work().display()
        );
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(layers.root());
        quietly(&mut mount)?;
        Ok(layers)
    }

    fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn unmount(&self) {
        for mounted in [&self.root(), &self.folder] {
            if quietly(Command::new("mountpoint").arg("-q").arg(mounted)).is_ok() {
                let _gone = quietly(Command::new("umount").arg(mounted));
            }
        }
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        self.unmount();
    }
}
