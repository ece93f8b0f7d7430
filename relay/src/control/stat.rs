//! nginx-rtmp's statistics document, element for element, for what was written against it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use super::merge::{MergedStream, NodeSnapshot};
use super::xml::Text;
use crate::id::StreamKey;
use crate::message::{ClientRole, ClientSnapshot};

/// The media type that nginx-rtmp gives the document.
pub(super) const CONTENT_TYPE: &str = "text/xml";

/// The nginx-rtmp release whose document this is.
const DIALECT: &str = "1.1.4";

/// What the document says about the process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) pid: u32,
    pub(super) uptime_seconds: u64,
    pub(super) accepted: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// The document. `applications` are the configured ones, listed even when empty; an application that
/// is no longer configured follows them while it still has streams.
pub(super) fn render<'a>(
    node: &NodeSnapshot,
    applications: impl IntoIterator<Item = &'a str>,
    totals: Totals,
) -> String {
    let mut out = String::with_capacity(1024 + 512 * node.clients().count());
    // Writing to a string cannot fail.
    let _ = document(&mut out, node, applications, totals);
    out
}

fn document<'a>(
    out: &mut String,
    node: &NodeSnapshot,
    applications: impl IntoIterator<Item = &'a str>,
    totals: Totals,
) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let bits_in: u64 = node.streams.values().map(|stream| stream.bits_per_second_in).sum();
    let bits_out: u64 = node.streams.values().map(|stream| stream.bits_per_second_out).sum();
    writeln!(out, r#"<?xml version="1.0" encoding="utf-8" ?>"#)?;
    writeln!(out, "<rtmp>")?;
    writeln!(out, "<nginx_version>{version}</nginx_version>")?;
    writeln!(out, "<nginx_rtmp_version>{DIALECT}</nginx_rtmp_version>")?;
    writeln!(out, "<built>edgerelay {version}</built>")?;
    writeln!(out, "<pid>{}</pid>", totals.pid)?;
    writeln!(out, "<uptime>{}</uptime>", totals.uptime_seconds)?;
    writeln!(out, "<naccepted>{}</naccepted>", totals.accepted)?;
    writeln!(out, "<bw_in>{bits_in}</bw_in>")?;
    writeln!(out, "<bytes_in>{}</bytes_in>", totals.bytes_in)?;
    writeln!(out, "<bw_out>{bits_out}</bw_out>")?;
    writeln!(out, "<bytes_out>{}</bytes_out>", totals.bytes_out)?;
    writeln!(out, "<server>")?;
    let mut by_application: BTreeMap<&str, Vec<(&StreamKey, &MergedStream)>> = BTreeMap::new();
    for (key, stream) in &node.streams {
        by_application.entry(&key.app).or_default().push((key, stream));
    }
    for name in applications {
        application(out, name, &by_application.remove(name).unwrap_or_default())?;
    }
    for (name, streams) in by_application {
        application(out, name, &streams)?;
    }
    writeln!(out, "</server>")?;
    writeln!(out, "</rtmp>")
}

fn application(
    out: &mut String,
    name: &str,
    streams: &[(&StreamKey, &MergedStream)],
) -> fmt::Result {
    writeln!(out, "<application>")?;
    writeln!(out, "<name>{}</name>", Text(name))?;
    writeln!(out, "<live>")?;
    for (key, stream) in streams {
        self::stream(out, &key.name, stream)?;
    }
    let clients: usize = streams.iter().map(|(_, stream)| stream.clients.len()).sum();
    writeln!(out, "<nclients>{clients}</nclients>")?;
    writeln!(out, "</live>")?;
    writeln!(out, "</application>")
}

fn stream(out: &mut String, name: &str, stream: &MergedStream) -> fmt::Result {
    writeln!(out, "<stream>")?;
    writeln!(out, "<name>{}</name>", Text(name))?;
    write!(out, "<time>{}</time>", stream.age.as_millis())?;
    writeln!(out, "<bw_in>{}</bw_in>", stream.bits_per_second_in)?;
    writeln!(out, "<bytes_in>{}</bytes_in>", stream.bytes_in)?;
    writeln!(out, "<bw_out>{}</bw_out>", stream.bits_per_second_out)?;
    writeln!(out, "<bytes_out>{}</bytes_out>", stream.bytes_out)?;
    writeln!(out, "<bw_audio>{}</bw_audio>", stream.audio_bits_per_second)?;
    writeln!(out, "<bw_video>{}</bw_video>", stream.video_bits_per_second)?;
    for client in &stream.clients {
        self::client(out, client, stream.publishing)?;
    }
    if stream.publishing {
        meta(out, stream)?;
    }
    writeln!(out, "<nclients>{}</nclients>", stream.clients.len())?;
    if stream.publishing {
        writeln!(out, "<publishing/>")?;
        writeln!(out, "<active/>")?;
    }
    writeln!(out, "</stream>")
}

fn client(out: &mut String, client: &ClientSnapshot, stream_active: bool) -> fmt::Result {
    write!(out, "<client><id>{}</id>", client.id)?;
    write!(out, "<address>{}</address>", address(client))?;
    write!(out, "<time>{}</time>", client.age.as_millis())?;
    for (element, value) in [
        ("flashver", &client.flash_ver),
        ("pageurl", &client.page_url),
        ("swfurl", &client.swf_url),
    ] {
        if !value.is_empty() {
            write!(out, "<{element}>{}</{element}>", Text(value))?;
        }
    }
    write!(out, "<dropped>{}</dropped>", client.frames_dropped)?;
    write!(out, "<avsync>{}</avsync>", client.audio_video_offset_ms)?;
    write!(out, "<timestamp>{}</timestamp>", client.timestamp)?;
    if matches!(client.role, ClientRole::Publisher | ClientRole::Pull) {
        write!(out, "<publishing/>")?;
    }
    if stream_active {
        write!(out, "<active/>")?;
    }
    writeln!(out, "</client>")
}

/// A client's address without its port, as in nginx-rtmp; for a connection of ours the address and
/// port it leads to, where nginx-rtmp shows the URL, which holds a key.
fn address(client: &ClientSnapshot) -> String {
    let ip = client.address.ip().to_canonical();
    match ip {
        _ if client.role.is_relay_leg() => SocketAddr::new(ip, client.address.port()).to_string(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.to_string(),
    }
}

fn meta(out: &mut String, stream: &MergedStream) -> fmt::Result {
    if stream.video.is_none() && stream.audio.is_none() {
        return Ok(());
    }
    write!(out, "<meta>")?;
    if let Some(video) = &stream.video {
        write!(out, "<video><width>{}</width><height>{}</height>", video.width, video.height)?;
        write!(out, "<frame_rate>{}</frame_rate>", thousandths(video.frame_rate))?;
        write!(out, "<codec>{}</codec>", Text(video.codec.label()))?;
        if let Some(profile) = &video.profile {
            write!(out, "<profile>{}</profile>", Text(profile))?;
            write!(out, "<compat>{}</compat><level>{:.1}</level>", video.compat, video.level)?;
        }
        write!(out, "</video>")?;
    }
    if let Some(audio) = &stream.audio {
        write!(out, "<audio><codec>{}</codec>", Text(audio.codec.label()))?;
        if let Some(profile) = &audio.profile {
            write!(out, "<profile>{}</profile>", Text(profile))?;
        }
        if audio.channels > 0 {
            write!(out, "<channels>{}</channels>", audio.channels)?;
        }
        if audio.sample_rate > 0 {
            write!(out, "<sample_rate>{}</sample_rate>", audio.sample_rate)?;
        }
        write!(out, "</audio>")?;
    }
    writeln!(out, "</meta>")
}

/// A rate to three decimals, whole rates without any; zero for what is no rate, since it is the
/// publisher's word.
fn thousandths(rate: f64) -> f64 {
    if (0.0..1e6).contains(&rate) { (rate * 1e3).round() / 1e3 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::sample;
    use super::*;
    use crate::message::ShardSnapshot;

    const TOTALS: Totals = Totals {
        pid: 1439,
        uptime_seconds: 6,
        accepted: 3,
        bytes_in: 2_620_200,
        bytes_out: 1_690_042,
    };

    /// As nginx 1.22.1 with nginx-rtmp 1.2.2 answered, but for the three lines that name the
    /// program, and the push's address, which had the path of its URL.
    const CAPTURED: &str = concat!(
        r#"<?xml version="1.0" encoding="utf-8" ?>
<rtmp>
<nginx_version>"#,
        env!("CARGO_PKG_VERSION"),
        r#"</nginx_version>
<nginx_rtmp_version>1.1.4</nginx_rtmp_version>
<built>edgerelay "#,
        env!("CARGO_PKG_VERSION"),
        r#"</built>
<pid>1439</pid>
<uptime>6</uptime>
<naccepted>3</naccepted>
<bw_in>0</bw_in>
<bytes_in>2620200</bytes_in>
<bw_out>0</bw_out>
<bytes_out>1690042</bytes_out>
<server>
<application>
<name>live</name>
<live>
<stream>
<name>cam1</name>
<time>5676</time><bw_in>0</bw_in>
<bytes_in>1305747</bytes_in>
<bw_out>0</bw_out>
<bytes_out>1682927</bytes_out>
<bw_audio>0</bw_audio>
<bw_video>0</bw_video>
<client><id>10</id><address>127.0.0.1</address><time>2898</time><flashver>LNX 9,0,124,2</flashver><dropped>0</dropped><avsync>-23</avsync><timestamp>5503</timestamp><active/></client>
<client><id>4</id><address>127.0.0.1:19399</address><time>5676</time><flashver>ngx-local-relay</flashver><dropped>0</dropped><avsync>-23</avsync><timestamp>5503</timestamp><active/></client>
<client><id>1</id><address>127.0.0.1</address><time>5857</time><flashver>FMLE/3.0 (compatible; Lavf59.27</flashver><dropped>0</dropped><avsync>-23</avsync><timestamp>5503</timestamp><publishing/><active/></client>
<meta><video><width>640</width><height>360</height><frame_rate>25</frame_rate><codec>H264</codec><profile>Baseline</profile><compat>192</compat><level>3.0</level></video><audio><codec>AAC</codec><profile>LC</profile><channels>1</channels><sample_rate>44100</sample_rate></audio></meta>
<nclients>3</nclients>
<publishing/>
<active/>
</stream>
<nclients>3</nclients>
</live>
</application>
</server>
</rtmp>
"#
    );

    fn assert_well_formed(document: &str) {
        let mut reader = Reader::from_str(document);
        reader.config_mut().check_end_names = true;
        while !matches!(reader.read_event().unwrap(), Event::Eof) {}
    }

    #[test]
    fn the_document_is_the_captured_one() {
        let key = StreamKey::new("live", "cam1");
        let node = NodeSnapshot::merge([sample::captured(&key)]);
        assert_eq!(render(&node, ["live"], TOTALS), CAPTURED);
    }

    #[test]
    fn an_application_without_streams_is_listed_empty() {
        let text = render(&NodeSnapshot::default(), ["live"], TOTALS);
        let empty = "<application>\n<name>live</name>\n<live>\n<nclients>0</nclients>\n</live>\n";
        assert!(text.contains(empty), "{text}");
    }

    #[test]
    fn a_stream_nobody_publishes_is_neither_active_nor_described() {
        let key = StreamKey::new("live", "cam1");
        let mut part = sample::captured(&key);
        part.streams[0].publishing = false;
        let waiting = part.clients.pop().unwrap();
        assert_eq!(waiting.role, ClientRole::Player);
        part.clients = vec![waiting];
        let text = render(&NodeSnapshot::merge([part]), ["live"], TOTALS);
        for element in ["<meta>", "<publishing/>", "<active/>"] {
            assert!(!text.contains(element), "{text}");
        }
        assert!(text.contains("<nclients>1</nclients>"));
    }

    #[test]
    fn hostile_names_break_nothing() {
        let name = "</name><x a='\"'>&#0;&\u{0}\u{1b}]]>\u{ffff}";
        let key = StreamKey::new("li<ve", name);
        let mut part = sample::captured(&key);
        for client in &mut part.clients {
            client.flash_ver = name.to_owned();
            client.page_url = name.to_owned();
            client.swf_url = name.to_owned();
        }
        let text = render(&NodeSnapshot::merge([part]), ["live"], TOTALS);
        assert_well_formed(&text);
        assert_eq!(text.matches("<name>").count(), 3, "{text}");
        assert!(!text.contains("<x"), "{text}");
        assert!(text.contains("<name>li&lt;ve</name>"), "{text}");
    }

    #[test]
    fn a_frame_rate_is_a_short_number_whatever_the_publisher_said() {
        let shown = |rate| thousandths(rate).to_string();
        assert_eq!(shown(25.0), "25");
        assert_eq!(shown(30_000.0 / 1001.0), "29.97");
        for rate in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(shown(rate), "0");
        }
    }

    #[test]
    fn a_long_name_is_not_cut() {
        let name = "&".repeat(100_000);
        let part = ShardSnapshot {
            streams: vec![sample::stream(&StreamKey::new("live", &name), true)],
            clients: Vec::new(),
        };
        let text = render(&NodeSnapshot::merge([part]), ["live"], TOTALS);
        assert!(text.contains(&format!("<name>{}</name>", "&amp;".repeat(100_000))));
        assert_well_formed(&text);
    }

    #[test]
    fn an_ipv4_client_of_a_dual_stack_socket_shows_its_ipv4_address() {
        let key = StreamKey::new("live", "cam1");
        let mut client = sample::client(0, 1, ClientRole::Player, Some(&key));
        client.address = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        assert_eq!(address(&client), "192.0.2.1");
        client.role = ClientRole::Push;
        assert_eq!(address(&client), "192.0.2.1:5000");
    }
}
