//! Where the control plane is reached: HTTP over TCP, and the control socket. Opens them; what is served
//! there is the control plane's.

use std::net::TcpListener;

use super::Failure;
use crate::config::{Config, SocketSetting, Surroundings};
use crate::control::{self, ControlHandle, ControlServer, ControlSocket, SocketError};

/// What the control plane starts with.
pub(super) struct ControlEntry {
    pub(super) http: Vec<TcpListener>,
    pub(super) handle: ControlHandle,
}

impl ControlEntry {
    /// Starts the control plane, if there is anywhere to reach it.
    pub(super) fn open(
        self,
        socket: Option<ControlSocket>,
    ) -> Result<Option<ControlServer>, Failure> {
        let Self { http, handle } = self;
        if http.is_empty() && socket.is_none() {
            return Ok(None);
        }
        let shown: Vec<_> = http.iter().filter_map(|it| it.local_addr().ok()).collect();
        let path = socket.as_ref().map(ControlSocket::path);
        tracing::info!(listen = ?shown, socket = ?path, "HTTP listening");
        let server = control::start(http, socket, handle);
        server.map(Some).map_err(|error| Failure::Start { what: "the control plane", error })
    }
}

/// The control socket, if there is to be one. One that nobody asked for by name never keeps the node
/// from starting.
pub(super) fn bind_socket(config: &Config) -> Result<Option<ControlSocket>, SocketError> {
    let setting = &config.control.socket;
    let Some(path) = setting.place(&Surroundings::of_process()) else {
        if *setting == SocketSetting::Auto {
            tracing::info!(
                "no control socket: there is no folder for it; control.socket names one"
            );
        }
        return Ok(None);
    };
    match ControlSocket::bind(&path, &config.control.group) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if *setting == SocketSetting::Auto => {
            tracing::warn!(%error, "no control socket: commands cannot reach this node");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
