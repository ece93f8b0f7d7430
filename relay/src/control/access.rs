//! Who may do what over the control socket.
//!
//! Decides only: what the kernel says of the other side and of the socket's node is passed in.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What the other side of a connection may do. Routes that change something find it among the
/// request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everything: root and the user that the relay runs as.
    All,
    /// Look: members of the configured group.
    Read,
    /// Nothing.
    Nothing,
}

/// The other side, as the kernel tells it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    /// The group that it acts as; others that it is a member of are not told.
    pub(super) gid: u32,
}

/// Whom the socket's node lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// No group was configured.
    Owner,
    /// The members of this group. Of whoever came in the kernel has seen to it, with all the groups
    /// they are a member of.
    Group(u32),
    /// The group was configured, but the node has been changed and lets others in, too.
    Loosened(u32),
}

/// What `peer` may do at a relay that runs as `own_uid`.
pub(super) fn decide(own_uid: u32, peer: Peer, gate: Gate) -> Access {
    if peer.uid == 0 || peer.uid == own_uid {
        return Access::All;
    }
    match gate {
        Gate::Group(_) => Access::Read,
        Gate::Loosened(group) if peer.gid == group => Access::Read,
        Gate::Loosened(_) | Gate::Owner => Access::Nothing,
    }
}

/// Lets through what the connection may ask for, and answers the rest.
pub(super) async fn permitted(
    State(access): State<Access>,
    mut request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let refusal = match access {
        Access::All => None,
        Access::Read if reads => None,
        Access::Read => Some("only root and the relay's own user may change anything"),
        Access::Nothing => {
            Some("only root, the relay's own user and members of control.group may ask here")
        }
    };
    match refusal {
        Some(error) => (StatusCode::FORBIDDEN, Json(json!({ "error": error }))).into_response(),
        None => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 998;
    const GROUP: u32 = 500;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid }
    }

    #[test]
    fn root_and_the_relays_own_user_may_do_everything() {
        for gate in [Gate::Owner, Gate::Group(GROUP), Gate::Loosened(GROUP)] {
            assert_eq!(decide(OWN, peer(0, 0), gate), Access::All);
            assert_eq!(decide(OWN, peer(OWN, 65_534), gate), Access::All);
        }
    }

    #[test]
    fn whom_the_kernel_let_in_for_the_group_may_read() {
        // A member by another group than the one it acts as.
        assert_eq!(decide(OWN, peer(1000, 1000), Gate::Group(GROUP)), Access::Read);
    }

    #[test]
    fn without_a_group_nobody_else_gets_anything() {
        assert_eq!(decide(OWN, peer(1000, 1000), Gate::Owner), Access::Nothing);
        assert_eq!(decide(OWN, peer(1000, OWN), Gate::Owner), Access::Nothing);
    }

    #[test]
    fn a_node_that_lets_everybody_in_is_no_proof_of_membership() {
        assert_eq!(decide(OWN, peer(1000, 1000), Gate::Loosened(GROUP)), Access::Nothing);
        assert_eq!(decide(OWN, peer(1000, GROUP), Gate::Loosened(GROUP)), Access::Read);
    }
}
