//! The control socket: its settings, and which place `auto` stands for.
//!
//! A node and the commands that ask it find the same place by the same rule. Opens nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::codec::{Codec, Text, Wrong, is_absolute_path, is_name_char};
use super::limits;
use super::value::Value;

/// Where a node of the system keeps what lasts as long as it runs.
const SYSTEM_FOLDER: &str = "/run/edgerelay";
/// The node's folder within that of a user's session.
const USER_FOLDER: &str = "edgerelay";
/// The socket within its folder.
const SOCKET_NAME: &str = "control.sock";

/// `[control]`: the unix socket on which commands reach the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where the socket is.
    pub socket: SocketSetting,
    /// The group whose members may read: its name or its number. Empty: none.
    pub group: String,
}

/// Where the control socket is, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SocketSetting {
    /// Where such a socket usually is, see [`SocketSetting::place`].
    #[default]
    Auto,
    /// There is none.
    Off,
    /// Here.
    At(PathBuf),
}

/// What `auto` depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The folder that systemd made for the service.
    pub runtime_directory: Option<PathBuf>,
    /// The folder of the user's session.
    pub session_folder: Option<PathBuf>,
    /// Whether this is root.
    pub is_root: bool,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let folder = |variable: &str| std::env::var_os(variable).and_then(first_folder);
        Self {
            runtime_directory: folder("RUNTIME_DIRECTORY"),
            session_folder: folder("XDG_RUNTIME_DIR"),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    fn of_service(&self) -> Option<PathBuf> {
        self.runtime_directory.as_ref().map(|folder| folder.join(SOCKET_NAME))
    }

    fn of_session(&self) -> Option<PathBuf> {
        let folder = self.session_folder.as_ref().filter(|_| !self.is_root);
        folder.map(|folder| folder.join(USER_FOLDER).join(SOCKET_NAME))
    }
}

/// The first of a colon list, as systemd writes several folders.
fn first_folder(list: OsString) -> Option<PathBuf> {
    let list = list.into_string().ok()?;
    let first = Path::new(list.split(':').next()?);
    first.is_absolute().then(|| first.to_owned())
}

impl SocketSetting {
    /// Where a node makes its socket. `auto`: in the folder that systemd made for the service; else
    /// root's in `/run/edgerelay`, anybody's in the folder of their session, and nowhere without one.
    #[must_use]
    pub fn place(&self, around: &Surroundings) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(path) => Some(path.clone()),
            Self::Auto => around.of_service().or_else(|| match around.is_root {
                true => Some(system_socket()),
                false => around.of_session(),
            }),
        }
    }

    /// Where a command looks for a node, in this order: a user's own comes before the system's.
    #[must_use]
    pub fn candidates(&self, around: &Surroundings) -> Vec<PathBuf> {
        match self {
            Self::Off | Self::At(_) => self.place(around).into_iter().collect(),
            Self::Auto => {
                let own = [around.of_service(), around.of_session()].into_iter().flatten();
                let mut found: Vec<_> = own.chain([system_socket()]).collect();
                found.dedup();
                found
            }
        }
    }
}

fn system_socket() -> PathBuf {
    Path::new(SYSTEM_FOLDER).join(SOCKET_NAME)
}

/// `control.socket`.
pub(super) struct SocketPlace;

impl Codec<SocketSetting> for SocketPlace {
    fn expected(&self) -> String {
        let max = limits::SOCKET_PATH_BYTES_MAX;
        format!("\"auto\", an absolute path of at most {max} bytes, or \"\" (none)")
    }

    fn read(&self, value: &Value) -> Result<SocketSetting, Vec<Wrong>> {
        match value.as_text() {
            Some("auto") => Ok(SocketSetting::Auto),
            Some("") => Ok(SocketSetting::Off),
            Some(path) if is_absolute_path(path) && path.len() <= limits::SOCKET_PATH_BYTES_MAX => {
                Ok(SocketSetting::At(path.into()))
            }
            _ => self.refuse_type(value),
        }
    }

    fn write(&self, field: &SocketSetting) -> toml::Value {
        match field {
            SocketSetting::Auto => "auto".into(),
            SocketSetting::Off => "".into(),
            SocketSetting::At(path) => path.to_string_lossy().into_owned().into(),
        }
    }
}

/// `control.group`.
pub(super) const GROUP_NAME: Text = Text {
    accepts: |name| name.len() <= limits::GROUP_NAME_BYTES_MAX && name.chars().all(is_name_char),
    expected: || {
        let max = limits::GROUP_NAME_BYTES_MAX;
        format!("at most {max} letters, digits, '.', '-' and '_', or \"\" (none)")
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    fn around(runtime: Option<&str>, session: Option<&str>, is_root: bool) -> Surroundings {
        let folder = |text: Option<&str>| text.map(PathBuf::from);
        Surroundings {
            runtime_directory: folder(runtime),
            session_folder: folder(session),
            is_root,
        }
    }

    #[test]
    fn a_service_has_its_socket_in_the_folder_that_systemd_made() {
        let place = SocketSetting::Auto.place(&around(Some("/run/edgerelay"), Some("/x"), false));
        assert_eq!(place, Some("/run/edgerelay/control.sock".into()));
    }

    #[test]
    fn root_has_it_in_run_and_a_user_in_the_session() {
        let auto = SocketSetting::Auto;
        let root = auto.place(&around(None, Some("/run/user/0"), true));
        assert_eq!(root, Some("/run/edgerelay/control.sock".into()));
        let user = auto.place(&around(None, Some("/run/user/7"), false));
        assert_eq!(user, Some("/run/user/7/edgerelay/control.sock".into()));
        assert_eq!(auto.place(&around(None, None, false)), None, "no place is known to work");
    }

    #[test]
    fn a_command_looks_where_nodes_make_theirs() {
        let user = around(None, Some("/run/user/7"), false);
        let found = SocketSetting::Auto.candidates(&user);
        let (own, system) = ("/run/user/7/edgerelay/control.sock", "/run/edgerelay/control.sock");
        assert_eq!(found, [PathBuf::from(own), PathBuf::from(system)]);
        let root = around(Some("/run/edgerelay"), None, true);
        assert_eq!(SocketSetting::Auto.candidates(&root), [PathBuf::from(system)]);
        let at = SocketSetting::At("/srv/x.sock".into());
        assert_eq!(at.candidates(&user), [PathBuf::from("/srv/x.sock")]);
        assert_eq!(SocketSetting::Off.candidates(&user), Vec::<PathBuf>::new());
    }

    #[test]
    fn of_several_folders_the_first_counts_and_a_relative_one_never() {
        assert_eq!(first_folder("/run/a:/run/b".into()), Some("/run/a".into()));
        assert_eq!(first_folder("run/a".into()), None);
        assert_eq!(first_folder("".into()), None);
    }
}
