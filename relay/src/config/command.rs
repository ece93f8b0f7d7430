//! Templates of a worker's command: which placeholders there are and what takes their place.
//!
//! Starts nothing. There is no shell in between, so nothing in a value is special; a program may
//! still take a value for an option, which is why names are best used within a URL or path.

use super::limits::ARGUMENT_BYTES_MAX;

/// What takes the place of a command's placeholders.
#[derive(Clone, Copy, Debug)]
pub struct CommandValues<'a> {
    /// `{app}`: the stream's application.
    pub app: &'a str,
    /// `{name}`: the stream's name.
    pub name: &'a str,
    /// `{input}`: where the command gets the stream.
    pub input: &'a str,
    /// `{output}`: where it is to send the result.
    pub output: &'a str,
}

impl<'a> CommandValues<'a> {
    fn of(&self, placeholder: &str) -> Option<&'a str> {
        match placeholder {
            "app" => Some(self.app),
            "name" => Some(self.name),
            "input" => Some(self.input),
            "output" => Some(self.output),
            _ => None,
        }
    }
}

/// What an argument should have looked like.
pub(super) const EXPECTED: &str =
    "a string, where {app}, {name}, {input} and {output} stand for the stream's";

/// Puts `values` in `argument`. Other braces stay: filters of ffmpeg use them. What is put in is
/// not searched again.
#[must_use]
pub fn expand_argument(argument: &str, values: &CommandValues<'_>) -> String {
    let mut expanded = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some((before, behind)) = rest.split_once('{') {
        expanded.push_str(before);
        let value = behind
            .split_once('}')
            .and_then(|(placeholder, after)| Some((values.of(placeholder)?, after)));
        rest = match value {
            Some((value, after)) => {
                expanded.push_str(value);
                after
            }
            None => {
                expanded.push('{');
                behind
            }
        };
    }
    expanded.push_str(rest);
    expanded
}

/// What is wrong with an argument. Never quotes it: it may hold a key.
pub(super) fn check_argument(argument: &str) -> Result<(), String> {
    if argument.len() > ARGUMENT_BYTES_MAX {
        return Err(format!("is longer than {ARGUMENT_BYTES_MAX} bytes"));
    }
    if argument.contains('\0') {
        return Err("holds a zero byte".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once_and_other_braces_stay() {
        let values = CommandValues { app: "live", name: "{app}", input: "I", output: "O" };
        for (argument, expanded) in [
            ("{input}", "I"),
            ("{output}_{name}?a={app}", "O_{app}?a=live"),
            ("drawtext=text=%{pts}:{app}", "drawtext=text=%{pts}:live"),
            ("{{app}}", "{live}"),
            ("{unknown}{", "{unknown}{"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(expand_argument(argument, &values), expanded, "{argument}");
        }
    }
}
