//! A cable between the machine and the outside, where clients and upstreams are: a network namespace. The
//! machine has another, or with a kernel of its own the cable's end. This machine's own network is not touched.

use std::process::Command;

use anyhow::Result;

use super::machine::ending_with_us;
use super::quietly;

/// The namespace that the machine gets.
const INSIDE: &str = "edgerelay-inside";

/// The namespace of everybody else.
const OUTSIDE: &str = "edgerelay-outside";

/// The machine's address. From the block for measurements, which nobody else uses.
pub(super) const MACHINE: &str = "198.18.44.1";

/// The outside's address.
pub(super) const ELSEWHERE: &str = "198.18.44.2";

/// How much of an address is the network's.
pub(super) const PREFIX: u8 = 30;

/// What the cable's ends in namespaces are called.
pub(super) const INTERFACE: &str = "host0";

/// The namespaces; they go with this value.
pub(super) struct Network;

impl Network {
    /// Makes both namespaces anew.
    pub(super) fn with_namespace() -> Result<Self> {
        let network = Self::of(&[INSIDE, OUTSIDE])?;
        let cable = ["link", "add", INTERFACE, "netns", INSIDE, "type", "veth", "peer", "name"];
        ip(&[&cable[..], &[INTERFACE, "netns", OUTSIDE]].concat())?;
        connect(INSIDE, MACHINE)?;
        connect(OUTSIDE, ELSEWHERE)?;
        Ok(network)
    }

    /// Makes the outside anew; the other end of the cable is for a program that is started there.
    pub(super) fn with_tap() -> Result<Self> {
        let network = Self::of(&[OUTSIDE])?;
        ip(&["-n", OUTSIDE, "tuntap", "add", "dev", INTERFACE, "mode", "tap"])?;
        connect(OUTSIDE, ELSEWHERE)?;
        Ok(network)
    }

    fn of(namespaces: &[&str]) -> Result<Self> {
        let network = Self;
        network.remove();
        for namespace in namespaces {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    /// Where the machine's namespace is to be found.
    pub(super) fn path(&self) -> String {
        format!("/run/netns/{INSIDE}")
    }

    /// A program of this machine that is in the other's network.
    pub(super) fn inside(&self, line: &[&str]) -> Command {
        let mut command = within(INSIDE);
        command.args(line);
        command
    }

    /// A command that is at the other end of the cable.
    pub(super) fn outside(&self, program: &str) -> Command {
        let mut command = within(OUTSIDE);
        command.arg(program);
        command
    }

    fn remove(&self) {
        for namespace in [INSIDE, OUTSIDE] {
            // Mostly it is not there.
            let _none = ip(&["netns", "delete", namespace]);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}

fn within(namespace: &str) -> Command {
    let mut command = ending_with_us();
    command.args(["ip", "netns", "exec", namespace]);
    command
}

fn connect(namespace: &str, address: &str) -> Result<()> {
    ip(&["-n", namespace, "address", "add", &format!("{address}/{PREFIX}"), "dev", INTERFACE])?;
    ip(&["-n", namespace, "link", "set", INTERFACE, "up"]).map(drop)
}

fn ip(arguments: &[&str]) -> Result<String> {
    quietly(Command::new("ip").args(arguments))
}
