//! A container: the image with a writable layer above it, booted by systemd-nspawn in a network of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::super::changes::{self, Changes};
use super::super::image::{self, Image};
use super::super::network::Network;
use super::super::{LOOK, end, ends_within, folder, quietly};
use super::{BOOT_MAX, DOWN_MAX, System, ending_with_us, last_lines, shell_line, unmount};

/// What the relay uses and a container is not given by itself.
const SYSTEM_CALLS: &str = "bpf perf_event_open io_uring_setup io_uring_enter io_uring_register";

/// What accounting uses, likewise.
const CAPABILITIES: &str = "CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON";

/// A booted container. Goes with this value.
pub(super) struct Container {
    /// The container's first process, as this machine numbers it.
    init: u32,
    nspawn: Child,
    layers: Layers,
    network: Network,
}

impl Container {
    /// Boots the image.
    pub(super) fn boot() -> Result<Self> {
        let layers = Layers::mount(&image::for_containers()?)?;
        let network = Network::with_namespace()?;
        let (nspawn, init) = start(&layers, &network)?;
        Ok(Self { init, nspawn, layers, network })
    }
}

impl System for Container {
    fn network(&self) -> &Network {
        &self.network
    }

    fn shell(&self, script: &str) -> Command {
        shell(self.init, script)
    }

    /// A program of this machine, in the container's network.
    fn inside(&self, line: &[&str]) -> Command {
        self.network.inside(line)
    }

    fn put(&self, file: &Path, name: &str) -> Result<()> {
        let place = self.layers.root().join("root").join(name);
        fs::copy(file, place).with_context(|| format!("copy {}", file.display()))?;
        Ok(())
    }

    fn lend(&self, file: &Path) -> Result<PathBuf> {
        Ok(file.to_owned())
    }

    fn process(&mut self) -> &mut Child {
        &mut self.nspawn
    }

    fn start_again(&mut self) -> Result<()> {
        (self.nspawn, self.init) = start(&self.layers, &self.network)?;
        Ok(())
    }

    fn changes(&self) -> Result<Changes> {
        // So that what is cached there has come to be.
        quietly(&mut self.shell("sync"))?;
        changes::in_layer(&self.layers.image, &self.layers.upper())
    }

    fn console(&self) -> PathBuf {
        self.layers.console()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ordered = quietly(&mut self.shell("systemctl poweroff"));
        let _gone = ends_within(&mut self.nspawn, DOWN_MAX);
        end(&mut self.nspawn);
    }
}

/// Boots, and says which process is the machine's first.
fn start(layers: &Layers, network: &Network) -> Result<(Child, u32)> {
    let console = layers.console();
    let file = File::create(&console).context("make the console's file")?;
    let mut nspawn = nspawn(layers, network, (file.try_clone()?, file))
        .spawn()
        .context("start systemd-nspawn")?;
    match wait_for_boot(&mut nspawn) {
        Ok(init) => Ok((nspawn, init)),
        Err(error) => {
            end(&mut nspawn);
            Err(error.context(last_lines(&console)))
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

fn first_child(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

fn shell(init: u32, script: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &init.to_string(), "--all"]);
    command.args(shell_line(script));
    command
}

/// The image below, what this machine writes above it, and both together.
struct Layers {
    image: PathBuf,
    folder: PathBuf,
}

impl Layers {
    fn mount(image: &Image) -> Result<Self> {
        let layers = Self { image: image.root(), folder: folder().join("machine") };
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

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    fn unmount(&self) {
        unmount(&self.root());
        unmount(&self.folder);
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        self.unmount();
    }
}
