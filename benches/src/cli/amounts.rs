//! Amounts as people write them: `2.5M`, `33ms`.

use std::time::Duration;

use crate::floor::Rhythm;

/// Bits per second: `2500000`, `500k`, `2.5M`, `1G`.
pub(super) fn bits(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => match (text.strip_suffix('M'), text.strip_suffix('G')) {
            (Some(number), _) => (number, 1e6),
            (_, Some(number)) => (number, 1e9),
            _ => (text, 1.0),
        },
    };
    positive(number)
        .map(|number| number * factor)
        .ok_or_else(|| format!("expected bits per second like 2.5M or 128k, got {text:?}"))
}

/// A time: `2s`, `350ms`, `1m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let split = text.find(|character: char| character.is_ascii_alphabetic());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("expected a time like 2s or 350ms, got {text:?}")),
    };
    positive(number)
        .and_then(|number| Duration::try_from_secs_f64(number * factor).ok())
        .ok_or_else(|| format!("expected a time like 2s or 350ms, got {text:?}"))
}

/// A rate above zero.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    positive(text)
        .filter(|number| *number > 0.0)
        .ok_or_else(|| format!("expected a number above zero, got {text:?}"))
}

/// A rate, or zero for none.
pub(super) fn rate_or_none(text: &str) -> Result<f64, String> {
    positive(text).ok_or_else(|| format!("expected a number, got {text:?}"))
}

/// How often the floor sends.
pub(super) fn rhythm(text: &str) -> Result<Rhythm, String> {
    match text {
        "per-message" => Ok(Rhythm::PerMessage),
        "per-frame" => Ok(Rhythm::PerFrame),
        _ => match time(text) {
            Ok(interval) if !interval.is_zero() => Ok(Rhythm::Every(interval)),
            _ => Err(format!("expected per-message, per-frame or a time, got {text:?}")),
        },
    }
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_written() {
        assert_eq!(bits("2.5M"), Ok(2_500_000.0));
        assert_eq!(bits("128k"), Ok(128_000.0));
        assert_eq!(bits("0"), Ok(0.0));
        assert_eq!(time("350ms"), Ok(Duration::from_millis(350)));
        assert_eq!(time("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(rate("29.97"), Ok(29.97));
    }

    #[test]
    fn rhythms_have_names_or_times() {
        assert_eq!(rhythm("per-frame"), Ok(Rhythm::PerFrame));
        assert_eq!(rhythm("100ms"), Ok(Rhythm::Every(Duration::from_millis(100))));
        assert!(rhythm("0s").is_err());
        assert!(rhythm("often").is_err());
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "M", "-1", "2.5T", "inf", "NaN"] {
            assert!(bits(text).is_err(), "{text:?}");
            assert!(time(text).is_err(), "{text:?}");
        }
        assert!(rate("0").is_err());
    }
}
