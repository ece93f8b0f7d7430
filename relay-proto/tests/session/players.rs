//! What players send, and what they hear.

use edgerelay_proto::amf0::Value;
use edgerelay_proto::message::MessageType;
use edgerelay_proto::session::{ServerEvent, ServerOutput, ServerSessionConfig};

use crate::wire::{Answers, Server, amf};

fn playing() -> Server {
    let mut server = Server::new();
    server.client.player("cam1");
    server.deliver().unwrap();
    server
}

#[test]
fn play_is_answered_as_players_of_nginx_rtmp_know_it() {
    let server = playing();
    assert_eq!(
        server.replies(),
        ["_result 1", "_result 2", "NetStream.Play.Reset", "NetStream.Play.Start"]
    );
    let begin = server.messages(MessageType::USER_CONTROL);
    assert_eq!(&begin[0].payload.to_contiguous()[..], [0, 0, 0, 0, 0, 1]);
    let data = server.messages(MessageType::DATA_AMF0);
    assert_eq!(
        data[0].payload.to_contiguous(),
        amf(&["|RtmpSampleAccess".into(), true.into(), true.into()])
    );
    let data_start = Value::object([("code", "NetStream.Data.Start".into())]);
    assert_eq!(data[1].payload.to_contiguous(), amf(&["onStatus".into(), data_start]));
    assert!(data.iter().all(|message| message.stream_id == 1));
}

#[test]
fn play_without_reset_is_not_told_of_one() {
    let mut server = Server::new();
    server
        .client
        .handshake()
        .connect(&[("app", "live".into())])
        .call(0, "createStream", 2.0, &[])
        .call(1, "play", 0.0, &["cam1".into(), (-1000.0).into(), (-1.0).into(), false.into()]);
    server.deliver().unwrap();
    assert!(!server.replies().contains(&"NetStream.Play.Reset".to_owned()));
    let request = server.events().into_iter().find_map(|event| match event {
        ServerEvent::Play(request) => Some(request),
        _ => None,
    });
    let request = request.unwrap();
    assert_eq!((request.start, request.duration, request.reset), (-1000.0, -1.0, false));
}

#[test]
fn a_player_waits_for_its_answer_without_being_held() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.player("cam1");
    server.deliver().unwrap();
    server.session.accept_connect().unwrap();
    server.drain().unwrap();
    assert!(!server.session.is_held());
    server.client.call(1, "closeStream", 0.0, &[]);
    server.deliver().unwrap();
    assert_eq!(server.events().last(), Some(&ServerEvent::StopPlay { stream_id: 1 }));
    // The answer comes too late, and does nothing.
    let before = server.replies();
    server.session.accept_play(1);
    server.drain().unwrap();
    assert_eq!(server.replies(), before);
}

/// Else a refused player would publish, or play, on a connection that is about to close.
#[test]
fn what_came_behind_a_refused_play_is_dropped_in_whatever_reads_it_came() {
    for (name, argument) in [
        ("pause", Value::from(true)),
        ("closeStream", Value::Null),
        ("play", "cam2".into()),
        ("publish", "cam2".into()),
    ] {
        for reads in [1, 2] {
            let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
            server.client.player("cam1");
            if reads == 1 {
                server.client.call(1, name, 0.0, std::slice::from_ref(&argument));
            }
            server.deliver().unwrap();
            server.session.accept_connect().unwrap();
            let mut events = Vec::new();
            while let Some(output) = server.session.poll_output() {
                let ServerOutput::Event(event) = output else { continue };
                if let ServerEvent::Play(request) = &event {
                    server.session.refuse_play(request.stream_id, "NetStream.Play.Failed", "no");
                }
                events.push(event);
            }
            if reads == 2 {
                server.client.call(1, name, 0.0, std::slice::from_ref(&argument));
                server.deliver().unwrap();
            }
            events.extend(server.events().split_off(1));
            assert!(matches!(events[..], [ServerEvent::Play(_)]), "{name}, {reads}: {events:?}");
        }
    }
}

#[test]
fn pause_and_unpause_are_answered_and_reported() {
    let mut server = playing();
    server.client.call(1, "pause", 0.0, &[true.into(), 0.0.into()]).call(
        1,
        "pause",
        0.0,
        &[false.into(), 0.0.into()],
    );
    server.deliver().unwrap();
    let pauses: Vec<_> = server
        .events()
        .into_iter()
        .filter(|event| matches!(event, ServerEvent::Pause { .. }))
        .collect();
    assert_eq!(
        pauses,
        [
            ServerEvent::Pause { stream_id: 1, paused: true },
            ServerEvent::Pause { stream_id: 1, paused: false }
        ]
    );
    assert_eq!(server.replies()[4..], ["NetStream.Pause.Notify", "NetStream.Unpause.Notify"]);
}

#[test]
fn audio_and_video_are_switched_by_the_player() {
    let mut server = playing();
    server
        .client
        .call(1, "receiveAudio", 0.0, &[false.into()])
        .call(1, "receiveVideo", 0.0, &[false.into()])
        .call(1, "receiveVideo", 0.0, &[true.into()]);
    server.deliver().unwrap();
    let switches = server.events().split_off(2);
    assert_eq!(
        switches,
        [
            ServerEvent::ReceiveAudio { stream_id: 1, enabled: false },
            ServerEvent::ReceiveVideo { stream_id: 1, enabled: false },
            ServerEvent::ReceiveVideo { stream_id: 1, enabled: true },
        ]
    );
}

#[test]
fn seeking_in_a_live_stream_fails_without_harm() {
    let mut server = playing();
    server.client.call(1, "seek", 0.0, &[5000.0.into()]);
    server.deliver().unwrap();
    assert_eq!(server.replies().last().unwrap(), "NetStream.Seek.Failed");
    assert_eq!(server.events().len(), 2);
}

#[test]
fn play_is_stopped_by_close_delete_or_play_false() {
    for (name, argument) in
        [("closeStream", Value::Null), ("deleteStream", 1.0.into()), ("play", false.into())]
    {
        let mut server = playing();
        server.client.call(1, name, 0.0, &[argument]);
        server.deliver().unwrap();
        assert_eq!(server.events().last(), Some(&ServerEvent::StopPlay { stream_id: 1 }), "{name}");
    }
}

#[test]
fn buffer_length_acknowledgements_and_shared_objects_are_taken_without_an_answer() {
    let mut server = playing();
    server.take();
    server
        .client
        .message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 3, 0, 0, 0, 1, 0, 0, 11, 184])
        .message(2, MessageType::ACKNOWLEDGEMENT, 0, 0, vec![0, 0, 0, 9])
        .message(2, MessageType::USER_CONTROL, 0, 0, vec![0])
        .message(3, MessageType::SHARED_OBJECT_AMF0, 0, 0, vec![1, 2, 3])
        .message(3, MessageType::SHARED_OBJECT_AMF3, 0, 0, vec![1, 2, 3])
        .message(3, MessageType(99), 0, 0, vec![1]);
    server.deliver().unwrap();
    assert!(server.take().is_empty());
}

#[test]
fn players_hear_of_publishers_coming_and_going_and_of_the_end() {
    let mut server = playing();
    server.take();
    server.session.play_unpublish_notify(1);
    server.session.play_publish_notify(1);
    server.session.stream_eof(1);
    server.drain().unwrap();
    assert_eq!(
        server.replies(),
        ["NetStream.Play.UnpublishNotify", "NetStream.Play.PublishNotify", "NetStream.Play.Stop"]
    );
    let events: Vec<_> = server
        .messages(MessageType::USER_CONTROL)
        .iter()
        .map(|message| message.payload.to_contiguous()[1])
        .collect();
    assert_eq!(events, [0, 1]);
}

#[test]
fn a_name_that_never_comes_is_refused_with_a_status() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.player("cam1");
    server.deliver().unwrap();
    server.session.accept_connect().unwrap();
    server.session.refuse_play(1, "NetStream.Play.StreamNotFound", "No such stream.");
    server.drain().unwrap();
    assert_eq!(server.replies().last().unwrap(), "NetStream.Play.StreamNotFound");
}

#[test]
fn fc_subscribe_is_answered() {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "live".into())]).call(
        0,
        "FCSubscribe",
        2.0,
        &["cam1".into()],
    );
    server.deliver().unwrap();
    assert_eq!(server.replies(), ["_result 1", "_result 2", "onFCSubscribe"]);
}
