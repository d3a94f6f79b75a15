//! Sizes and times for people.

/// `50.0 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(n) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("TiB");
    if unit == 0 {
        format!("{n} {name}")
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// A text of at most so many characters; one that is cut says how long it is: `UPDATE … (1,234 characters)`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let long = text.chars().count();
    if long <= most {
        return text.to_owned();
    }
    let end = format!(" … ({} characters)", thousands(long));
    let keep = most.saturating_sub(end.chars().count());
    text.chars().take(keep).chain(end.chars()).collect()
}

/// `336,776`.
#[must_use]
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, as a manifest counts them.
#[must_use]
pub fn size(n: i64) -> String {
    bytes(u64::try_from(n).unwrap_or(0))
}

/// A number, as a manifest has it: `336,776`.
#[must_use]
pub fn number(value: i64) -> String {
    let text = thousands(usize::try_from(value.unsigned_abs()).unwrap_or(usize::MAX));
    if value < 0 { format!("-{text}") } else { text }
}

/// `1 backup`, `2 backups`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", thousands(number))
}

/// `1 h 5 min`, `2 min 10 s`, `30 s`.
#[must_use]
pub fn seconds(n: u64) -> String {
    match n {
        0..60 => format!("{n} s"),
        60..3_600 => format!("{} min {} s", n / 60, n % 60),
        _ => format!("{} h {} min", n / 3_600, n % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let numbers: Vec<String> = [0, 999, 1_000, 336_776, -1_234_567].map(number).to_vec();
        assert_eq!(numbers, ["0", "999", "1,000", "336,776", "-1,234,567"]);
    }

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(
            (count(1, "table"), count(2, "table")),
            ("1 table".to_owned(), "2 tables".to_owned())
        );
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(130), "2 min 10 s");
        assert_eq!(seconds(3_900), "1 h 5 min");
    }
}
