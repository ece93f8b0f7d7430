//! Rules for manifests: dependencies are declared once, documented, and crates depend downward.

use super::{Findings, Violation};
use crate::workspace::TextFile;

/// Where each dependency has its line.
const DOCUMENT: &str = "docs/dependencies.md";

/// Which of our crates each of our crates may use.
const ARROWS: [(&str, &[&str]); 6] = [
    ("relay-proto", &[]),
    ("relay-uring", &[]),
    ("relay-ebpf-common", &[]),
    ("xtask", &[]),
    ("relay", &["edgerelay-proto", "edgerelay-uring", "edgerelay-ebpf-common"]),
    ("benches", &["edgerelay", "edgerelay-proto", "edgerelay-uring"]),
];

pub(super) fn check(
    manifests: &[TextFile],
    documents: &[TextFile],
    violations: &mut Vec<Violation>,
) {
    for manifest in manifests {
        let mut findings = Findings { path: &manifest.path, violations };
        if manifest.path == "Cargo.toml" {
            check_documented(manifest, documents, &mut findings);
        } else if let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") {
            check_arrows(folder, manifest, &mut findings);
        }
    }
}

fn check_documented(manifest: &TextFile, documents: &[TextFile], findings: &mut Findings<'_>) {
    let Some(document) = documents.iter().find(|document| document.path == DOCUMENT) else {
        findings.add(0, format!("{DOCUMENT} is missing"));
        return;
    };
    let documented: Vec<&str> = document
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    let declared: Vec<(usize, &str)> = entries(&manifest.text)
        .filter(|entry| entry.section == "workspace.dependencies" && !entry.line.contains("path ="))
        .map(|entry| (entry.number, entry.name))
        .collect();
    for (number, name) in &declared {
        if !documented.contains(name) {
            findings.add(*number, format!("`{name}` has no line in {DOCUMENT}"));
        }
    }
    for name in documented {
        if !declared.iter().any(|(_, declared)| *declared == name) {
            findings.add(0, format!("{DOCUMENT} describes `{name}`, which nothing declares"));
        }
    }
}

fn check_arrows(folder: &str, manifest: &TextFile, findings: &mut Findings<'_>) {
    let allowed = ARROWS.iter().find(|(crate_folder, _)| *crate_folder == folder);
    for entry in entries(&manifest.text) {
        if !entry.section.ends_with("dependencies") {
            continue;
        }
        if let Some((_, allowed)) = allowed {
            if entry.name.starts_with("edgerelay") && !allowed.contains(&entry.name) {
                findings.add(entry.number, format!("`{folder}` must not use `{}`", entry.name));
            }
            if !entry.line.contains("workspace = true") {
                findings.add(entry.number, "versions are declared once, in the root manifest");
            }
        }
    }
}

struct Entry<'a> {
    section: &'a str,
    name: &'a str,
    line: &'a str,
    number: usize,
}

/// The `name = …` and `name.workspace = …` lines of a manifest with the section they stand in.
fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end().trim_end_matches(']');
            return None;
        }
        let (key, _) = line.split_once('=')?;
        let name = key.trim().split('.').next()?;
        (!name.starts_with('#')).then_some(Entry { section, name, line, number: index + 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: (&str, &str), document: &str) -> Vec<String> {
        let file = |(path, text): (&str, &str)| TextFile { path: path.into(), text: text.into() };
        let mut violations = Vec::new();
        check(&[file(manifest)], &[file((DOCUMENT, document))], &mut violations);
        violations.into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn every_dependency_has_its_line() {
        let manifest = ("Cargo.toml", "[workspace.dependencies]\nbytes = \"1\"\nlibc = \"0.2\"\n");
        assert_eq!(found(manifest, "| `bytes` | x |\n| `libc` | y |\n"), Vec::<String>::new());
        let missing = found(manifest, "| `bytes` | x |\n");
        assert_eq!(missing, ["Cargo.toml:3: `libc` has no line in docs/dependencies.md"]);
        let extra = found(manifest, "| `bytes` | x |\n| `libc` | y |\n| `gone` | z |\n");
        assert_eq!(extra.len(), 1);
    }

    #[test]
    fn our_own_crates_need_no_line() {
        let manifest = "[workspace.dependencies]\nedgerelay-proto = { path = \"relay-proto\" }\n";
        assert_eq!(found(("Cargo.toml", manifest), ""), Vec::<String>::new());
    }

    #[test]
    fn crates_depend_downward_and_on_the_workspace() {
        let upward = "[dependencies]\nedgerelay.workspace = true\n";
        assert_eq!(found(("relay-proto/Cargo.toml", upward), "").len(), 1);
        let spelled = "[dependencies]\nedgerelay = { workspace = true }\n";
        assert_eq!(found(("relay-proto/Cargo.toml", spelled), "").len(), 1);
        assert_eq!(found(("benches/Cargo.toml", upward), "").len(), 0);
        let own_version = "[dev-dependencies]\nbytes = \"1\"\n";
        assert_eq!(found(("relay-proto/Cargo.toml", own_version), "").len(), 1);
    }
}
