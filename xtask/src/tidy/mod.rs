//! The rules of the house that neither the compiler nor clippy checks. Reads the checkout, changes
//! nothing.

mod levels;
mod lexer;
mod manifests;
mod purity;
mod sources;

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::{self, TextFile};

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    /// From 1; 0 stands for the whole file.
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Collects what a rule finds in one file.
struct Findings<'a> {
    path: &'a str,
    violations: &'a mut Vec<Violation>,
}

impl Findings<'_> {
    fn add(&mut self, line: usize, message: impl Into<String>) {
        self.violations.push(Violation {
            path: self.path.to_owned(),
            line,
            message: message.into(),
        });
    }
}

/// `cargo xtask tidy`.
pub(crate) fn tidy() -> Result<()> {
    let sources = workspace::files(&["rs"])?;
    let manifests = workspace::files(&["toml"])?;
    let documents = workspace::files(&["md"])?;
    let violations = check(&sources, &manifests, &documents);
    for violation in &violations {
        eprintln!("{violation}");
    }
    if !violations.is_empty() {
        bail!("tidy found {} broken rules", violations.len());
    }
    println!("tidy: {} Rust files keep the rules", sources.len());
    Ok(())
}

fn check(sources: &[TextFile], manifests: &[TextFile], documents: &[TextFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut sources: Vec<(&TextFile, lexer::Source)> =
        sources.iter().map(|file| (file, lexer::Source::new(&file.text))).collect();
    let tests: Vec<String> =
        sources.iter().flat_map(|(file, source)| test_files(file, source)).collect();
    for (file, source) in &mut sources {
        if file.path.contains("/tests/") || tests.iter().any(|test| file.path.starts_with(test)) {
            source.tests_from = 0;
        }
        let mut findings = Findings { path: &file.path, violations: &mut violations };
        sources::check(&file.path, &file.text, source, &mut findings);
        purity::check(&file.path, source, &mut findings);
        levels::check(&file.path, source, &mut findings);
    }
    for file in manifests.iter().chain(documents) {
        let mut findings = Findings { path: &file.path, violations: &mut violations };
        sources::check_twin_notes(&file.text, &mut findings);
    }
    manifests::check(manifests, documents, &mut violations);
    violations
}

/// How the paths of the files begin that `file` declares as modules for tests.
fn test_files(file: &TextFile, source: &lexer::Source) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let folder = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let modules = source.test_modules().into_iter();
    modules.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// What the rules say about these files.
    fn messages_of(files: &[TextFile]) -> Vec<String> {
        let violations = check(files, &[], &[]);
        violations.into_iter().map(|violation| violation.to_string()).collect()
    }

    /// What the rules say about `text` at `path`.
    pub(super) fn messages(path: &str, text: &str) -> Vec<String> {
        messages_of(&[text_file(path, text)])
    }

    #[test]
    fn a_module_declared_for_tests_is_test_code() {
        let parent = text_file("relay/src/shard/ring.rs", "//! Owns.\n#[cfg(test)]\nmod faked;\n");
        let child = "//! Owns.\nfn f() { g().unwrap(); }\n";
        let file = || text_file("relay/src/shard/ring/faked.rs", child);
        assert_eq!(messages_of(&[file()]).len(), 1);
        assert_eq!(messages_of(&[parent, file()]), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_findings() {
        let text =
            "//! Owns a thing.\n\nuse crate::id::ShardId;\n\n/// A thing.\npub struct Thing;\n";
        assert_eq!(messages("relay/src/hub/thing.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_finding_names_file_and_line() {
        let found =
            messages("relay/src/hub/thing.rs", "//! Owns.\n\n#[allow(dead_code)]\nfn f() {}\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("relay/src/hub/thing.rs:3: "), "{found:?}");
    }
}
