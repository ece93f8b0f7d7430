//! Finds pushes and origins that lead back to this node, so that a stream would chase itself.
//!
//! Judges addresses by what is written: no name is resolved.

use std::net::IpAddr;

use super::settings::Config;
use super::url::{Host, Target};

/// Where our workers push to.
const PUSH_BASE: &str = "workers.pipeline.push_url";
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
    let pushes = Graph::new(config, node, pushes(config));
    let origins = Graph::new(config, node, origins(config));
    let mut found = Vec::new();
    for Edge { from, path, to } in pushes.looping() {
        let what = if from == to {
            "pushes back into the same application of this node: a loop".to_owned()
        } else {
            let name = app_name(config, *to);
            format!("pushes into application {name:?} of this node, which pushes back: a loop")
        };
        found.push(Loop { path: path.clone(), what });
    }
    for Edge { from, path, to } in origins.looping() {
        let what = if from == to {
            "pulls from the same application of this node: a loop".to_owned()
        } else {
            let name = app_name(config, *to);
            format!("pulls from application {name:?} of this node, which pulls back: a loop")
        };
        found.push(Loop { path: path.clone(), what });
    }
    found
}

/// A URL as it was written: the application it belongs to, its key, itself.
type Written = (usize, String, String);

/// What streams are pushed to, by us or by our workers.
fn pushes(config: &Config) -> Vec<Written> {
    let mut written = Vec::new();
    let workers = &config.workers;
    let worked_on = workers.pipeline.push_template().filter(|_| workers.backend.is_on());
    for (from, app) in config.apps.iter().enumerate() {
        for (index, push) in app.push.iter().enumerate() {
            written.push((from, format!("app[{from}].push[{index}].url"), push.url.clone()));
        }
        if let Some(template) = worked_on.as_ref().filter(|_| workers.apps.contains(&app.name)) {
            written.push((from, PUSH_BASE.to_owned(), template.clone()));
        }
    }
    written
}

fn origins(config: &Config) -> Vec<Written> {
    let mut written = Vec::new();
    for (from, app) in config.apps.iter().enumerate() {
        for (index, origin) in app.origin.iter().enumerate() {
            written.push((from, format!("app[{from}].origin[{index}]"), origin.clone()));
        }
    }
    written
}

fn app_name(config: &Config, index: usize) -> &str {
    config.apps.get(index).map_or("", |app| &app.name)
}

/// Which application leads to which. All streams of an application are pushed, whatever they are
/// called, so a push that changes the name loops as well: each round under a new name.
struct Graph {
    edges: Vec<Edge>,
}

/// From one application to another, by a URL whose key is `path`.
struct Edge {
    from: usize,
    path: String,
    to: usize,
}

impl Graph {
    fn new(config: &Config, node: &Node<'_>, urls: Vec<Written>) -> Self {
        let mut edges = Vec::new();
        for (from, path, url) in urls {
            let Ok(target) = Target::parse(&url) else { continue };
            if is_self(config, node, &target)
                && let Some(to) = app_of(config, from, &target)
            {
                edges.push(Edge { from, path, to });
            }
        }
        Self { edges }
    }

    fn looping(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(|edge| self.leads(edge.to, edge.from))
    }

    fn leads(&self, start: usize, end: usize) -> bool {
        let mut seen = vec![start];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied() {
            if at == end {
                return true;
            }
            for Edge { from, to, .. } in &self.edges {
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
