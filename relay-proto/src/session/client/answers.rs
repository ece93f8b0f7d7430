//! What a server's commands do to a client session: answers, statuses, and all else ignored.

use super::{ClientEvent, ClientMode, ClientSession, Phase, transaction};
use crate::amf0::Value;
use crate::command::Command;
use crate::fault::PeerFault;
use crate::limits::{REPORT_BYTES_MAX, STRING_BYTES_MAX};
use crate::message::MessageType;
use crate::session::REPORT_CODE;
use crate::session::request::split_args;

impl ClientSession {
    pub(super) fn on_command(&mut self, command: &Command) -> Result<(), PeerFault> {
        if matches!(self.phase, Phase::Closed) {
            return Ok(());
        }
        match command.name.as_str() {
            "_result" => {
                self.on_result(command);
                Ok(())
            }
            "_error" => self.on_error(command),
            "onStatus" => self.on_status(command),
            "close" => self.reject(command),
            // onBWDone, onFCPublish and whatever else is not for us to act on.
            _ => Ok(()),
        }
    }

    fn on_result(&mut self, command: &Command) {
        match self.phase {
            Phase::Connecting if command.transaction_id == transaction::CONNECT => {
                self.enter(Phase::Creating);
                self.link.send_control(MessageType::WINDOW_ACK_SIZE, self.config.window_ack_size);
                self.link.send_chunk_size(self.config.chunk_size);
                if self.config.mode == ClientMode::Publish {
                    self.send_named("releaseStream", transaction::RELEASE_STREAM);
                    self.send_named("FCPublish", transaction::FC_PUBLISH);
                }
                self.send_create_stream();
            }
            Phase::Creating if command.transaction_id == transaction::CREATE_STREAM => {
                // The cast saturates; a server that names no stream means the first.
                let stream_id = command.number(0).map_or(1, |id| id as u32);
                self.enter(Phase::Asked { stream_id });
                match self.config.mode {
                    ClientMode::Publish => {
                        let arguments = vec![self.config.url.stream().into(), "live".into()];
                        let publish = Command::new("publish", transaction::PUBLISH, arguments);
                        self.link.send_command(stream_id, &publish);
                    }
                    ClientMode::Play => self.send_play(stream_id),
                }
            }
            _ => {}
        }
    }

    fn on_error(&mut self, command: &Command) -> Result<(), PeerFault> {
        let refused = match self.phase {
            Phase::Connecting => command.transaction_id == transaction::CONNECT,
            Phase::Creating => command.transaction_id == transaction::CREATE_STREAM,
            Phase::Asked { .. } => command.transaction_id == transaction::PUBLISH,
            // Servers that do not know releaseStream or FCPublish say so; it changes nothing.
            Phase::Handshake(_) | Phase::Ready { .. } | Phase::Closed => false,
        };
        if refused { self.reject(command) } else { Ok(()) }
    }

    fn on_status(&mut self, command: &Command) -> Result<(), PeerFault> {
        let field = |name| information(command).and_then(|object| object.get(name)?.as_str());
        let code = field("code").unwrap_or_default();
        let is_error = field("level") == Some("error");
        match (code, &self.phase) {
            ("NetConnection.Connect.ReconnectRequest", _) => {
                let tc_url = field("tcUrl").filter(|url| url.len() <= STRING_BYTES_MAX);
                let event = ClientEvent::ReconnectRequest {
                    tc_url: tc_url.map(str::to_owned),
                    description: self.scrubbed(field("description").unwrap_or_default()),
                };
                self.push_event(event)
            }
            (REPORT_CODE, Phase::Ready { .. }) => {
                let text = field("description").unwrap_or_default();
                if text.len() > REPORT_BYTES_MAX {
                    return Err(PeerFault::TooMany("bytes of a report"));
                }
                let text = text.to_owned();
                self.push_event(ClientEvent::Report { text })
            }
            // A seek or a pause that failed is not the end of a stream.
            ("NetStream.Seek.Failed" | "NetStream.Play.InsufficientBW", _) => Ok(()),
            ("NetConnection.Connect.Closed" | "NetConnection.Connect.Rejected", _) => {
                self.reject(command)
            }
            _ if is_error => self.reject(command),
            ("NetStream.Publish.Start", Phase::Asked { stream_id })
                if self.config.mode == ClientMode::Publish =>
            {
                self.on_ready(*stream_id)
            }
            ("NetStream.Play.Start", Phase::Asked { stream_id })
                if self.config.mode == ClientMode::Play =>
            {
                self.on_ready(*stream_id)
            }
            ("NetStream.Play.Start" | "NetStream.Play.PublishNotify", Phase::Ready { .. }) => {
                self.ended = false;
                Ok(())
            }
            (
                "NetStream.Play.UnpublishNotify"
                | "NetStream.Play.Stop"
                | "NetStream.Play.Complete",
                _,
            ) => self.on_end(),
            _ => Ok(()),
        }
    }

    fn reject(&mut self, command: &Command) -> Result<(), PeerFault> {
        let field = |name| information(command).and_then(|object| object.get(name)?.as_str());
        let event = ClientEvent::Rejected {
            code: self.scrubbed(field("code").unwrap_or(&command.name)),
            description: self.scrubbed(field("description").unwrap_or_default()),
        };
        self.phase = Phase::Closed;
        self.deadline = None;
        self.push_event(event)
    }

    /// A server's words for our logs: bounded, and without our secrets if it repeats them.
    fn scrubbed(&self, text: &str) -> String {
        const LOG_CHARS_MAX: usize = 256;

        let stream = self.config.url.stream();
        let (name, args) = split_args(stream);
        let (_, app_args) = split_args(self.config.url.app());
        let mut text = text.to_owned();
        for secret in [stream, name, args, app_args] {
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
        text.chars().take(LOG_CHARS_MAX).collect()
    }
}

/// The information object: the first argument, or the command object where a server puts it there.
fn information(command: &Command) -> Option<&Value> {
    let first = command.argument(0).filter(|value| value.properties().is_some());
    first.or(Some(&command.object))
}
