//! Finds pushes and origins that lead back to this node, so that a stream would chase itself.
//!
//! Judges addresses by what is written: no name is resolved.

use std::net::IpAddr;

use super::settings::Config;
use super::url::{Host, Target};

/// What a URL that loops should have been.
pub(super) const EXPECTED: &str = "another host, port or application";

/// What this host is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) host_name: &'a str,
    pub(super) local_addresses: &'a [IpAddr],
}

/// A setting that closes a loop.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loop {
    pub(super) path: String,
    pub(super) what: String,
}

/// Every push and every origin that is part of a loop.
pub(super) fn find(config: &Config, node: &Node<'_>) -> Vec<Loop> {
    let pushes = config.apps.iter().map(|app| app.push.iter().map(|push| push.url.as_str()));
    let pushes = Graph::new(config, node, pushes);
    let origins = config.apps.iter().map(|app| app.origin.iter().map(String::as_str));
    let origins = Graph::new(config, node, origins);
    let mut found = Vec::new();
    for (from, index, to) in pushes.looping() {
        let what = if from == to {
            "pushes back into the same application of this node: a loop".to_owned()
        } else {
            let name = app_name(config, to);
            format!("pushes into application {name:?} of this node, which pushes back: a loop")
        };
        found.push(Loop { path: format!("app[{from}].push[{index}].url"), what });
    }
    for (from, index, to) in origins.looping() {
        let what = if from == to {
            "pulls from the same application of this node: a loop".to_owned()
        } else {
            let name = app_name(config, to);
            format!("pulls from application {name:?} of this node, which pulls back: a loop")
        };
        found.push(Loop { path: format!("app[{from}].origin[{index}]"), what });
    }
    found
}

fn app_name(config: &Config, index: usize) -> &str {
    config.apps.get(index).map_or("", |app| &app.name)
}

/// Which application leads to which. All streams of an application are pushed, whatever they are
/// called, so a push that changes the name loops as well: each round under a new name.
struct Graph {
    /// From, the URL's index there, to.
    edges: Vec<(usize, usize, usize)>,
}

impl Graph {
    fn new<'a, U: Iterator<Item = &'a str>>(
        config: &Config,
        node: &Node<'_>,
        urls: impl Iterator<Item = U>,
    ) -> Self {
        let mut edges = Vec::new();
        for (from, urls) in urls.enumerate() {
            for (index, url) in urls.enumerate() {
                let Ok(target) = Target::parse(url) else { continue };
                if is_self(config, node, &target)
                    && let Some(to) = app_of(config, from, &target)
                {
                    edges.push((from, index, to));
                }
            }
        }
        Self { edges }
    }

    fn looping(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.edges.iter().copied().filter(|(from, _, to)| self.leads(*to, *from))
    }

    fn leads(&self, start: usize, end: usize) -> bool {
        let mut seen = vec![start];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied() {
            if at == end {
                return true;
            }
            for (from, _, to) in &self.edges {
                if *from == at && !seen.contains(to) {
                    seen.push(*to);
                }
            }
            next += 1;
        }
        false
    }
}

/// The configured application that `target`, written in application `from`, names. The longest
/// one where several match: `v2/pub` before `v2`.
fn app_of(config: &Config, from: usize, target: &Target) -> Option<usize> {
    let path = target.path.replace("{app}", app_name(config, from));
    let matching =
        config.apps.iter().enumerate().filter(|(_, app)| {
            path.strip_prefix(&app.name).is_some_and(|rest| rest.starts_with('/'))
        });
    matching.max_by_key(|(_, app)| app.name.len()).map(|(index, _)| index)
}

/// Whether one of our listeners answers where `target` leads.
fn is_self(config: &Config, node: &Node<'_>, target: &Target) -> bool {
    let local = |address: &IpAddr| {
        address.is_loopback() || address.is_unspecified() || node.local_addresses.contains(address)
    };
    config.rtmp.listen.iter().filter(|listen| listen.port() == target.port).any(|listen| {
        let listener = listen.ip().to_canonical();
        match &target.host {
            Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                listener.is_unspecified() || listener.is_loopback()
            }
            Host::Name(name) => name.eq_ignore_ascii_case(node.host_name),
            Host::Address(address) => {
                let address = address.to_canonical();
                // Connecting to the unspecified address reaches the loopback.
                address == listener
                    || (listener.is_unspecified() && local(&address))
                    || (address.is_unspecified() && listener.is_loopback())
            }
        }
    })
}
