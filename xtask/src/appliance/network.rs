//! Two network namespaces with a cable between: the machine's, and the outside's, where clients and
//! upstreams are. This machine's own network is not touched.

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

/// The namespaces; they go with this value.
pub(super) struct Network;

impl Network {
    /// Makes them anew.
    pub(super) fn make() -> Result<Self> {
        let network = Self;
        network.remove();
        for namespace in [INSIDE, OUTSIDE] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        let cable = ["link", "add", "host0", "netns", INSIDE, "type", "veth", "peer", "name"];
        ip(&[&cable[..], &["host0", "netns", OUTSIDE]].concat())?;
        for (namespace, address) in [(INSIDE, MACHINE), (OUTSIDE, ELSEWHERE)] {
            ip(&["-n", namespace, "address", "add", &format!("{address}/30"), "dev", "host0"])?;
            ip(&["-n", namespace, "link", "set", "host0", "up"])?;
        }
        Ok(network)
    }

    /// Where the machine's namespace is to be found.
    pub(super) fn path(&self) -> String {
        format!("/run/netns/{INSIDE}")
    }

    /// A command of this machine that is in the other's network.
    pub(super) fn inside(&self, program: &str) -> Command {
        within(INSIDE, program)
    }

    /// A command that is at the other end of the cable.
    pub(super) fn outside(&self, program: &str) -> Command {
        within(OUTSIDE, program)
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

fn within(namespace: &str, program: &str) -> Command {
    let mut command = ending_with_us();
    command.args(["ip", "netns", "exec", namespace, program]);
    command
}

fn ip(arguments: &[&str]) -> Result<String> {
    quietly(Command::new("ip").args(arguments))
}
