//! Which connections the kernel programs count: those on our ports, and those to the ports that we
//! push to or pull from.

use std::collections::BTreeMap;

use edgerelay_ebpf_common::{PortKey, Service, Side};
use edgerelay_proto::session::RtmpUrl;

use crate::config::Config;

/// Every port to count, with what is behind it. A port of two services is the first one's.
pub(super) fn counted(config: &Config) -> Vec<(PortKey, Service)> {
    let accepted = |addresses: &[std::net::SocketAddr], service| -> Vec<_> {
        addresses.iter().map(|it| (Side::Accepted, it.port(), service)).collect()
    };
    let pushes = config.apps.iter().flat_map(|app| app.push.iter().map(|push| &push.url));
    let origins = config.apps.iter().flat_map(|app| &app.origin);
    let upstreams = pushes
        .chain(origins)
        .filter_map(|url| RtmpUrl::parse(url).ok())
        .map(|url| (Side::Opened, url.port(), Service::Upstream));
    let mut ports = BTreeMap::new();
    for (side, port, service) in accepted(&config.rtmp.listen, Service::Rtmp)
        .into_iter()
        .chain(accepted(&config.http.listen, Service::Http))
        .chain(upstreams)
    {
        ports.entry((side as u16, port)).or_insert((PortKey::new(side, port), service));
    }
    ports.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PushConfig;

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
}
