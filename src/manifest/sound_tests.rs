//! A manifest that is sound, and one that is not.

use super::*;

#[test]
fn a_version_has_a_major_whatever_stands_behind_it() {
    for (version, major) in [
        ("19rc1", Some(19)),
        ("19beta2", Some(19)),
        ("17.2", Some(17)),
        ("15.13 (Debian 15.13-1)", Some(15)),
        ("", None),
        ("devel", None),
    ] {
        assert_eq!(major_of(version), major, "{version}");
    }
}

#[test]
fn only_attempts_are_taken_for_attempts() {
    assert!(is_run("20261121T020000Z-0123456789ab"));
    for other in [
        "pins",
        "20261121T020000Z",
        "20261121T020000Z-0123",
        "20261121t020000Z-0123456789ab",
        "é0261121T020000Z-0123456789ab",
    ] {
        assert!(!is_run(other), "{other}");
    }
}
