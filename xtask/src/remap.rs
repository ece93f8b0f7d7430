//! What compilers are told to write down instead of this machine's folders, so that what they make is
//! the same bytes wherever the checkout is.

use std::path::{Path, PathBuf};

use crate::workspace;

/// The checkout, as binaries name it.
const SOURCES: &str = "/usr/src/edgerelay";

/// Cargo's folder, with the sources of dependencies.
const DEPENDENCIES: &str = "/usr/src/cargo";

/// Where a build writes what it generates.
const GENERATED: &str = "/usr/src/generated";

/// Pairs of a folder here and its name in binaries, the more specific ones last, as compilers want it.
fn names(target: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut names = vec![
        (workspace::root().to_owned(), SOURCES),
        (cargo_home(), DEPENDENCIES),
        (target.to_owned(), GENERATED),
    ];
    names.sort_by_key(|(folder, _)| folder.as_os_str().len());
    names
}

/// Flags for rustc, for a build into `target`.
pub(crate) fn rust_flags(target: &Path) -> Vec<String> {
    let flag = |(folder, name): (PathBuf, &str)| {
        format!("--remap-path-prefix={}={name}", folder.display())
    };
    names(target).into_iter().map(flag).collect()
}

/// What tells the C compiler its flags: with quotes, which the crate that calls it knows if told so, as folders
/// may have spaces in their names.
pub(crate) fn c_flags(target: &Path) -> [(&'static str, String); 2] {
    let flag = |(folder, name): (PathBuf, &str)| {
        format!("'-ffile-prefix-map={}={name}'", folder.display())
    };
    let flags = names(target).into_iter().map(flag).collect::<Vec<_>>().join(" ");
    [("CFLAGS", flags), ("CC_SHELL_ESCAPED_FLAGS", "1".to_owned())]
}

/// What cargo is to call the compiler by where it builds crates of ours from outside their workspace, so
/// that the names within them are the same everywhere.
pub(crate) fn compiler() -> PathBuf {
    workspace::root().join("xtask/src/rustc.sh")
}

fn cargo_home() -> PathBuf {
    match std::env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_our_crates_do_not_depend_on_where_they_are() {
        let called = |name: &str| {
            let mut command = std::process::Command::new(compiler());
            command.args(["echo", "--crate-name", name, "-C", "metadata=a b", "-Cmetadata"]);
            crate::step::output(&mut command).expect("echo is called")
        };
        let ours = "--crate-name edgerelay_x -C metadata=edgerelay_x -Cmetadata";
        assert_eq!(called("edgerelay_x"), ours);
        assert_eq!(called("aya"), "--crate-name aya -C metadata=a b -Cmetadata");
    }

    #[test]
    fn a_folder_within_another_comes_after_it() {
        let within = workspace::root().join("target/deb");
        let flags = rust_flags(&within);
        let place = |name: &str| flags.iter().position(|flag| flag.ends_with(name));
        assert!(place(SOURCES) < place(GENERATED), "{flags:?}");
        assert_eq!(flags.len(), 3);
    }
}
