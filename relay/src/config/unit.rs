//! Durations, sizes and rates as text: `30s`, `8MiB`, `20Mbit`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Binary units first: rendering takes the first that divides evenly.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Bits, of a rate. Spelt out, so that nobody takes them for bytes.
const RATE_UNITS: [(&str, u64); 4] =
    [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

/// A whole number and a unit: `500ms`, `30s`, `2m`, `1h`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// A whole number and a unit: `512KiB`, `8MiB`, `64KB`, `128B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS)
}

/// A whole number of bits and a unit: `800kbit`, `20Mbit`.
pub(super) fn parse_rate(text: &str) -> Option<u64> {
    parse(text, &RATE_UNITS)
}

/// The shortest text that parses back to `duration`, which is whole milliseconds.
pub(super) fn render_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { "0s".to_owned() } else { render(millis, &DURATION_UNITS) }
}

/// The shortest text that parses back to `bytes`.
pub(super) fn render_size(bytes: u64) -> String {
    if bytes == 0 { "0B".to_owned() } else { render(bytes, &SIZE_UNITS) }
}

/// The shortest text that parses back to `bits`.
pub(super) fn render_rate(bits: u64) -> String {
    if bits == 0 { "0bit".to_owned() } else { render(bits, &RATE_UNITS) }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

fn render(value: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, scale)| value.is_multiple_of(*scale))
        .map_or_else(|| value.to_string(), |(name, scale)| format!("{}{name}", value / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_whole_number_and_a_known_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Some(Duration::from_secs(3600)));
        for wrong in ["", "30", "s", "1.5s", "-1s", "30 s", "30S", "1d", "99999999999999999h"] {
            assert_eq!(parse_duration(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_tell_binary_from_decimal_units() {
        assert_eq!(parse_size("64KB"), Some(64_000));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("8MiB"), Some(8 << 20));
        assert_eq!(parse_size("128B"), Some(128));
        for wrong in ["", "8", "8M", "8mib", "8 MiB", "99999999999GiB", "MiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_bits_and_say_so() {
        assert_eq!(parse_rate("800kbit"), Some(800_000));
        assert_eq!(parse_rate("20Mbit"), Some(20_000_000));
        for wrong in ["", "8", "8M", "8MB", "8Mb", "8 Mbit", "8Kbit", "8mbit"] {
            assert_eq!(parse_rate(wrong), None, "{wrong:?}");
        }
        for bits in [0, 1, 1_500, 2_000_000, 3_000_000_000] {
            assert_eq!(parse_rate(&render_rate(bits)), Some(bits));
        }
    }

    #[test]
    fn rendering_parses_back() {
        for bytes in [0, 1, 128, 1_000, 1_024, 65_536, 5_000_000, 8 << 20, 3 << 30, 12_345] {
            assert_eq!(parse_size(&render_size(bytes)), Some(bytes));
        }
        for millis in [0, 1, 500, 1_000, 1_500, 90_000, 3_600_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&render_duration(duration)), Some(duration));
        }
        assert_eq!(render_size(5_000_000), "5MB");
        assert_eq!(render_duration(Duration::from_millis(1_500)), "1500ms");
    }
}
