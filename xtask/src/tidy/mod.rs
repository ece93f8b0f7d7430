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
    for file in sources {
        let source = lexer::Source::new(&file.text);
        let mut findings = Findings { path: &file.path, violations: &mut violations };
        sources::check(&file.path, &file.text, &source, &mut findings);
        purity::check(&file.path, &source, &mut findings);
        levels::check(&file.path, &source, &mut findings);
    }
    for file in manifests.iter().chain(documents) {
        let mut findings = Findings { path: &file.path, violations: &mut violations };
        sources::check_twin_notes(&file.text, &mut findings);
    }
    manifests::check(manifests, documents, &mut violations);
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules for Rust files say about `text` at `path`.
    pub(super) fn messages(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        let mut violations = Vec::new();
        let source = lexer::Source::new(&file.text);
        let mut findings = Findings { path: &file.path, violations: &mut violations };
        sources::check(path, text, &source, &mut findings);
        purity::check(path, &source, &mut findings);
        levels::check(path, &source, &mut findings);
        violations.into_iter().map(|violation| violation.to_string()).collect()
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
