//! What encoders send, in their own orders.

use edgerelay_proto::amf0::Value;
use edgerelay_proto::command::Command;
use edgerelay_proto::message::MessageType;
use edgerelay_proto::session::{PublishKind, ServerEvent, ServerSessionConfig};

use crate::wire::{Answers, Seen, Server, amf};

fn published(server: &Server) -> Vec<String> {
    server
        .events()
        .into_iter()
        .filter_map(|event| match event {
            ServerEvent::Publish(request) => Some(request.name),
            _ => None,
        })
        .collect()
}

#[test]
fn obs_connects_raises_its_chunk_size_and_publishes() {
    let mut server = Server::new();
    server
        .client
        .handshake()
        .connect(&[
            ("app", "live".into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
            ("swfUrl", "rtmp://relay.example/live".into()),
            ("tcUrl", "rtmp://relay.example/live".into()),
        ])
        .chunk_size(4_096)
        .call(0, "releaseStream", 2.0, &["cam1".into()])
        .call(0, "FCPublish", 3.0, &["cam1".into()])
        .call(0, "createStream", 4.0, &[])
        .call(1, "publish", 5.0, &["cam1".into(), "live".into()])
        .message(
            4,
            MessageType::DATA_AMF0,
            1,
            0,
            amf(&["@setDataFrame".into(), "onMetaData".into()]),
        )
        .message(4, MessageType::VIDEO, 1, 0, vec![0x17; 9_000]);
    server.deliver().unwrap();

    let Some(ServerEvent::Connect(request)) = server.events().into_iter().next() else {
        panic!("no connect")
    };
    assert_eq!(request.app, "live");
    assert_eq!(request.flash_ver, "FMLE/3.0 (compatible; FMSc/1.0)");
    assert_eq!(request.swf_url, request.tc_url);
    assert!(!request.caps.enhanced());
    assert_eq!(published(&server), ["cam1"]);
    assert_eq!(
        server.replies(),
        [
            "_result 1",
            "_result 2",
            "_result 3",
            "onFCPublish",
            "_result 4",
            "NetStream.Publish.Start"
        ]
    );
    let media = server.media();
    assert_eq!(media.len(), 2);
    assert_eq!(media[0].1, amf(&["onMetaData".into()]));
    assert_eq!(media[1].1.len(), 9_000);
}

#[test]
fn connect_is_answered_in_the_order_that_old_clients_expect() {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "live".into()), ("objectEncoding", 3.0.into())]);
    server.deliver().unwrap();
    let types: Vec<_> = server
        .take()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Message(message) => Some(message.message_type),
            Seen::Event(_) => None,
        })
        .collect();
    assert_eq!(
        types,
        [
            MessageType::WINDOW_ACK_SIZE,
            MessageType::SET_PEER_BANDWIDTH,
            MessageType::SET_CHUNK_SIZE,
            MessageType::COMMAND_AMF0
        ]
    );
}

#[test]
fn the_connect_result_names_the_server_and_echoes_the_encoding() {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "live".into()), ("objectEncoding", 3.0.into())]);
    server.deliver().unwrap();
    let result = &server.commands()[0];
    assert_eq!(result.transaction_id, 1.0);
    assert_eq!(result.object.get("fmsVer").and_then(Value::as_str), Some("FMS/3,0,1,123"));
    assert_eq!(result.object.get("capabilities").and_then(Value::as_number), Some(31.0));
    let information = result.argument(0).unwrap();
    assert_eq!(
        information.get("code").and_then(Value::as_str),
        Some("NetConnection.Connect.Success")
    );
    assert_eq!(information.get("objectEncoding").and_then(Value::as_number), Some(3.0));
    assert!(information.get("fourCcList").is_none(), "nobody asked");
}

#[test]
fn the_handshake_answer_is_one_send() {
    let mut server = Server::new();
    server.client.handshake();
    server.deliver().unwrap();
    assert_eq!(server.sends.iter().map(bytes::Bytes::len).collect::<Vec<_>>(), [3_073]);
}

#[test]
fn flash_creates_a_stream_and_publishes_with_transaction_zero() {
    let mut server = Server::new();
    server
        .client
        .handshake()
        .connect(&[("app", "live".into())])
        .call(0, "createStream", 2.0, &[])
        .call(1, "publish", 0.0, &["cam1".into(), "record".into()]);
    server.deliver().unwrap();
    assert_eq!(published(&server), ["cam1"]);
    assert!(server.events().iter().any(
        |event| matches!(event, ServerEvent::Publish(request) if request.kind == PublishKind::Record)
    ));
    assert_eq!(server.replies(), ["_result 1", "_result 2", "NetStream.Publish.Start"]);
}

#[test]
fn haivision_sends_fc_publish_after_create_stream() {
    let mut server = Server::new();
    server
        .client
        .handshake()
        .connect(&[("app", "live".into())])
        .call(0, "createStream", 2.0, &[])
        .call(0, "FCPublish", 3.0, &["cam1".into()])
        .call(1, "publish", 4.0, &["cam1".into()]);
    server.deliver().unwrap();
    assert_eq!(published(&server), ["cam1"]);
    assert!(server.replies().contains(&"onFCPublish".to_owned()));
}

#[test]
fn unknown_commands_get_an_error_only_if_they_want_an_answer() {
    let mut server = Server::new();
    server
        .client
        .handshake()
        .connect(&[("app", "live".into())])
        .call(0, "setPeerInfo", 8.0, &["x".into()])
        .call(0, "onClientStats", 0.0, &[])
        .call(0, "_checkbw", 9.0, &[])
        .call(0, "getStreamLength", 10.0, &["cam1".into()]);
    server.deliver().unwrap();
    assert_eq!(server.replies(), ["_result 1", "_error 8", "_result 9", "_result 10"]);
}

#[test]
fn publish_without_create_stream_or_on_stream_zero_works() {
    for stream_id in [0, 1, 5] {
        let mut server = Server::new();
        server
            .client
            .handshake()
            .connect(&[("app", "live".into())])
            .call(stream_id, "publish", 3.0, &["cam1".into()])
            .message(6, MessageType::VIDEO, stream_id, 40, vec![0x17, 1]);
        server.deliver().unwrap();
        assert_eq!(server.media().len(), 1, "stream {stream_id}");
    }
}

#[test]
fn amf3_framed_commands_and_data_are_unwrapped() {
    let mut server = Server::new();
    let framed = |body: bytes::Bytes| [&[0][..], &body].concat();
    let publish = Command::new("publish", 3.0, vec!["cam1".into()]).encode();
    server
        .client
        .handshake()
        .connect(&[("app", "live".into())])
        .call(0, "createStream", 2.0, &[])
        .message(3, MessageType::COMMAND_AMF3, 1, 0, framed(publish))
        .message(
            5,
            MessageType::DATA_AMF3,
            1,
            7,
            framed(amf(&["@setDataFrame".into(), "onMetaData".into()])),
        );
    server.deliver().unwrap();
    assert_eq!(published(&server), ["cam1"]);
    assert_eq!(server.media(), [(7, amf(&["onMetaData".into()]))]);
}

#[test]
fn enhanced_rtmp_clients_hear_what_is_forwarded() {
    let mut server = Server::new();
    let list = Value::StrictArray(vec!["av01".into(), "hvc1".into(), "*".into()]);
    server.client.handshake().connect(&[
        ("app", "live".into()),
        ("fourCcList", list),
        ("videoFourCcInfoMap", Value::object([("vp09", 7.0.into())])),
        ("audioFourCcInfoMap", Value::object([("Opus", 7.0.into())])),
        ("capsEx", 1.0.into()),
    ]);
    server.deliver().unwrap();
    let Some(ServerEvent::Connect(request)) = server.events().into_iter().next() else {
        panic!("no connect")
    };
    assert_eq!(request.caps.four_ccs, [*b"av01", *b"hvc1", *b"vp09", *b"Opus"]);
    assert!(request.caps.any_four_cc && request.caps.reconnect() && !request.caps.multitrack());
    let result = &server.commands()[0];
    for object in [&result.object, result.argument(0).unwrap()] {
        assert_eq!(object.get("fourCcList"), Some(&Value::StrictArray(vec!["*".into()])));
        let forward = Value::object([("*", 4.0.into())]);
        assert_eq!(object.get("videoFourCcInfoMap"), Some(&forward));
        assert_eq!(object.get("audioFourCcInfoMap"), Some(&forward));
        assert_eq!(object.get("capsEx"), Some(&Value::Number(7.0)));
    }
}

#[test]
fn reconnect_is_requested_only_of_clients_that_understand_it() {
    for (caps_ex, understood) in [(1.0, true), (6.0, false)] {
        let mut server = Server::new();
        server.client.handshake().connect(&[("app", "live".into()), ("capsEx", caps_ex.into())]);
        server.deliver().unwrap();
        let asked =
            server.session.request_reconnect(Some("rtmp://other.example/live"), "Draining.");
        server.drain().unwrap();
        assert_eq!(asked, understood);
        let request = server.commands().into_iter().find(|command| command.name == "onStatus");
        let url = request.and_then(|status| {
            let information = status.argument(0)?;
            assert_eq!(
                information.get("code").and_then(Value::as_str),
                Some("NetConnection.Connect.ReconnectRequest")
            );
            Some(information.get("tcUrl")?.as_str()?.to_owned())
        });
        assert_eq!(url.is_some(), understood);
    }
}

#[test]
fn a_refused_connect_says_why_and_ignores_the_rest() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.handshake().connect(&[("app", "nope".into())]).call(0, "createStream", 2.0, &[]);
    server.deliver().unwrap();
    server.session.refuse_connect("No such application.");
    server.drain().unwrap();
    assert_eq!(server.replies(), ["_error 1"]);
    let error = &server.commands()[0];
    let information = error.argument(0).unwrap();
    assert_eq!(
        information.get("code").and_then(Value::as_str),
        Some("NetConnection.Connect.Rejected")
    );
    server.client.call(0, "createStream", 3.0, &[]);
    server.deliver().unwrap();
    assert_eq!(server.replies(), ["_error 1"]);
}

#[test]
fn a_refused_publish_gets_a_status_so_that_obs_does_not_loop() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.publisher("cam1");
    server.deliver().unwrap();
    server.session.accept_connect().unwrap();
    server.drain().unwrap();
    server.session.refuse_publish(1, "NetStream.Publish.Denied", "Not allowed.");
    server.drain().unwrap();
    assert_eq!(server.replies(), ["_result 1", "_result 2", "NetStream.Publish.Denied"]);
    let status = server.commands().pop().unwrap();
    let level = status.argument(0).and_then(|info| info.get("level")?.as_str().map(str::to_owned));
    assert_eq!(level.as_deref(), Some("error"));
}

#[test]
fn nothing_overtakes_the_answers_and_no_media_is_lost_meanwhile() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.publisher("cam1").message(6, MessageType::VIDEO, 1, 0, vec![0x17, 0]);
    server.deliver().unwrap();
    assert!(server.session.is_held());
    assert_eq!(server.events().len(), 1, "connect alone");
    server.session.accept_connect().unwrap();
    server.drain().unwrap();
    assert_eq!(server.events().len(), 2, "then publish");
    assert!(server.media().is_empty());
    server.session.accept_publish(1).unwrap();
    server.drain().unwrap();
    assert!(!server.session.is_held());
    assert_eq!(server.replies(), ["_result 1", "_result 2", "NetStream.Publish.Start"]);
    assert_eq!(server.media().len(), 1);
}

#[test]
fn a_publisher_ends_by_any_of_its_commands_and_once() {
    type End = fn(&mut crate::wire::ClientBytes);
    let ends: [End; 5] = [
        |client| {
            client.call(0, "FCUnpublish", 6.0, &["cam1?token=x".into()]);
        },
        |client| {
            client.call(0, "FCUnpublish", 6.0, &["cam1?token=x".into()]);
            client.call(0, "deleteStream", 7.0, &[1.0.into()]);
        },
        |client| {
            client.call(0, "deleteStream", 0.0, &[1.0.into()]);
        },
        |client| {
            client.call(1, "closeStream", 0.0, &[]);
        },
        |client| {
            client.call(1, "publish", 0.0, &[false.into()]);
        },
    ];
    for end in ends {
        let mut server = Server::new();
        server.client.publisher("cam1?token=x");
        end(&mut server.client);
        server.client.message(6, MessageType::VIDEO, 1, 0, vec![0x17, 1]);
        server.deliver().unwrap();
        let ended = server
            .events()
            .iter()
            .filter(|event| matches!(event, ServerEvent::Unpublish { stream_id: 1 }))
            .count();
        assert_eq!(ended, 1);
        assert!(server.replies().contains(&"NetStream.Unpublish.Success".to_owned()));
        assert!(server.media().is_empty(), "media after the end is nobody's");
    }
}

#[test]
fn fc_unpublish_of_another_name_ends_nothing() {
    let mut server = Server::new();
    server.client.publisher("cam1").call(0, "FCUnpublish", 6.0, &["cam2".into()]);
    server.deliver().unwrap();
    assert!(!server.events().contains(&ServerEvent::Unpublish { stream_id: 1 }));
}

#[test]
fn a_stream_can_be_published_again_on_the_same_connection() {
    let mut server = Server::new();
    server
        .client
        .publisher("cam1")
        .call(0, "deleteStream", 0.0, &[1.0.into()])
        .call(0, "createStream", 6.0, &[])
        .call(1, "publish", 7.0, &["cam2".into()]);
    server.deliver().unwrap();
    assert_eq!(published(&server), ["cam1", "cam2"]);
}
