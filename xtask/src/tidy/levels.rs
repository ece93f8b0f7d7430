//! Inside `relay/src` a module imports only from levels below its own.

use super::Findings;
use super::lexer::Source;

/// The level of each top module of the relay.
const LEVELS: [(&str, u8); 18] = [
    ("id", 0),
    ("time", 0),
    ("config", 1),
    ("telemetry", 1),
    ("message", 2),
    ("access", 3),
    ("hub", 3),
    ("placement", 3),
    ("scaler", 3),
    ("accounting", 4),
    ("control", 4),
    ("doctor", 4),
    ("shard", 4),
    ("workers", 4),
    ("supervisor", 5),
    ("cli", 6),
    ("main", 6),
    ("lib", 7),
];

/// Imports within a level: who, from whom. Logging takes its settings as `config` parsed them.
const WITHIN_LEVEL: [(&str, &str); 1] = [("telemetry", "config")];

pub(super) fn check(path: &str, source: &Source, findings: &mut Findings<'_>) {
    let Some(inside) = path.strip_prefix("relay/src/") else { return };
    let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    let Some(level) = level(module) else {
        findings
            .add(0, format!("module `{module}` has no level; xtask/src/tidy/levels.rs lists them"));
        return;
    };
    for (line, imported) in imports(&source.code) {
        if imported == module || WITHIN_LEVEL.contains(&(module, imported.as_str())) {
            continue;
        }
        match self::level(&imported) {
            // Items of lib.rs itself, and macros, have no level.
            None => {}
            Some(below) if below < level => {}
            Some(other) => findings.add(
                line,
                format!("`{module}` (level {level}) must not import `{imported}` (level {other})"),
            ),
        }
    }
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

/// The first path segment after every `crate::`, with its line; groups in braces are opened.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, matched) in code.match_indices("crate::") {
        let line = code[..start].matches('\n').count() + 1;
        let rest = &code[start + matched.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                found.extend(group_heads(group).into_iter().map(|head| (line, head)));
            }
            None => found.push((line, identifier(rest))),
        }
    }
    found
}

/// The first segment of each entry of a `{a::b, c::{d, e}}` whose brace is already open.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut entry_starts = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entry_starts = true,
            _ if entry_starts && !character.is_whitespace() => {
                heads.push(identifier(&group[at..]));
                entry_starts = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::messages;

    fn found(path: &str, code: &str) -> usize {
        messages(path, &format!("//! Owns.\n{code}\n")).len()
    }

    #[test]
    fn downward_is_fine_and_upward_is_not() {
        assert_eq!(found("relay/src/shard/mod.rs", "use crate::hub::stream::Stream;"), 0);
        assert_eq!(found("relay/src/hub/stream.rs", "use crate::shard::Mailbox;"), 1);
        assert_eq!(found("relay/src/hub/stream.rs", "fn f(m: crate::supervisor::S) {}"), 1);
    }

    #[test]
    fn modules_of_one_level_do_not_import_each_other() {
        assert_eq!(found("relay/src/shard/mod.rs", "use crate::control::Server;"), 1);
        assert_eq!(found("relay/src/shard/mod.rs", "use crate::shard::accept::Listener;"), 0);
    }

    #[test]
    fn groups_are_opened() {
        let code = "use crate::{\n    id::{ShardId, StreamKey},\n    control::Server,\n};";
        assert_eq!(found("relay/src/shard/mod.rs", code), 1);
    }

    #[test]
    fn a_module_without_a_level_is_reported() {
        assert_eq!(found("relay/src/stuff.rs", ""), 1);
    }
}
