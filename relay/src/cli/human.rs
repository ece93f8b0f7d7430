//! Figures and foreign text as people read them on a terminal.

/// What stands where there is nothing to tell.
pub(super) const NOTHING: &str = "-";

/// Bits per second: `2.41 Mbit/s`.
pub(super) fn bit_rate(bits: f64) -> String {
    scaled(bits, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// Bytes: `12.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Three digits that count, and a unit; the smallest unit has no fractions.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut units) = (value.max(0.0), units.iter());
    let mut unit = units.next().copied().unwrap_or_default();
    let mut is_smallest = true;
    // Rounded first: 999.7 of one unit is 1.00 of the next.
    while value >= step - 0.5 {
        let Some(next) = units.next() else { break };
        (value, unit, is_smallest) = (value / step, *next, false);
    }
    let digits = match value {
        _ if is_smallest => 0,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// How long something has been: `12s`, `3m 05s`, `2h 13m`, `4d 02h`.
pub(super) fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// A round-trip time: `0.25 ms`, `1.2 s`.
pub(super) fn round_trip(seconds: f64) -> String {
    match seconds * 1000.0 {
        none if none <= 0.0 => NOTHING.to_owned(),
        short if short < 10.0 => format!("{short:.2} ms"),
        long if long < 1000.0 => format!("{long:.0} ms"),
        _ => format!("{seconds:.1} s"),
    }
}

/// Foreign text in at most `chars_max` characters. What could steer a terminal, or turn the line
/// around, is replaced: names and versions are a stranger's words.
pub(super) fn printable(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).map(harmless).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

fn harmless(character: char) -> char {
    let steers = character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        );
    if steers { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let rates = [0.0, 999.0, 999.7, 2_411_000.0, 24_110_000.0, 999_600_000.0, 1.2e9, 5e15];
        assert_eq!(
            rates.map(bit_rate),
            [
                "0 bit/s",
                "999 bit/s",
                "1.00 kbit/s",
                "2.41 Mbit/s",
                "24.1 Mbit/s",
                "1.00 Gbit/s",
                "1.20 Gbit/s",
                "5000 Tbit/s"
            ]
        );
        let sizes = [0, 1023, 1024, 13_000_000, 5 << 40];
        assert_eq!(sizes.map(size), ["0 B", "1023 B", "1.00 KiB", "12.4 MiB", "5.00 TiB"]);
        assert_eq!(bit_rate(-1.0), "0 bit/s");
    }

    #[test]
    fn ages_show_their_two_largest_units() {
        let ages = [0.9, 59.9, 185.0, 7_980.0, 352_800.0];
        assert_eq!(ages.map(age), ["0s", "59s", "3m 05s", "2h 13m", "4d 02h"]);
    }

    #[test]
    fn round_trips_are_in_milliseconds_until_they_are_seconds() {
        let times = [0.0, 0.000_25, 0.0123, 1.2];
        assert_eq!(times.map(round_trip), ["-", "0.25 ms", "12 ms", "1.2 s"]);
    }

    #[test]
    fn a_strangers_text_steers_no_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d", 64), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(printable("abcdef", 6), "abcdef");
        assert_eq!(printable("abcdefg", 6), "abcde…");
        assert_eq!(printable("", 6), "");
    }
}
