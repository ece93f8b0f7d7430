//! Which release of a contender is measured, as its package says.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What `program --version` says behind its name.
pub(crate) fn of_program(program: &Path) -> Option<String> {
    let said = output(Command::new(program).arg("--version"))?;
    said.lines().next()?.split_whitespace().nth(1).map(str::to_owned)
}

/// Of an installed Debian package.
pub(crate) fn of_debian_package(name: &str) -> Option<String> {
    let version = output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]))?;
    Some(version).filter(|version| !version.is_empty())
}

/// Of a program that `cargo install --root` put into `ROOT/bin`: cargo keeps a list beside it.
pub(crate) fn of_cargo_install(program: &Path) -> Option<String> {
    let list = program.parent()?.parent()?.join(".crates.toml");
    let name = program.file_name()?.to_str()?;
    in_cargo_list(&fs::read_to_string(list).ok()?, name)
}

/// Of a folder with a `package.json`.
pub(crate) fn of_node_package(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("package.json")).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    package.get("version")?.as_str().map(str::to_owned)
}

/// Lines are `"NAME VERSION (SOURCE)" = ["BINARY"]`.
fn in_cargo_list(list: &str, name: &str) -> Option<String> {
    let lines = list.lines().map(|line| line.trim_start_matches('"'));
    let mut of_name = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    of_name.next()?.split_whitespace().next().map(str::to_owned)
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cargos_names_the_version() {
        let list = "[v1]\n\"cargo-deny 0.19.0 (registry+https://x)\" = [\"cargo-deny\"]\n\
                    \"xiu 0.14.0 (registry+https://x)\" = [\"xiu\"]\n";
        assert_eq!(in_cargo_list(list, "xiu").as_deref(), Some("0.14.0"));
        assert_eq!(in_cargo_list(list, "cargo"), None);
    }

    #[test]
    fn a_package_of_nodes_names_its_version() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_node_package(folder.path()), None);
        let text = "{ \"name\": \"x\", \"version\": \"4.4.3\" }";
        fs::write(folder.path().join("package.json"), text).unwrap();
        assert_eq!(of_node_package(folder.path()).as_deref(), Some("4.4.3"));
    }
}
