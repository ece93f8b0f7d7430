//! The caller's answers to a client, and what else it has to tell it.

use super::streams::NetStreamState;
use super::{Phase, ServerSession};
use crate::amf0::Value;
use crate::command::{Command, Status};
use crate::fault::PeerFault;
use crate::limits::REPORT_BYTES_MAX;
use crate::message::MessageType;
use crate::session::REPORT_CODE;
use crate::session::link::event;
use crate::time::Instant;

impl ServerSession {
    /// Accepts `connect`, and handles what the client sent behind it. Without one it does nothing.
    ///
    /// # Errors
    /// What came behind it breaks the protocol.
    pub fn accept_connect(&mut self) -> Result<(), PeerFault> {
        let Phase::ConnectHeld { transaction_id, request } = &self.phase else { return Ok(()) };
        let enhanced = request.caps.answer();
        let mut properties = vec![
            ("fmsVer".to_owned(), "FMS/3,0,1,123".into()),
            ("capabilities".to_owned(), Value::Number(31.0)),
            ("mode".to_owned(), Value::Number(1.0)),
        ];
        let mut information = vec![
            ("level".to_owned(), "status".into()),
            ("code".to_owned(), "NetConnection.Connect.Success".into()),
            ("description".to_owned(), "Connection succeeded.".into()),
            ("objectEncoding".to_owned(), Value::Number(request.caps.object_encoding)),
        ];
        // Clients differ in which of the two objects they look into.
        properties.extend(enhanced.iter().cloned());
        information.extend(enhanced);
        let result =
            Command::result(*transaction_id, Value::Object(properties), Value::Object(information));
        self.phase = Phase::Ready { reconnect: request.caps.reconnect() };
        self.link.send_control(MessageType::WINDOW_ACK_SIZE, self.config.window_ack_size);
        self.link.send_peer_bandwidth(self.config.peer_bandwidth);
        self.link.send_chunk_size(self.config.chunk_size);
        self.link.send_command(0, &result);
        self.rearm_deadline();
        self.resume()
    }

    /// Refuses `connect`. Flush the output, then close.
    pub fn refuse_connect(&mut self, description: &str) {
        let Phase::ConnectHeld { transaction_id, .. } = self.phase else { return };
        let status = Status::error("NetConnection.Connect.Rejected", description);
        self.link.send_command(0, &Command::error(transaction_id, status.to_value()));
        self.refuse();
    }

    /// Accepts `publish`, and handles what the client sent behind it.
    ///
    /// # Errors
    /// What came behind it breaks the protocol.
    pub fn accept_publish(&mut self, stream_id: u32) -> Result<(), PeerFault> {
        if self.streams.state(stream_id) != NetStreamState::PublishHeld {
            return Ok(());
        }
        self.streams.set_state(stream_id, NetStreamState::Publishing);
        self.link.send_user_control(event::STREAM_BEGIN, &[stream_id]);
        self.send_status(
            stream_id,
            &Status::notice("NetStream.Publish.Start", "Publishing started."),
        );
        self.resume()
    }

    /// Refuses `publish`, or ends an accepted one. Flush the output, then close.
    pub fn refuse_publish(&mut self, stream_id: u32, code: &str, description: &str) {
        self.send_status(stream_id, &Status::error(code, description));
        self.refuse();
    }

    /// Accepts `play`: the stream begins.
    pub fn accept_play(&mut self, stream_id: u32) {
        let NetStreamState::PlayAsked { reset } = self.streams.state(stream_id) else { return };
        self.streams.set_state(stream_id, NetStreamState::Playing);
        self.link.send_user_control(event::STREAM_BEGIN, &[stream_id]);
        if reset {
            let status = Status::notice("NetStream.Play.Reset", "Playlist reset.");
            self.send_status(stream_id, &status);
        }
        self.send_status(stream_id, &Status::notice("NetStream.Play.Start", "Playing started."));
        self.link.send_data(
            stream_id,
            &["|RtmpSampleAccess".into(), Value::Boolean(true), Value::Boolean(true)],
        );
        let data_start = Value::object([("code", "NetStream.Data.Start".into())]);
        self.link.send_data(stream_id, &["onStatus".into(), data_start]);
    }

    /// Refuses `play`, or ends an accepted one. Flush the output, then close.
    pub fn refuse_play(&mut self, stream_id: u32, code: &str, description: &str) {
        self.send_status(stream_id, &Status::error(code, description));
        self.refuse();
    }

    /// Tells a player that its stream's publisher came (again).
    pub fn play_publish_notify(&mut self, stream_id: u32) {
        self.link.send_user_control(event::STREAM_BEGIN, &[stream_id]);
        let status = Status::notice("NetStream.Play.PublishNotify", "The stream is published.");
        self.send_status(stream_id, &status);
    }

    /// Tells a player that its stream's publisher went, and may come back.
    pub fn play_unpublish_notify(&mut self, stream_id: u32) {
        let status = Status::notice("NetStream.Play.UnpublishNotify", "The stream is unpublished.");
        self.send_status(stream_id, &status);
    }

    /// Tells a player that its stream is over.
    pub fn stream_eof(&mut self, stream_id: u32) {
        self.link.send_user_control(event::STREAM_EOF, &[stream_id]);
        let status = Status::notice("NetStream.Play.Stop", "The stream is over.");
        self.send_status(stream_id, &status);
    }

    /// Asks the client to connect again, elsewhere or here, and says whether it understands that.
    /// Enhanced RTMP v2, "Reconnect Request".
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        let Phase::Ready { reconnect: true } = self.phase else { return false };
        let status = Status::notice("NetConnection.Connect.ReconnectRequest", description);
        let mut command = Command::on_status(&status);
        if let (Some(tc_url), Some(Value::Object(properties))) =
            (tc_url, command.arguments.first_mut())
        {
            properties.push(("tcUrl".to_owned(), tc_url.into()));
        }
        self.link.send_command(0, &command);
        true
    }

    /// Tells one of our own how the stream that it pushes here fares, in words that both know. Others
    /// pass over the status. Nothing is said that is longer than
    /// [`REPORT_BYTES_MAX`].
    pub fn report(&mut self, stream_id: u32, text: &str) {
        if self.streams.state(stream_id) == NetStreamState::Publishing
            && text.len() <= REPORT_BYTES_MAX
        {
            self.send_status(stream_id, &Status::notice(REPORT_CODE, text));
        }
    }

    /// Pings the client now; it has the ping time-out to say anything.
    pub fn ping(&mut self, now: Instant) {
        if self.keeps_alive() {
            self.link.ping(now);
        }
    }

    fn send_status(&mut self, stream_id: u32, status: &Status<'_>) {
        self.link.send_command(stream_id, &Command::on_status(status));
    }

    fn refuse(&mut self) {
        self.phase = Phase::Refused;
        self.deadline = None;
        // `play` holds nothing up, so what came behind it may be read already. It counts no more
        // than what is still to come.
        self.outputs.drop_events();
    }

    /// Handles the input that was held while an answer was due.
    fn resume(&mut self) -> Result<(), PeerFault> {
        self.held_bytes = 0;
        self.outputs.on_input();
        self.pump()
    }
}
