//! Which connections the kernel programs count: those on our ports, and those to the ports that we
//! push to or pull from.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use edgerelay_ebpf_common::{PortKey, Service, Side};
use edgerelay_proto::session::RtmpUrl;

use crate::config::Config;

/// Where RTMP is served when nothing else is said.
const RTMP_PORT: u16 = 1935;

/// Every port to count, with what is behind it. A port of two services is the first one's.
pub(super) fn counted(config: &Config) -> Vec<(PortKey, Service)> {
    let accepted = |addresses: &[SocketAddr], service| -> Vec<_> {
        addresses.iter().map(|it| (Side::Accepted, it.port(), service)).collect()
    };
    let opened = |port| (Side::Opened, port, Service::Upstream);
    let pushes = config.apps.iter().flat_map(|app| app.push.iter().map(|push| push.url.clone()));
    let origins = config.apps.iter().flat_map(|app| app.origin.iter().cloned());
    let upstreams = pushes
        .chain(origins)
        .chain(config.workers.pipeline.push_template())
        .filter_map(|url| RtmpUrl::parse(&url).ok())
        .map(|url| opened(url.port()));
    let ports = accepted(&config.rtmp.listen, Service::Rtmp)
        .into_iter()
        .chain(accepted(&config.http.listen, Service::Http))
        .chain(worker_ports(config).into_iter().map(|port| (Side::Accepted, port, Service::Worker)))
        .chain(upstreams)
        .chain(worker_ports(config).into_iter().map(opened))
        .chain(config.workers.addresses.iter().map(|it| opened(port_of(it))));
    let mut first = BTreeMap::new();
    for (side, port, service) in ports {
        first.entry((side as u16, port)).or_insert((PortKey::new(side, port), service));
    }
    first.into_values().collect()
}

/// Where the workers listen that the node starts.
fn worker_ports(config: &Config) -> Vec<u16> {
    if !config.workers.backend.is_managed() {
        return Vec::new();
    }
    let workers_max = u32::try_from(config.workers.max).unwrap_or(u32::MAX);
    let addresses = (1..=workers_max).map_while(|instance| config.worker_address(instance));
    addresses.map(|address| address.port()).collect()
}

/// Of `HOST[:PORT]`.
fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(RTMP_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PushConfig, WorkerBackend};

    #[test]
    fn listeners_and_upstreams_are_counted_and_each_port_once() {
        let mut config = Config::default();
        let push = |url: &str| PushConfig { url: url.to_owned() };
        config.apps[0].push = vec![
            push("rtmp://one.example/live/{name}"),
            push("rtmp://two.example:1936/{app}/{name}?key=x"),
            push("rtmp://three.example:1936/live/{name}"),
        ];
        config.apps[0].origin = vec!["rtmp://origin.example:1937/live/{name}".to_owned()];
        let expected = vec![
            (PortKey::new(Side::Accepted, 1935), Service::Rtmp),
            (PortKey::new(Side::Accepted, 8080), Service::Http),
            (PortKey::new(Side::Opened, 1935), Service::Upstream),
            (PortKey::new(Side::Opened, 1936), Service::Upstream),
            (PortKey::new(Side::Opened, 1937), Service::Upstream),
        ];
        assert_eq!(counted(&config), expected);
    }

    #[test]
    fn both_ends_of_the_way_to_a_worker_are_counted() {
        let mut config = Config::default();
        config.workers.backend = WorkerBackend::Process;
        config.workers.max = 2;
        config.workers.pipeline.push_url = "rtmp://origin.example:1999/live".to_owned();
        let first = config.workers.listen.port() + 1;
        let ports = counted(&config);
        for expected in [
            (PortKey::new(Side::Accepted, first), Service::Worker),
            (PortKey::new(Side::Accepted, first + 1), Service::Worker),
            (PortKey::new(Side::Opened, first), Service::Upstream),
            (PortKey::new(Side::Opened, 1999), Service::Upstream),
        ] {
            assert!(ports.contains(&expected), "{expected:?} in {ports:?}");
        }
        assert!(!ports.contains(&(PortKey::new(Side::Accepted, first + 2), Service::Worker)));
        config.workers.backend = WorkerBackend::Static;
        config.workers.addresses = vec!["one.example".to_owned(), "two.example:1940".to_owned()];
        let ports = counted(&config);
        assert!(ports.contains(&(PortKey::new(Side::Opened, 1935), Service::Upstream)));
        assert!(ports.contains(&(PortKey::new(Side::Opened, 1940), Service::Upstream)));
        assert!(!ports.iter().any(|(_, service)| *service == Service::Worker));
    }
}
