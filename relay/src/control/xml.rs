//! Text as it may stand in an XML 1.0 document.

use std::fmt::{self, Display, Write};

/// Text to be written between tags, whatever it holds.
///
/// Markup is escaped; white space other than the blank becomes a character reference, so that a
/// name stays on its line and survives the parser's normalisation; characters that XML 1.0 cannot
/// carry even escaped become U+FFFD. Nothing is cut, so no entity is ever halved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c))?,
                // XML 1.0 §2.2, Char.
                '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => f.write_char('\u{FFFD}')?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    fn read_back(document: &str) -> String {
        let mut reader = Reader::from_str(document);
        let mut text = String::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Text(piece) => text.push_str(&piece),
                Event::GeneralRef(entity) => {
                    let reference = format!("&{};", &*entity);
                    text.push_str(&quick_xml::escape::unescape(&reference).unwrap());
                }
                Event::Eof => return text,
                Event::Start(tag) => assert_eq!(tag.name().as_ref(), "n"),
                Event::End(tag) => assert_eq!(tag.name().as_ref(), "n"),
                other => panic!("{other:?} got in through the text"),
            }
        }
    }

    #[test]
    fn markup_in_a_name_stays_text() {
        let name = "</n><script>&amp;]]>\"'<!--";
        let document = format!("<n>{}</n>", Text(name));
        assert_eq!(read_back(&document), name);
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        assert_eq!(
            Text("a\0\u{1}\u{1b}b\u{fffe}\u{ffff}").to_string(),
            "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_line_break_stays_within_the_line() {
        assert_eq!(Text("a\r\n\tb").to_string(), "a&#13;&#10;&#9;b");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(name in any::<String>()) {
            let carried: String = name
                .chars()
                .map(|c| match c {
                    '\t' | '\n' | '\r' => c,
                    '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
                    c => c,
                })
                .collect();
            let document = format!("<n>{}</n>", Text(&name));
            prop_assert_eq!(read_back(&document), carried);
        }
    }
}
