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
    fn sizes_and_times_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(130), "2 min 10 s");
        assert_eq!(seconds(3_900), "1 h 5 min");
    }
}
