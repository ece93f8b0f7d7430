//! Makes the manual page edgerelay.toml(5) out of the document about the configuration, so that there
//! is one text. Knows the Markdown that the document uses, and no other.

use std::fmt::Write as _;

/// What stands before the document's own text.
const NAME: &str = "edgerelay.toml \\- configuration of the edgerelay RTMP relay";

/// What stands behind it.
const SEE_ALSO: &str = ".SH SEE ALSO\n.BR edgerelay (1),\n.BR edgerelay\\-check (1)\n";

/// The page, for `version` of the package, made from `document`.
pub(super) fn page(document: &str, version: &str) -> String {
    let mut page = format!(
        ".TH edgerelay.toml 5 \"\" \"edgerelay {version}\" edgerelay\n.nh\n.ad l\n.SH NAME\n{NAME}\n\
         .SH DESCRIPTION\n"
    );
    let mut within = Within::Nothing;
    for line in document.lines() {
        within = within.next(line, &mut page);
    }
    within.end(&mut page);
    page.push_str(SEE_ALSO);
    page
}

/// What the line before belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Nothing,
    Paragraph,
    Item,
    Code,
    TableHead,
    Table,
}

impl Within {
    /// Adds `line`, and says what it belongs to.
    fn next(self, line: &str, page: &mut String) -> Self {
        if self == Self::Code {
            if line.starts_with("```") {
                self.end(page);
                return Self::Nothing;
            }
            let _ = writeln!(page, "{}", guarded(&escaped(line).replace('-', "\\-")));
            return self;
        }
        if line.starts_with("```") {
            page.push_str(".PP\n.RS 4\n.nf\n");
            return Self::Code;
        }
        if let Some(title) = line.strip_prefix("## ") {
            let _ = writeln!(page, ".SH {}", heading(title));
            return Self::Nothing;
        }
        if let Some(title) = line.strip_prefix("### ") {
            let _ = writeln!(page, ".SS {}", heading(title));
            return Self::Nothing;
        }
        // The page has its own.
        if line.starts_with("# ") || line.trim().is_empty() {
            return Self::Nothing;
        }
        if let Some(row) = line.strip_prefix('|') {
            return self.row(row, page);
        }
        if let Some((mark, item)) = item(line) {
            let _ = writeln!(page, ".IP {mark}\n{}", guarded(&inline(item)));
            return Self::Item;
        }
        if self == Self::Nothing {
            page.push_str(".PP\n");
        }
        let _ = writeln!(page, "{}", guarded(&inline(line.trim_start())));
        if self == Self::Nothing { Self::Paragraph } else { self }
    }

    fn row(self, row: &str, page: &mut String) -> Self {
        match self {
            // The titles of the columns.
            Self::Nothing | Self::Paragraph | Self::Item => return Self::TableHead,
            // The line below them.
            Self::TableHead => return Self::Table,
            Self::Table | Self::Code => {}
        }
        let cells: Vec<String> =
            row.trim_end_matches('|').split(" | ").map(|cell| inline(cell.trim())).collect();
        match &cells[..] {
            [key, default, accepts, meaning] => {
                let _ = writeln!(page, ".TP\n{}\n{}", guarded(key), guarded(meaning));
                let _ = writeln!(page, ".br\nDefault: {default}. Accepts {accepts}.");
            }
            [term, rest @ ..] => {
                let _ = writeln!(page, ".TP\n{}\n{}", guarded(term), guarded(&rest.join("; ")));
            }
            [] => {}
        }
        Self::Table
    }

    fn end(self, page: &mut String) {
        if self == Self::Code {
            page.push_str(".fi\n.RE\n");
        }
    }
}

/// The mark of an item of a list, with its width, and what stands behind it.
fn item(line: &str) -> Option<(String, &str)> {
    if let Some(item) = line.strip_prefix("- ") {
        return Some(("\\(bu 2".to_owned(), item));
    }
    let (number, item) = line.split_once(". ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (format!("{number}. 3"), item))
}

/// In capitals, as manuals have it, but for names of tables.
fn heading(title: &str) -> String {
    let title = escaped(&title.replace('`', "")).replace('"', "\\(dq");
    if title.contains('[') { format!("\"{title}\"") } else { title.to_uppercase() }
}

/// A line that roff must not take for a request.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
}

/// Code and emphasis become bold; of a link its text stays.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        let is_code = index % 2 == 1;
        if is_code {
            let _ = write!(out, "\\fB{}\\fR", escaped(part).replace('-', "\\-"));
        } else {
            out.push_str(&strong(&escaped(&without_links(part))));
        }
    }
    out
}

fn strong(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("**").enumerate() {
        if index > 0 {
            out.push_str(if index % 2 == 1 { "\\fB" } else { "\\fR" });
        }
        out.push_str(part);
    }
    out
}

fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("](") {
        let (Some((prefix, label)), Some((_, after))) =
            (before.rsplit_once('['), behind.split_once(')'))
        else {
            break;
        };
        out.push_str(prefix);
        out.push_str(label);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(document: &str) -> String {
        let page = page(document, "1-1");
        let (_, body) = page.split_once(".SH DESCRIPTION\n").expect("a description");
        body.strip_suffix(SEE_ALSO).expect("an end").to_owned()
    }

    #[test]
    fn a_row_of_a_key_becomes_an_entry() {
        let document = "| Key | Default | Accepts | Meaning |\n|---|---|---|---|\n\
                        | `a.b` | `\"1s\"` | a duration | How long. |\n";
        assert_eq!(
            body(document),
            ".TP\n\\fBa.b\\fR\nHow long.\n.br\nDefault: \\fB\"1s\"\\fR. Accepts a duration.\n"
        );
    }

    #[test]
    fn code_is_kept_as_it_stands() {
        let document = "Text\nthat goes on.\n\n```\n.a --b \\c\n```\n";
        assert_eq!(
            body(document),
            ".PP\nText\nthat goes on.\n.PP\n.RS 4\n.nf\n\\&.a \\-\\-b \\ec\n.fi\n.RE\n"
        );
    }

    #[test]
    fn links_and_marks_leave_their_text() {
        let document = "See [that](x.md) and `--this`, **now**.\n- One\n  more\n";
        assert_eq!(
            body(document),
            ".PP\nSee that and \\fB\\-\\-this\\fR, \\fBnow\\fR.\n.IP \\(bu 2\nOne\nmore\n"
        );
    }

    #[test]
    fn numbers_are_marks_of_items() {
        assert_eq!(body("1. One.\n2. Two.\n"), ".IP 1. 3\nOne.\n.IP 2. 3\nTwo.\n");
    }

    #[test]
    fn headings_are_sections() {
        assert_eq!(body("# Title\n## `[a]`: b\n"), ".SH \"[a]: b\"\n");
        assert_eq!(body("### Where from\n"), ".SS WHERE FROM\n");
    }
}
