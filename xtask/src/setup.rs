//! Finds out what the machine lacks for the end-to-end tests and installs it with apt, and
//! cargo-deny into the checkout. Touches nothing else on the machine.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{deny, step};

/// Debian packages that the end-to-end tests and the memory checks use, and why.
const PACKAGES: [(&str, &str); 16] = [
    ("ffmpeg", "encoder, player and the reference for frame checksums"),
    ("rtmpdump", "player built on librtmp"),
    ("nginx", "carries the RTMP module below"),
    ("libnginx-mod-rtmp", "the far side of pushes and pulls"),
    ("gstreamer1.0-tools", "gst-launch-1.0"),
    ("gstreamer1.0-plugins-base", "elements that every pipeline needs"),
    ("gstreamer1.0-plugins-good", "FLV demultiplexer and multiplexer"),
    ("gstreamer1.0-plugins-bad", "rtmp2sink and rtmp2src"),
    ("dbus-daemon", "the message bus on which a mock of systemd starts workers"),
    ("iproute2", "takes a network down and shows sockets"),
    ("procps", "sysctl, by which doctor mends a setting"),
    ("strace", "counts system calls"),
    ("valgrind", "checks the fenced unsafe code"),
    ("prometheus", "scrapes the relay and answers the queries of scalers; promtool"),
    ("python3-seccomp", "puts the seccomp profile in force"),
    ("python3-venv", "gets the schemas that manifests are checked with"),
];

/// Debian packages that `cargo xtask bench` uses, and why.
const BENCH_PACKAGES: [(&str, &str); 9] = [
    ("nginx", "carries the RTMP module below"),
    ("libnginx-mod-rtmp", "the server that the others are compared with"),
    ("iproute2", "makes the network namespace"),
    ("procps", "sysctl, for the congestion control within"),
    ("util-linux", "taskset, which gives everybody a core"),
    ("linux-perf", "counts system calls"),
    ("ca-certificates", "for npm"),
    ("libopus-dev", "a library of xiu's"),
    ("pkg-config", "finds it"),
];

/// What the machine lacks and we may not install.
#[derive(Debug)]
pub(crate) struct Missing {
    packages: Vec<&'static str>,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packages = self.packages.join(" ");
        write!(
            formatter,
            "these packages are missing and only root may install them; run:\n  \
             sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"
        )
    }
}

impl std::error::Error for Missing {}

/// `cargo xtask setup`.
pub(crate) fn everything() -> Result<()> {
    step::timed("setup", || {
        packages()?;
        deny::install()
    })
}

/// Installs the Debian packages that are missing.
pub(crate) fn packages() -> Result<()> {
    install(&PACKAGES)
}

/// Installs what the side-by-side needs besides.
pub(crate) fn bench_packages() -> Result<()> {
    install(&BENCH_PACKAGES)
}

/// Installs those of `packages` that are missing; each with what it is for.
pub(crate) fn install(packages: &[(&'static str, &str)]) -> Result<()> {
    let missing: Vec<_> =
        packages.iter().copied().filter(|(package, _)| !is_installed(package)).collect();
    if missing.is_empty() {
        println!("setup: all {} Debian packages are installed", packages.len());
        return Ok(());
    }
    for (package, purpose) in &missing {
        println!("setup: {package} is missing ({purpose})");
    }
    let packages: Vec<&'static str> = missing.into_iter().map(|(package, _)| package).collect();
    if !is_root()? {
        return Err(Missing { packages }.into());
    }
    step::run(apt_get().arg("update"))?;
    step::run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(&packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    query.is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("ask `id -u` who we are")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_user_is_told_the_exact_command() {
        let missing = Missing { packages: vec!["ffmpeg", "rtmpdump"] };
        assert!(
            missing
                .to_string()
                .ends_with("apt-get install -y --no-install-recommends ffmpeg rtmpdump")
        );
    }

    #[test]
    fn a_package_that_does_not_exist_is_not_installed() {
        assert!(!is_installed("edgerelay-no-such-package"));
    }
}
