//! The control socket in the file system: made, guarded, taken away.
//!
//! Accepts nothing; connections are `local`'s.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use socket2::{Domain, SockAddr, Socket, Type};

use super::access::Gate;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Where groups have their names.
const GROUP_FILE: &str = "/etc/group";
/// As much of it is read.
const GROUP_FILE_BYTES_MAX: u64 = 16 << 20;
/// Others may go through the folder to the socket; whether they may open that is said by its own mode.
const FOLDER_MODE: u32 = 0o755;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process serves it.
    #[error("{path}: another node is running and serves it; control.socket names another place")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// There is something that nobody here made.
    #[error("{path}: there is something that is no socket; it stays")]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("control.group: there is no group {name:?} in {GROUP_FILE}")]
    NoGroup {
        /// As configured.
        name: String,
    },
    /// It cannot be given to the group.
    #[error(
        "{path}: cannot be given to group {gid}: {error}; \
         the user that the relay runs as must be a member of it"
    )]
    NotMember {
        /// The socket.
        path: PathBuf,
        /// The group.
        gid: u32,
        /// The kernel's reason.
        error: io::Error,
    },
    /// The kernel says no.
    #[error("{path}: could not {what}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The reason.
        error: io::Error,
    },
}

/// A bound control socket. Its node in the file system goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) node: SocketNode,
}

impl ControlSocket {
    /// Makes the socket at `path`, for its owner and the members of `group`, which may be empty. One
    /// that a dead node left behind is replaced.
    ///
    /// Two nodes that look for a dead one's socket at the same time could both find it and replace it;
    /// so this comes after the listeners, which they cannot both have.
    ///
    /// The process's umask is another for a moment.
    ///
    /// # Errors
    ///
    /// Another node serves it, or it cannot be made.
    pub fn bind(path: &Path, group: &str) -> Result<Self, SocketError> {
        let failed = |what| {
            let path = path.to_owned();
            move |error| SocketError::Io { path, what, error }
        };
        let group = find_group(group)?;
        make_folder(path).map_err(failed("make its folder"))?;
        remove_dead(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("be made"))?;
        let address = SockAddr::unix(path).map_err(failed("be named"))?;
        // The mode from its first moment on, and by no path that somebody could exchange meanwhile.
        let withheld = if group.is_some() { 0o117 } else { 0o177 };
        let before = umask(Mode::from_raw_mode(withheld));
        let bound = socket.bind(&address);
        umask(before);
        bound.map_err(failed("be bound"))?;
        let made = fs::symlink_metadata(path).map_err(failed("be looked at"))?;
        let (device, inode) = (made.dev(), made.ino());
        let node = SocketNode { path: path.to_owned(), device, inode, group };
        if let Some(gid) = group {
            lchown(path, None, Some(gid)).map_err(|error| {
                let path = path.to_owned();
                SocketError::NotMember { path, gid, error }
            })?;
        }
        // Only now can anybody connect.
        socket.listen(BACKLOG).map_err(failed("be listened on"))?;
        Ok(Self { listener: socket.into(), node })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.node.path
    }
}

/// The socket's node in the file system.
#[derive(Debug)]
pub(super) struct SocketNode {
    path: PathBuf,
    device: u64,
    inode: u64,
    group: Option<u32>,
}

impl SocketNode {
    /// Whom it lets in as it is now.
    pub(super) fn gate(&self) -> Gate {
        let Some(group) = self.group else { return Gate::Owner };
        match fs::symlink_metadata(&self.path) {
            Ok(found)
                if self.is(&found)
                    && found.gid() == group
                    && found.permissions().mode() & 0o007 == 0 =>
            {
                Gate::Group(group)
            }
            _ => Gate::Loosened(group),
        }
    }

    fn is(&self, found: &fs::Metadata) -> bool {
        (found.dev(), found.ino()) == (self.device, self.inode)
    }
}

impl Drop for SocketNode {
    /// Takes it away, unless another node's is there by now.
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| self.is(&found)) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder that the socket is in, but not what that is in.
fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes away the socket that a dead node left at `path`.
fn remove_dead(path: &Path) -> Result<(), SocketError> {
    let failed = |what| {
        let path = path.to_owned();
        move |error| SocketError::Io { path, what, error }
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("be looked at")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::Foreign { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // A node that lives and has a full queue would keep us waiting.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Ok(()) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(SocketError::InUse { path: path.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("replace what a dead node left"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("find out whether another node serves it")(error)),
    }
}

/// The number of the group `name`, which may be a number itself. Empty: none.
fn find_group(name: &str) -> Result<Option<u32>, SocketError> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(gid) = name.parse() {
        return Ok(Some(gid));
    }
    let mut text = String::new();
    fs::File::open(GROUP_FILE)
        .and_then(|file| file.take(GROUP_FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| SocketError::Io { path: GROUP_FILE.into(), what: "be read", error })?;
    group_in(&text, name).map(Some).ok_or_else(|| SocketError::NoGroup { name: name.to_owned() })
}

/// The number of the group `name` in a group file: `name:password:number:members`.
fn group_in(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner").join("control.sock");
        (folder, path)
    }

    #[test]
    fn the_socket_is_its_owners_alone_and_goes_with_its_node() {
        let (_folder, path) = place();
        let socket = ControlSocket::bind(&path, "").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(socket.node.gate(), Gate::Owner);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_groups_members_may_open_it_until_it_lets_others_in() {
        let (_folder, path) = place();
        let own = rustix::process::getegid().as_raw();
        let socket = ControlSocket::bind(&path, &own.to_string()).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.gid()), (0o660, own));
        assert_eq!(socket.node.gate(), Gate::Group(own));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(socket.node.gate(), Gate::Loosened(own));
        fs::remove_file(&path).unwrap();
        assert_eq!(socket.node.gate(), Gate::Loosened(own));
    }

    #[test]
    fn a_dead_nodes_socket_is_replaced_and_a_living_ones_is_not() {
        let (_folder, path) = place();
        fs::create_dir(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "nobody took it away");
        let living = ControlSocket::bind(&path, "").unwrap();
        let refused = ControlSocket::bind(&path, "");
        assert!(matches!(refused, Err(SocketError::InUse { .. })), "{refused:?}");
        assert!(UnixStream::connect(&path).is_ok(), "it still serves");
        drop(living);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let (_folder, path) = place();
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "precious").unwrap();
        let refused = ControlSocket::bind(&path, "");
        assert!(matches!(refused, Err(SocketError::Foreign { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_successors_socket_is_not_taken_away() {
        let (_folder, path) = place();
        let first = ControlSocket::bind(&path, "").unwrap();
        fs::remove_file(&path).unwrap();
        let second = ControlSocket::bind(&path, "").unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
    }

    #[test]
    fn groups_are_found_by_name_and_by_number() {
        let text = "root:x:0:\nbroken\nedge:x:x:\nedgerelay:x:997:alice,bob\n";
        assert_eq!(group_in(text, "edgerelay"), Some(997));
        assert_eq!(group_in(text, "edge"), None);
        assert_eq!(group_in(text, "alice"), None);
        assert_eq!(find_group("4711").unwrap(), Some(4711));
        let missing = find_group("no-such-group");
        assert!(matches!(missing, Err(SocketError::NoGroup { .. })), "{missing:?}");
    }
}
