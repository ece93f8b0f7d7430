//! Which metrics, with which labels, an expression of Prometheus names. Not a parser: it knows enough of
//! the language to tell metrics from functions, keywords and labels.

use std::collections::BTreeSet;

/// A metric, and the labels by which an expression picks series of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) labels: BTreeSet<String>,
}

/// Words that stand before a list of labels.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

/// All that an expression picks.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found: Vec<Selector> = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = behind_string(rest);
        } else if first == '{' {
            let (labels, behind) = matchers(rest);
            found.last_mut().expect("a metric before its labels").labels = labels;
            rest = behind;
        } else if first == '[' {
            rest = rest.split_once(']').expect("the end of a range").1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|it: char| it.is_ascii_alphanumeric() || it == '.');
        } else if is_name(first) {
            let end = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind.trim_start();
            if GROUPINGS.contains(&word) {
                rest = rest.split_once(')').map_or(rest, |(_, behind)| behind);
            } else if !OPERATORS.contains(&word)
                && !rest.starts_with('(')
                && !GROUPINGS.iter().any(|it| starts_with_word(rest, it) && is_aggregate(word))
            {
                found.push(Selector { metric: word.to_owned(), labels: BTreeSet::new() });
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == ':'
}

fn is_aggregate(word: &str) -> bool {
    ["sum", "min", "max", "avg", "count"].contains(&word)
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_name))
}

fn behind_string(text: &str) -> &str {
    text[1..].split_once('"').expect("the end of a string").1
}

/// The labels of `{...}` at the beginning of `text`, and what is behind.
fn matchers(text: &str) -> (BTreeSet<String>, &str) {
    let mut labels = BTreeSet::new();
    let mut rest = &text[1..];
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(behind) = rest.strip_prefix('}') {
            return (labels, behind);
        }
        let end = rest.find(|it| !is_name(it)).expect("an operator");
        labels.insert(rest[..end].to_owned());
        let value = rest.find('"').expect("a value");
        rest = behind_string(&rest[value..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_from_the_rest() {
        let expression = "sum by (job, le) (rate(a_total{x=~\"b, c}\",y!=\"\"}[5m])) / 1e3 > 2 \
            unless on (job) max without (z) (d) or sum(last_over_time(e{w=\"1\"}[2m])) >= f > 0 and g offset 5m";
        let found = selectors(expression);
        let names: Vec<&str> = found.iter().map(|it| &*it.metric).collect();
        assert_eq!(names, ["a_total", "d", "e", "f", "g"]);
        let labels = |index: usize| found[index].labels.iter().map(|it| &**it).collect::<Vec<_>>();
        assert_eq!(labels(0), ["x", "y"]);
        assert_eq!(labels(2), ["w"]);
        assert_eq!(labels(3), Vec::<&str>::new());
    }
}
