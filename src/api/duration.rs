//! Durations as users write them: `90d`, `6h`, `30m`, `45s`, `1y` (365 days).

use std::time::Duration;

use thiserror::Error;

/// Why a duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDuration {
    /// Not a whole number followed by one of `s m h d w y`.
    #[error(
        "`{0}` is not a duration: write a whole number and a unit, like 45s, 30m, 6h, 90d or 1y"
    )]
    Shape(String),
    /// Zero, where zero makes no sense.
    #[error("a duration must be longer than zero")]
    Zero,
    /// Longer than ten years.
    #[error("`{0}` is longer than ten years")]
    TooLong(String),
}

/// Parses a duration such as `6h`. Units: `s m h d w y`. At most ten years.
///
/// # Errors
/// [`InvalidDuration`] says which rule was broken. Zero is allowed here; callers that forbid it use [`parse_positive`].
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let shape = || InvalidDuration::Shape(text.chars().take(40).collect());
    let unit = text.chars().next_back().ok_or_else(shape)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(shape()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    if number.is_empty() || number.len() > 9 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(shape());
    }
    let number: u64 = number.parse().map_err(|_| shape())?;
    let total = number.saturating_mul(seconds);
    if total > 10 * 365 * 86_400 {
        return Err(InvalidDuration::TooLong(text.to_owned()));
    }
    Ok(Duration::from_secs(total))
}

/// As [`parse`], and refuses zero.
///
/// # Errors
/// [`InvalidDuration::Zero`] for `0s` and the like; otherwise as [`parse`].
pub fn parse_positive(text: &str) -> Result<Duration, InvalidDuration> {
    match parse(text)? {
        Duration::ZERO => Err(InvalidDuration::Zero),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_users_write_them() {
        for (text, seconds) in [
            ("45s", 45),
            ("30m", 1_800),
            ("6h", 21_600),
            ("90d", 7_776_000),
            ("2w", 1_209_600),
            ("1y", 31_536_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in [
            "",
            "h",
            "6",
            "-1h",
            "1.5h",
            "6 h",
            "6hh",
            "9999999999s",
            "١h",
            "1µ",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse_positive("0s"), Err(InvalidDuration::Zero));
        assert!(matches!(parse("11y"), Err(InvalidDuration::TooLong(_))));
    }
}
