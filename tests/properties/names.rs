//! Names of children (K26), durations, and the text of small documents that name things.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat::api::duration::{InvalidDuration, parse, parse_positive};
use lifeboat::api::name::{self, MAX_JOB_NAME, backup_job, upkeep_job};
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

/// Names that Kubernetes takes for objects of ours: labels with dots between, at most 253.
fn object() -> impl Strategy<Value = String> {
    let label = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
    prop_oneof![
        2 => label,
        2 => proptest::collection::vec(label, 1..12).prop_map(|labels| labels.join(".")),
        1 => "[a-z0-9]{250,253}",
        // Cut where a dash or a dot stands.
        1 => ("[a-z]{30,45}", "[-]{1,9}[a-z]{20}").prop_map(|(a, b)| a + &b),
        1 => ("[a-z]{20,45}", "[.][a-z][.][a-z]{20}").prop_map(|(a, b)| a + &b),
    ]
}

/// Whole minutes, as cron has them.
fn due() -> impl Strategy<Value = Timestamp> {
    (0_i64..71_000_000).prop_map(|minute| Timestamp::from_second(minute * 60).unwrap())
}

fn is_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| plain(c) || c == '-')
        && name.starts_with(plain)
        && name.ends_with(plain)
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn k26_every_child_has_a_name_that_kubernetes_takes(
        object in object(),
        due in due(),
        attempt in 1_i32..100,
        text in ".{0,40}",
    ) {
        prop_assume!(object.split('.').all(is_label));
        let scheduled = name::backup(&object, due);
        prop_assert!(is_subdomain(&scheduled) && scheduled.len() <= MAX_JOB_NAME, "{scheduled}");
        // Six characters more for a pod: its name is its host name.
        let jobs = [
            backup_job(&scheduled, attempt),
            backup_job(&object, attempt),
            name::drill_job(&name::drill_run(&object, due), attempt),
            upkeep_job(&object, "check", &text, 1, &text, &text),
            upkeep_job(&object, "probe", &text, i64::MAX, "", "0-0"),
        ];
        for job in jobs {
            prop_assert!(is_label(&job) && job.len() <= MAX_JOB_NAME, "{job}");
        }
        // A folder on a file system.
        let directory = name::default_directory("a-namespace", &object);
        prop_assert!(directory.len() <= 200 && is_subdomain(&directory), "{directory}");
    }

    #[test]
    fn k26_two_things_never_share_a_name(
        one in object(), other in object(),
        due in due(), later in due(),
        attempt in 1_i32..100, retry in 1_i32..100,
    ) {
        if one != other {
            prop_assert_ne!(name::backup(&one, due), name::backup(&other, due));
            prop_assert_ne!(backup_job(&one, attempt), backup_job(&other, attempt));
            let upkeep = |object: &str| upkeep_job(object, "check", object, 1, "", "0");
            prop_assert_ne!(upkeep(&one), upkeep(&other));
            let directory = |object: &str| name::default_directory("shop", object);
            prop_assert_ne!(directory(&one), directory(&other));
        }
        if due != later {
            prop_assert_ne!(name::backup(&one, due), name::backup(&one, later));
        }
        // A drill may have the name of its policy, and be due with it.
        let backup = backup_job(&name::backup(&one, due), attempt);
        let drill = name::drill_job(&name::drill_run(&one, due), attempt);
        prop_assert_ne!(backup, drill);
        if attempt != retry {
            prop_assert_ne!(backup_job(&one, attempt), backup_job(&one, retry));
        }
        let round = |generation: i64, request: &str, round: &str| {
            upkeep_job(&one, "check", "uid", generation, request, round)
        };
        let all = [round(1, "", "0"), round(2, "", "0"), round(1, "now", "0"), round(1, "", "1"), round(1, "no", "w0")];
        let apart: std::collections::BTreeSet<&String> = all.iter().collect();
        prop_assert_eq!(apart.len(), all.len());
    }

    /// Dots become dashes: what only differs in them stays apart.
    #[test]
    fn k26_dots_and_dashes_stay_apart(parts in proptest::collection::vec("[a-z0-9]{1,20}", 2..8)) {
        prop_assert_ne!(backup_job(&parts.join("."), 1), backup_job(&parts.join("-"), 1));
    }

    #[test]
    fn k1_a_run_has_a_folder_of_its_own_pod(due in due(), uid in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}") {
        let prefix = name::run_prefix("shop.orders", due, &uid);
        let run = prefix.strip_prefix("shop.orders/").unwrap();
        let (time, pod) = run.split_once('-').unwrap();
        prop_assert_eq!(time, due.strftime("%Y%m%dT%H%M%SZ").to_string());
        let digits: String = uid.chars().filter(|c| *c != '-').take(12).collect();
        prop_assert_eq!(pod, digits);
    }

    #[test]
    fn a_duration_says_its_number_of_units(number in 0_u64..2_000_000_000, unit in select(&UNITS[..])) {
        let text = format!("{number}{}", unit.0);
        let want = number * unit.1;
        let most = 10 * 365 * 86_400;
        match parse(&text) {
            Ok(read) => {
                prop_assert_eq!(read, Duration::from_secs(want));
                prop_assert!(want <= most);
            }
            Err(InvalidDuration::TooLong(_)) => prop_assert!(want > most),
            Err(other) => {
                prop_assert!(matches!(other, InvalidDuration::Shape(_)));
                prop_assert!(number > 999_999_999, "{text}: {other}");
            }
        }
        prop_assert_eq!(parse_positive(&text).is_ok(), parse(&text).is_ok_and(|d| !d.is_zero()));
    }

    #[test]
    fn only_a_number_and_a_unit_are_a_duration(text in "[-+ 0-9.smhdwyµ]{0,12}") {
        let number = text.strip_suffix(['s', 'm', 'h', 'd', 'w', 'y']);
        let shaped = number.is_some_and(|n| (1..=9).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
        let refused = matches!(parse(&text), Err(InvalidDuration::Shape(_)));
        prop_assert_eq!(refused, !shaped);
    }
}

const UNITS: [(&str, u64); 6] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
    ("y", 31_536_000),
];
