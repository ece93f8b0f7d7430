//! The known word that a mistyped one most likely meant.

/// The one of `known` that is nearest to `word`, if it is near enough to be a slip of the finger:
/// a third of the word may differ.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips_max = word.chars().count().max(3) / 3;
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != *other);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column
                .checked_sub(1)
                .filter(|before| previous == Some(*other) && right.get(*before) == Some(&letter));
            if let Some(before) = swapped {
                best = best.min(at(&before_last, before) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised() {
        let known = ["listen", "chunk_size", "max_message"];
        assert_eq!(nearest("listen", &known), Some("listen"));
        assert_eq!(nearest("lsiten", &known), Some("listen"));
        assert_eq!(nearest("chunksize", &known), Some("chunk_size"));
        assert_eq!(nearest("max_mesage", &known), Some("max_message"));
    }

    #[test]
    fn another_word_is_not_taken_for_a_slip() {
        assert_eq!(nearest("out_queue", &["listen", "chunk_size", "max_message"]), None);
        assert_eq!(nearest("x", &["on", "off"]), None);
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance("lsiten", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
