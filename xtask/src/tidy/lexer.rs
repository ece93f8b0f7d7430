//! Just enough of Rust's lexer to tell code from comments, strings and tests. Not a parser.

/// A string literal and where it starts.
pub(super) struct Literal {
    /// From 1.
    pub(super) line: usize,
    /// As written, without quotes; escapes are left alone.
    pub(super) text: String,
}

/// A Rust file taken apart.
pub(super) struct Source {
    /// The file with comments, strings and characters blanked out; lines are kept.
    pub(super) code: String,
    /// Its string literals.
    pub(super) literals: Vec<Literal>,
    /// The line of the first `#[cfg(test)]`, from which on all is test code, by the house's order
    /// of a file; past the end when there is none.
    pub(super) tests_from: usize,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let mut lexer = Lexer {
            characters: text.chars().collect(),
            at: 0,
            line: 1,
            code: String::with_capacity(text.len()),
            literals: Vec::new(),
        };
        lexer.run();
        let tests_from = lexer
            .code
            .lines()
            .position(|line| line.trim_start().starts_with("#[cfg(test)]"))
            .map_or(usize::MAX, |index| index + 1);
        Self { code: lexer.code, literals: lexer.literals, tests_from }
    }

    /// The modules in files of their own that are compiled for tests only.
    pub(super) fn test_modules(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.code.lines().map(str::trim).collect();
        lines
            .windows(2)
            .filter(|pair| pair[0] == "#[cfg(test)]")
            .filter_map(|pair| pair[1].rsplit_once("mod ")?.1.strip_suffix(';'))
            .collect()
    }

    /// The lines of code with their numbers.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Whether `word` stands in `line` as a whole word.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    literals: Vec<Literal>,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(character) = self.peek(0) {
            match character {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' | 'b' | 'c' if !self.in_word() && self.raw_string() => {}
                '\'' => self.quote(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn in_word(&self) -> bool {
        self.code.chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == '_')
    }

    fn step(&mut self) -> Option<char> {
        let character = self.peek(0)?;
        self.at += 1;
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    fn keep(&mut self) {
        if let Some(character) = self.step() {
            self.code.push(character);
        }
    }

    /// Drops a character from the code, keeping lines and columns.
    fn blank(&mut self) -> Option<char> {
        let character = self.step()?;
        self.code.push(if character == '\n' { '\n' } else { ' ' });
        Some(character)
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|character| character != '\n') {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.peek(0) == Some('/') && self.peek(1) == Some('*') {
                depth += 1;
                self.blank();
            } else if self.peek(0) == Some('*') && self.peek(1) == Some('/') {
                depth -= 1;
                self.blank();
            }
            if self.blank().is_none() || depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.blank();
        while let Some(character) = self.blank() {
            match character {
                '"' => break,
                '\\' => {
                    text.push(character);
                    text.extend(self.blank());
                }
                _ => text.push(character),
            }
        }
        self.literals.push(Literal { line, text });
    }

    /// Takes `r"…"`, `br#"…"#` and their like; false when this is an ordinary word.
    fn raw_string(&mut self) -> bool {
        let mut ahead = 0;
        while matches!(self.peek(ahead), Some('r' | 'b' | 'c')) && ahead < 2 {
            ahead += 1;
        }
        let is_raw = self.peek(ahead - 1) == Some('r');
        let mut hashes = 0;
        while is_raw && self.peek(ahead + hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(ahead + hashes) != Some('"') {
            return false;
        }
        for _ in 0..ahead + hashes {
            self.blank();
        }
        if !is_raw {
            self.string();
            return true;
        }
        let line = self.line;
        let mut text = String::new();
        self.blank();
        while let Some(character) = self.blank() {
            if character == '"' && (0..hashes).all(|hash| self.peek(hash) == Some('#')) {
                break;
            }
            text.push(character);
        }
        for _ in 0..hashes {
            self.blank();
        }
        self.literals.push(Literal { line, text });
        true
    }

    /// A character literal is blanked; a lifetime or a label is kept.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.blank();
            self.blank();
            self.blank();
            while self.blank().is_some_and(|character| character != '\'') {}
        } else if self.peek(2) == Some('\'') {
            self.blank();
            self.blank();
            self.blank();
        } else {
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new(text).code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        assert_eq!(code("a // unsafe\nb /* x /* y */ z */ c"), "a b c");
        assert_eq!(code(r#"f("unsafe \" {", 'x', '\'', '"') + 1"#), "f( , , , ) + 1");
        assert_eq!(code(r###"g(r#"a "quoted" b"#, b"x", br"y") ;"###), "g( , , ) ;");
    }

    #[test]
    fn lifetimes_and_words_that_look_like_raw_strings_are_code() {
        assert_eq!(code("fn f<'a>(bar: &'a str, r: u8) {}"), "fn f<'a>(bar: &'a str, r: u8) {}");
    }

    #[test]
    fn literals_keep_their_line() {
        let source = Source::new("one\n\"edgerelay_x\"\nr\"y\"");
        let found: Vec<_> =
            source.literals.iter().map(|literal| (literal.line, literal.text.as_str())).collect();
        assert_eq!(found, [(2, "edgerelay_x"), (3, "y")]);
    }

    #[test]
    fn tests_begin_at_their_attribute() {
        assert_eq!(Source::new("a\n#[cfg(test)]\nmod tests {}").tests_from, 2);
        assert_eq!(Source::new("// #[cfg(test)]\n").tests_from, usize::MAX);
    }

    #[test]
    fn modules_for_tests_are_known_by_name() {
        let source = Source::new("#[cfg(test)]\nmod faked;\nmod real;\n#[cfg(test)]\nmod t {}\n");
        assert_eq!(source.test_modules(), ["faked"]);
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("unsafe { }", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
    }
}
