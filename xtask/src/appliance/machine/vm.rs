//! A virtual machine: a copy of the image's disk, booted by qemu with the image's kernel. The processor is emulated,
//! which is slow, and needs nothing of this machine's kernel. Commands come over ssh.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::super::changes::{self, Changes};
use super::super::image::{self, Image};
use super::super::network::{INTERFACE, MACHINE, Network};
use super::super::{LOOK, end, folder, quietly, seen};
use super::{BOOT_MAX, EMULATED, System, last_lines, shell_line, unmount};
use crate::step;

/// What is emulated, and no more: each core on a thread of its own. A reboot switches the machine off, so that who
/// waits for it sees it.
const HARDWARE: [&str; 21] = [
    "-no-user-config",
    "-nodefaults",
    "-no-reboot",
    "-machine",
    "q35",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "1536M",
    "-display",
    "none",
    "-monitor",
    "none",
    "-device",
    "virtio-rng-pci",
    "-device",
    "virtio-net-pci,netdev=cable",
];

/// What the kernel is told.
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 net.ifnames=0";

/// A booted virtual machine. Goes with this value.
pub(super) struct Vm {
    qemu: Child,
    /// Carries what other calls of ssh are asked for.
    connection: Child,
    files: Files,
    network: Network,
}

impl Vm {
    /// Boots the image.
    pub(super) fn boot() -> Result<Self> {
        let files = Files::make(image::for_vms()?)?;
        let network = Network::with_tap()?;
        let started = Instant::now();
        let (qemu, connection) = start(&files, &network)?;
        seen(format_args!("up after {}, emulated", step::seconds(started.elapsed())));
        Ok(Self { qemu, connection, files, network })
    }

    /// Reads the disk beside the machine that has it mounted.
    fn changes_of_frozen(&self) -> Result<Changes> {
        let place = self.files.mounted();
        let mut mount = Command::new("mount");
        quietly(mount.args(["-o", "ro,noload,loop"]).arg(self.files.disk()).arg(&place))?;
        let changes = changes::on_disk(&self.files.image.root(), &place);
        quietly(Command::new("umount").arg(&place))?;
        changes
    }
}

impl System for Vm {
    fn network(&self) -> &Network {
        &self.network
    }

    fn shell(&self, script: &str) -> Command {
        self.files.shell(script)
    }

    /// On a terminal, which hangs up when the command ends.
    fn inside(&self, line: &[&str]) -> Command {
        let mut command = self.files.ssh("ssh");
        command.args(["-q", "-tt", &format!("root@{MACHINE}")]);
        command.arg(format!("stty raw -echo; exec {}", quoted(line)));
        command
    }

    fn put(&self, file: &Path, name: &str) -> Result<()> {
        let mut copy = self.files.ssh("scp");
        quietly(copy.arg("-q").arg(file).arg(format!("root@{MACHINE}:/root/{name}")))?;
        Ok(())
    }

    fn lend(&self, file: &Path) -> Result<PathBuf> {
        let name = file.file_name().context("lend a file")?.to_string_lossy();
        self.put(file, &name)?;
        Ok(Path::new("/root").join(&*name))
    }

    fn process(&mut self) -> &mut Child {
        &mut self.qemu
    }

    fn start_again(&mut self) -> Result<()> {
        end(&mut self.connection);
        (self.qemu, self.connection) = start(&self.files, &self.network)?;
        Ok(())
    }

    fn changes(&self) -> Result<Changes> {
        // All is on the disk then, and nothing of it in the file system's journal only.
        quietly(&mut self.shell("sync; fsfreeze --freeze /"))?;
        let changes = self.changes_of_frozen();
        quietly(&mut self.shell("fsfreeze --unfreeze /"))?;
        changes
    }

    fn console(&self) -> PathBuf {
        self.files.console()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // What is on the disk goes anyhow.
        end(&mut self.connection);
        end(&mut self.qemu);
    }
}

/// Boots, and connects.
fn start(files: &Files, network: &Network) -> Result<(Child, Child)> {
    let mut qemu = qemu(files, network)?.spawn().context("start qemu")?;
    match wait_for_boot(files, network, &mut qemu) {
        Ok(connection) => Ok((qemu, connection)),
        Err(error) => {
            end(&mut qemu);
            Err(error.context(last_lines(&files.console())))
        }
    }
}

fn qemu(files: &Files, network: &Network) -> Result<Command> {
    let key = fs::read_to_string(files.key().with_extension("pub")).context("read the key")?;
    let mut command = network.outside("qemu-system-x86_64");
    command.args(HARDWARE);
    let cable = format!("tap,id=cable,ifname={INTERFACE},script=no,downscript=no");
    command.args(["-netdev", &cable]);
    // A disk that nobody keeps has not to be safe.
    let disk = format!("file={},if=virtio,format=raw,cache=unsafe", files.disk().display());
    command.args(["-drive", &disk]);
    command.args(["-serial", &format!("file:{}", files.console().display())]);
    command.arg("-kernel").arg(files.image.root().join("vmlinuz"));
    command.arg("-initrd").arg(files.image.root().join("initrd.img"));
    let credential = format!("ssh.authorized_keys.root:{}", key.trim());
    command.args(["-append", &format!("{KERNEL} systemd.set_credential=\"{credential}\"")]);
    command.stdin(Stdio::null());
    Ok(command)
}

/// Waits until systemd has started what it starts, and returns the connection by which it said so.
fn wait_for_boot(files: &Files, network: &Network, qemu: &mut Child) -> Result<Child> {
    let (started, limit) = (Instant::now(), BOOT_MAX * EMULATED);
    let mut connection = connect(files, network)?;
    loop {
        if let Some(status) = qemu.try_wait().context("look at qemu")? {
            end(&mut connection);
            bail!("qemu ended with {status}");
        }
        if connection.try_wait().context("look at ssh")?.is_some() {
            connection = connect(files, network)?;
        }
        let said = files.shell("systemctl is-system-running").output().context("start ssh")?;
        let state = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if state == "running" || state == "degraded" {
            return Ok(connection);
        }
        if started.elapsed() > limit {
            end(&mut connection);
            let error = String::from_utf8_lossy(&said.stderr);
            bail!("it has not booted within {limit:?}: {state:?} {}", error.trim());
        }
        std::thread::sleep(LOOK);
    }
}

/// What goes on to try for some seconds, and ends if nobody is there.
fn connect(files: &Files, network: &Network) -> Result<Child> {
    let mut command = network.outside("ssh");
    command.args(["-F", "none", "-N", "-M"]).arg("-S").arg(files.socket());
    command.arg("-i").arg(files.key()).args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
    // So that nobody waits for ever if qemu ends.
    command.args(["-o", "ServerAliveInterval=20"]);
    // Nobody else is at the end of this cable.
    command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    command.arg(format!("root@{MACHINE}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("start ssh")
}

/// The image, and what one machine has of its own.
struct Files {
    image: Image,
    folder: PathBuf,
}

impl Files {
    fn make(image: Image) -> Result<Self> {
        let files = Self { image, folder: folder().join("vm") };
        // A run that was killed has left its own.
        files.remove();
        fs::create_dir_all(files.mounted()).context("make the machine's folder")?;
        let mut copy = Command::new("cp");
        quietly(copy.arg("--sparse=always").arg(files.image.disk()).arg(files.disk()))?;
        File::create(files.console()).context("make the console's file")?;
        let mut generate = Command::new("ssh-keygen");
        generate.args(["-q", "-t", "ed25519", "-N", "", "-C", "appliance-test", "-f"]);
        quietly(generate.arg(files.key()))?;
        Ok(files)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk.raw")
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// Where other calls of ssh find the connection.
    fn socket(&self) -> PathBuf {
        self.folder.join("ssh")
    }

    /// Where the disk is looked at.
    fn mounted(&self) -> PathBuf {
        self.folder.join("mounted")
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = self.ssh("ssh");
        command.args([format!("root@{MACHINE}"), quoted(&shell_line(script))]);
        command
    }

    /// A program of ssh's that uses the connection, and fails if there is none.
    fn ssh(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", "none", "-o", "ProxyCommand=false", "-o"]);
        command.arg(format!("ControlPath={}", self.socket().display()));
        command
    }

    fn remove(&self) {
        unmount(&self.mounted());
        for file in [self.disk(), self.key(), self.key().with_extension("pub"), self.socket()] {
            // Mostly it is not there.
            let _none = fs::remove_file(file);
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The line by which a shell runs that program with these arguments.
fn quoted(line: &[impl AsRef<str>]) -> String {
    let word = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    line.iter().map(|it| word(it.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_says_to_a_shell_what_it_said_before() {
        let script = "printf '%s|' \"$#\" $(echo \\$0) 'it'\\''s'\necho";
        let line = quoted(&["sh", "-ec", script, "a b"]);
        let said = step::output(Command::new("sh").args(["-c", &line])).expect("a shell");
        assert_eq!(said, "0|$0|it's|");
    }
}
