//! What a client's commands do. RTMP 1.0 §7.2, and what FMLE, Flash and others send besides.
//!
//! Owns the reading of commands and the answers that need nobody's consent.

use super::event::ServerEvent;
use super::streams::{Ended, NetStreamState};
use super::{Phase, ServerSession};
use crate::amf0::Value;
use crate::command::{Command, Status};
use crate::fault::PeerFault;
use crate::session::request::{ConnectRequest, PlayRequest, PublishRequest, split_args};

impl ServerSession {
    pub(super) fn on_command(
        &mut self,
        stream_id: u32,
        command: &Command,
    ) -> Result<(), PeerFault> {
        if matches!(self.phase, Phase::Connect) {
            return match command.name.as_str() {
                "connect" => self.on_connect(command),
                _ => Err(PeerFault::CommandOrder("before connect")),
            };
        }
        match command.name.as_str() {
            "connect" => Err(PeerFault::CommandOrder("a second connect")),
            "createStream" => {
                self.on_create_stream(command);
                Ok(())
            }
            "publish" => self.on_publish(stream_id, command),
            "play" => self.on_play(stream_id, command),
            "deleteStream" => {
                // The cast saturates; ids that no stream has change nothing.
                let id = command.number(0).map_or(stream_id, |id| id as u32);
                self.end(id)?;
                self.streams.remove(id);
                Ok(())
            }
            "closeStream" => self.end(stream_id),
            "FCUnpublish" => self.on_fc_unpublish(command),
            "FCPublish" => {
                self.acknowledge_fc(command, "onFCPublish", "NetStream.Publish.Start");
                Ok(())
            }
            "FCSubscribe" => {
                self.acknowledge_fc(command, "onFCSubscribe", "NetStream.Play.Start");
                Ok(())
            }
            "releaseStream" | "FCUnsubscribe" | "_checkbw" | "checkBandwidth" => {
                self.answer(command, Value::Undefined);
                Ok(())
            }
            // Live streams have no length.
            "getStreamLength" => {
                self.answer(command, Value::Number(0.0));
                Ok(())
            }
            "pause" | "pauseRaw" => self.on_pause(stream_id, command),
            "receiveAudio" | "receiveVideo" => self.on_receive(stream_id, command),
            "seek" => {
                self.on_seek(stream_id);
                Ok(())
            }
            "_result" | "_error" | "onStatus" => Ok(()),
            _ => {
                self.reject_unknown(command);
                Ok(())
            }
        }
    }

    fn on_connect(&mut self, command: &Command) -> Result<(), PeerFault> {
        let request = ConnectRequest::read(command)?;
        self.deadline = None;
        self.phase = Phase::ConnectHeld {
            transaction_id: command.transaction_id,
            request: Box::new(request.clone()),
        };
        self.push_event(ServerEvent::Connect(request))
    }

    fn on_create_stream(&mut self, command: &Command) {
        match self.streams.create() {
            Some(id) => self.answer(command, Value::Number(f64::from(id))),
            None if command.wants_answer() => {
                let status = Status::error("NetConnection.Call.Failed", "Too many streams.");
                let error = Command::error(command.transaction_id, status.to_value());
                self.link.send_command(0, &error);
            }
            None => {}
        }
    }

    fn on_publish(&mut self, stream_id: u32, command: &Command) -> Result<(), PeerFault> {
        let stream_id = self.streams.resolve(stream_id)?;
        self.end(stream_id)?;
        // `publish(false)` is how Flash says that it stops.
        if matches!(command.argument(0), Some(Value::Boolean(false))) {
            return Ok(());
        }
        let request = PublishRequest::read(stream_id, command)?;
        if request.name.is_empty() {
            let status = Status::error("NetStream.Publish.BadName", "The stream has no name.");
            self.link.send_command(stream_id, &Command::on_status(&status));
            self.phase = Phase::Refused;
            return Ok(());
        }
        self.streams.hold_publish(stream_id, &request.name);
        self.deadline = None;
        self.push_event(ServerEvent::Publish(request))
    }

    fn on_play(&mut self, stream_id: u32, command: &Command) -> Result<(), PeerFault> {
        let stream_id = self.streams.resolve(stream_id)?;
        self.end(stream_id)?;
        if matches!(command.argument(0), Some(Value::Boolean(false))) {
            return Ok(());
        }
        let request = PlayRequest::read(stream_id, command)?;
        if request.name.is_empty() {
            let status = Status::error("NetStream.Play.StreamNotFound", "The stream has no name.");
            self.link.send_command(stream_id, &Command::on_status(&status));
            self.phase = Phase::Refused;
            return Ok(());
        }
        let state = NetStreamState::PlayAsked { reset: request.reset };
        self.streams.set_state(stream_id, state);
        self.deadline = None;
        self.push_event(ServerEvent::Play(request))
    }

    /// Ends what a message stream is used for.
    fn end(&mut self, stream_id: u32) -> Result<(), PeerFault> {
        match self.streams.close(stream_id) {
            Ended::Nothing => return Ok(()),
            Ended::Publish => {
                let status =
                    Status::notice("NetStream.Unpublish.Success", "The stream is unpublished.");
                self.link.send_command(stream_id, &Command::on_status(&status));
                self.push_event(ServerEvent::Unpublish { stream_id })?;
            }
            Ended::Play => self.push_event(ServerEvent::StopPlay { stream_id })?,
        }
        self.rearm_deadline();
        Ok(())
    }

    fn on_fc_unpublish(&mut self, command: &Command) -> Result<(), PeerFault> {
        let (name, _) = split_args(command.text(0).unwrap_or_default());
        let stream_id = self.streams.published_as(name);
        self.acknowledge_fc(command, "onFCUnpublish", "NetStream.Unpublish.Success");
        match stream_id {
            Some(stream_id) => self.end(stream_id),
            // The name of a stream that is not published here changes nothing.
            None => Ok(()),
        }
    }

    fn on_pause(&mut self, stream_id: u32, command: &Command) -> Result<(), PeerFault> {
        let state = self.streams.state(stream_id);
        if !matches!(state, NetStreamState::Playing | NetStreamState::PlayAsked { .. }) {
            return Ok(());
        }
        let paused = command.argument(0).and_then(Value::as_bool).unwrap_or(true);
        let status = if paused {
            Status::notice("NetStream.Pause.Notify", "The stream is paused.")
        } else {
            Status::notice("NetStream.Unpause.Notify", "The stream goes on.")
        };
        self.link.send_command(stream_id, &Command::on_status(&status));
        self.push_event(ServerEvent::Pause { stream_id, paused })
    }

    fn on_receive(&mut self, stream_id: u32, command: &Command) -> Result<(), PeerFault> {
        let state = self.streams.state(stream_id);
        if !matches!(state, NetStreamState::Playing | NetStreamState::PlayAsked { .. }) {
            return Ok(());
        }
        let enabled = command.argument(0).and_then(Value::as_bool).unwrap_or(true);
        self.push_event(if command.name == "receiveAudio" {
            ServerEvent::ReceiveAudio { stream_id, enabled }
        } else {
            ServerEvent::ReceiveVideo { stream_id, enabled }
        })
    }

    fn on_seek(&mut self, stream_id: u32) {
        if self.streams.state(stream_id) == NetStreamState::Playing {
            let status = Status::error("NetStream.Seek.Failed", "A live stream cannot be sought.");
            self.link.send_command(stream_id, &Command::on_status(&status));
        }
    }

    /// FMLE's commands want a callback of their own, and a `_result` where they say so.
    fn acknowledge_fc(&mut self, command: &Command, callback: &str, code: &str) {
        self.answer(command, Value::Undefined);
        let status = Status::notice(code, "");
        let callback = Command::new(callback, 0.0, vec![status.to_value()]);
        self.link.send_command(0, &callback);
    }

    fn answer(&mut self, command: &Command, information: Value) {
        if command.wants_answer() {
            let result = Command::result(command.transaction_id, Value::Null, information);
            self.link.send_command(0, &result);
        }
    }

    fn reject_unknown(&mut self, command: &Command) {
        if command.wants_answer() {
            let status = Status::error("NetConnection.Call.Failed", "Method not found.");
            let error = Command::error(command.transaction_id, status.to_value());
            self.link.send_command(0, &error);
        }
    }
}
