//! Applications, stream names, arguments and URLs, in all the forms clients write them; and that
//! none of it shows in what may be logged.

use edgerelay_proto::session::{ConnectRequest, RtmpUrl, RtmpUrlError, ServerEvent};

use crate::wire::Server;

fn connect(app: &str, tc_url: &str) -> ConnectRequest {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", app.into()), ("tcUrl", tc_url.into())]);
    server.deliver().unwrap();
    match server.events().into_iter().next() {
        Some(ServerEvent::Connect(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn applications_are_named_alike_however_they_are_written() {
    for (app, tc_url, name, args) in [
        ("live", "rtmp://h/live", "live", ""),
        ("live/", "rtmp://h/live/", "live", ""),
        ("v2/pub", "rtmp://h/v2/pub", "v2/pub", ""),
        ("live?token=1", "rtmp://h/live?token=1", "live", "token=1"),
        ("live/?token=1", "rtmp://h/live/?token=1", "live", "token=1"),
        ("live", "rtmp://h/live?token=2", "live", "token=2"),
        ("live?vhost=a", "rtmp://h/live?vhost=b", "live", "vhost=a"),
        ("", "rtmp://h/live", "live", ""),
        ("", "rtmp://h", "", ""),
        ("", "", "", ""),
    ] {
        let request = connect(app, tc_url);
        assert_eq!((request.app.as_str(), request.args.as_str()), (name, args), "{app} {tc_url}");
    }
}

#[test]
fn connect_without_a_command_object_is_an_application_without_a_name() {
    let mut server = Server::new();
    server.client.handshake().call(0, "connect", 1.0, &[]);
    server.deliver().unwrap();
    assert!(matches!(
        server.events().first(),
        Some(ServerEvent::Connect(request)) if request.app.is_empty()
    ));
}

#[test]
fn arguments_are_split_from_the_stream_name() {
    let mut server = Server::new();
    server.client.publisher("cam1?token=a?b&c=d");
    server.deliver().unwrap();
    let request = server.events().into_iter().find_map(|event| match event {
        ServerEvent::Publish(request) => Some(request),
        _ => None,
    });
    let request = request.unwrap();
    assert_eq!((request.name.as_str(), request.args.as_str()), ("cam1", "token=a?b&c=d"));
}

#[test]
fn a_stream_without_a_name_is_refused() {
    for name in ["", "?token=x"] {
        let mut server = Server::new();
        server.client.publisher(name).call(0, "createStream", 9.0, &[]);
        server.deliver().unwrap();
        assert_eq!(server.replies().last().unwrap(), "NetStream.Publish.BadName");
    }
}

#[test]
fn stream_keys_and_tokens_show_in_no_debug_output() {
    let mut server = Server::new();
    server.client.publisher("topsecret?token=hushhush");
    server.client.message(
        3,
        edgerelay_proto::message::MessageType::COMMAND_AMF0,
        0,
        0,
        vec![2, 0, 9],
    );
    let fault = server.deliver().unwrap_err();
    let shown = format!("{fault} {fault:?} {:?} {:?}", server.session, server.events());
    for secret in ["topsecret", "hushhush"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let url = RtmpUrl::parse("rtmp://h/app?auth=hushhush/topsecret").unwrap();
    let shown = format!("{url} {url:?}");
    for secret in ["topsecret", "hushhush"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn urls_are_cut_into_host_application_and_stream() {
    for (text, tls, host, port, app, stream) in [
        ("rtmp://h/live/cam1", false, "h", 1935, "live", "cam1"),
        ("rtmp://h:19350/live/cam1", false, "h", 19350, "live", "cam1"),
        ("rtmps://h/live/cam1", true, "h", 443, "live", "cam1"),
        ("rtmp://h/app/instance/cam1?t=1", false, "h", 1935, "app/instance", "cam1?t=1"),
        ("rtmp://h/live/cam1?u=a/b", false, "h", 1935, "live", "cam1?u=a/b"),
        ("rtmp://b.yt/live2?backup=1/key", false, "b.yt", 1935, "live2?backup=1", "key"),
        ("rtmp://b.yt/live2?backup=1", false, "b.yt", 1935, "live2?backup=1", ""),
        ("rtmp://[2001:db8::1]:1936/live/c", false, "2001:db8::1", 1936, "live", "c"),
        ("rtmp://h/live", false, "h", 1935, "live", ""),
        ("rtmp://h/live/", false, "h", 1935, "live", ""),
    ] {
        let url = RtmpUrl::parse(text).unwrap();
        assert_eq!(
            (url.is_tls(), url.host(), url.port(), url.app(), url.stream()),
            (tls, host, port, app, stream),
            "{text}"
        );
    }
}

#[test]
fn tc_url_keeps_the_query_and_leaves_out_the_usual_port() {
    let tc_url = |text: &str| RtmpUrl::parse(text).unwrap().tc_url();
    assert_eq!(tc_url("rtmp://h:1935/live?a=1/key"), "rtmp://h/live?a=1");
    assert_eq!(tc_url("rtmps://h:1935/live/key"), "rtmps://h:1935/live");
    assert_eq!(tc_url("rtmp://[::1]:1936/live/key"), "rtmp://[::1]:1936/live");
}

#[test]
fn what_is_no_rtmp_url_says_why() {
    for (text, error) in [
        ("http://h/live", RtmpUrlError::Scheme),
        ("h/live/cam", RtmpUrlError::Scheme),
        ("rtmp:///live/cam", RtmpUrlError::Host),
        ("rtmp://h:0/live/cam", RtmpUrlError::Port),
        ("rtmp://h:x/live/cam", RtmpUrlError::Port),
        ("rtmp://u:p@h/live/cam", RtmpUrlError::UserInfo),
        ("rtmp://h", RtmpUrlError::App),
        ("rtmp://h/", RtmpUrlError::App),
    ] {
        assert_eq!(RtmpUrl::parse(text), Err(error), "{text}");
    }
    let long = format!("rtmp://h/live/{}", "x".repeat(1000));
    assert_eq!(RtmpUrl::parse(&long), Err(RtmpUrlError::TooLong));
}

#[test]
fn the_stream_can_be_given_after_the_url() {
    let url = RtmpUrl::parse("rtmp://h/live").unwrap().with_stream("cam1?t=1").unwrap();
    assert_eq!((url.app(), url.stream()), ("live", "cam1?t=1"));
    assert_eq!(url.to_string(), "rtmp://h/live/***");
}
