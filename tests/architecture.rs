//! The rooms stay as `src/lib.rs` draws them. What is looked at is the text of the sources: code only,
//! without comments and without the tests that stand beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fs;

use rstest::rstest;
use sources::{Source, code, root, sources};

/// Lines of a file (STYLE 12).
const MOST_LINES: usize = 400;
/// Of a test: its stories are read one by one.
const MOST_TEST_LINES: usize = 450;

/// Which rooms a room may name. A new arrow is a decision: draw it here, and look at the picture in `src/lib.rs`.
const ARROWS: [(&str, &[&str]); 21] = [
    ("api", &[]),
    ("task", &["api"]),
    ("manifest", &["api"]),
    ("schedule", &["api", "cluster", "task", "workload"]),
    ("health", &["api", "cluster", "schedule"]),
    ("workload", &["api", "task"]),
    ("store", &["api", "cluster", "schedule", "task", "workload"]),
    (
        "policy",
        &[
            "api",
            "backup",
            "cluster",
            "health",
            "schedule",
            "store",
            "telemetry",
            "workload",
        ],
    ),
    (
        "backup",
        &[
            "api", "cluster", "drill", "policy", "schedule", "store", "task", "workload",
        ],
    ),
    (
        "drill",
        &[
            "api", "cluster", "manifest", "policy", "schedule", "store", "task", "workload",
        ],
    ),
    (
        "cluster",
        &[
            "api",
            "backup",
            "drill",
            "migration",
            "policy",
            "store",
            "task",
            "telemetry",
            "workload",
        ],
    ),
    (
        "migration",
        &[
            "api", "backup", "cluster", "drill", "policy", "schedule", "store", "task", "workload",
        ],
    ),
    ("telemetry", &[]),
    ("objects", &["api", "task"]),
    ("codec", &["api", "manifest", "objects"]),
    ("plan", &["api", "sql"]),
    ("postgres", &["api", "manifest", "plan", "sql", "task"]),
    (
        "work",
        &[
            "api", "codec", "manifest", "objects", "plan", "postgres", "sql", "task",
        ],
    ),
    ("report", &["api", "manifest", "work"]),
    ("sql", &[]),
    (
        "cli",
        &[
            "api",
            "cluster",
            "codec",
            "drill",
            "manifest",
            "migration",
            "objects",
            "plan",
            "policy",
            "postgres",
            "report",
            "sql",
            "store",
            "task",
            "telemetry",
            "work",
            "workload",
        ],
    ),
];

/// Of `cluster` the pure rooms see the plain data only: what a decision is, and what is seen of a Job.
const PLAIN_DATA: [&str; 2] = ["crate::cluster::decision", "crate::cluster::seen"];

/// What pure code has no use for: a runtime, a client, a clock, a disk, an environment, a network.
const IMPURE: [&str; 19] = [
    "tokio",
    "tokio_util",
    "futures::",
    "async ",
    ".await",
    "kube::Client",
    "kube::Api",
    "Api<",
    "Api::",
    "kube::runtime",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
];

/// Files of `src/` below a room.
fn code_of_rooms() -> Vec<Source> {
    let all = sources("src").into_iter();
    all.filter(|s| s.path.split('/').count() > 2 && !s.is_test())
        .collect()
}

fn steps_with_a_client(file: &str) -> bool {
    matches!(file, "observe.rs" | "reconcile.rs" | "report.rs")
}

fn is_pure(source: &Source) -> bool {
    match source.room() {
        "api" | "task" | "manifest" | "schedule" | "health" | "workload" | "report" | "plan" => {
            true
        }
        // The tree wants a thread with a large stack.
        "sql" => source.file() != "tree.rs",
        "store" | "policy" | "backup" | "drill" | "migration" => {
            !steps_with_a_client(source.file())
        }
        "cluster" => matches!(source.file(), "decision.rs" | "seen.rs" | "look.rs"),
        _ => false,
    }
}

#[track_caller]
fn nowhere(rule: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

#[test]
fn the_scan_sees_code_and_neither_comments_nor_tests() {
    let text = "//! tokio\nuse a; // tokio\nlet url = \"https://x\";\n#[cfg(test)]\nmod tests {\n    tokio\n}\n";
    let kept: Vec<String> = code(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        kept,
        ["use a; ", "let url = \"https://x\";", "#[cfg(test)]"]
    );
    let source = Source {
        path: "src/x/y.rs".to_owned(),
        code: vec![(1, "MyInstant of package::workload".to_owned())],
        text: String::new(),
    };
    for part in ["Instant", "age::", "package::work"] {
        assert!(source.naming(part).is_empty(), "{part}");
    }
    assert_eq!(source.naming("package::").len(), 1);
}

#[test]
fn every_room_is_on_the_map_and_begins_with_what_it_owns() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let entries = fs::read_dir(root().join("src")).unwrap();
    let folders = entries.map(|e| e.unwrap()).filter(|e| e.path().is_dir());
    let rooms: BTreeSet<String> = folders
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        rooms.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        drawn
    );
    for room in &rooms {
        assert!(map.contains(&format!("[`{room}`]")), "{room} is on no map");
        assert!(map.contains(&format!("pub mod {room};")), "{room}");
        let door = root().join("src").join(room).join("mod.rs");
        let head = fs::read_to_string(&door).unwrap();
        assert!(
            head.starts_with("//! "),
            "src/{room}/mod.rs says not what it owns"
        );
    }
    let mute = sources("src").into_iter().chain(sources("tests"));
    // Files of one test alone are told of by that test.
    let mute = mute.filter(|s| !s.text.starts_with("//!"));
    nowhere(
        "a file begins with what it is for",
        mute.map(|s| s.path).collect(),
    );
}

#[test]
fn a_room_names_only_the_rooms_it_may() {
    let mut offenders = Vec::new();
    for source in code_of_rooms() {
        let (_, may) = ARROWS.iter().find(|(r, _)| *r == source.room()).unwrap();
        for (room, _) in ARROWS {
            if room == source.room() || may.contains(&room) {
                continue;
            }
            offenders.extend(source.naming(&format!("crate::{room}")));
        }
        if source.path != "src/cluster/operator.rs" {
            offenders.extend(source.naming("crate::{"));
        }
        if source.path.split('/').count() == 3 {
            offenders.extend(source.naming("super::super::"));
        }
    }
    nowhere("an arrow that nobody drew", offenders);
}

#[test]
fn operator_and_worker_share_types_only() {
    let operator = [
        "cluster",
        "policy",
        "backup",
        "store",
        "drill",
        "migration",
        "workload",
        "schedule",
        "health",
    ];
    let worker = ["work", "postgres", "codec", "objects"];
    for (room, may) in ARROWS {
        let other: &[&str] = if operator.contains(&room) {
            &worker
        } else if worker.contains(&room) {
            &operator
        } else {
            continue;
        };
        assert!(may.iter().all(|r| !other.contains(r)), "{room}");
    }
    let code = code_of_rooms();
    let talks = code.iter().filter(|s| worker.contains(&s.room()));
    let talks = talks.flat_map(|s| [s.naming("kube::"), s.naming("k8s_openapi::")].concat());
    nowhere("the worker never touches the API server", talks.collect());
    let secrets = code.iter().flat_map(|s| {
        ["core::v1::Secret", "Api<Secret", "Secret>"]
            .map(|n| s.naming(n))
            .concat()
    });
    nowhere("the operator never touches a Secret", secrets.collect());
}

#[test]
fn pure_rooms_have_no_runtime_no_client_no_clock_no_disk() {
    let code = code_of_rooms();
    let pure: Vec<&Source> = code.iter().filter(|s| is_pure(s)).collect();
    assert!(pure.len() > 40, "only {} pure files", pure.len());
    let impure = pure
        .iter()
        .flat_map(|s| IMPURE.iter().flat_map(|n| s.naming(n)));
    nowhere("pure code", impure.collect());
    let clients = pure.iter().filter(|s| s.room() != "cluster").flat_map(|s| {
        let named = s.naming("crate::cluster").into_iter();
        named.filter(|line| !PLAIN_DATA.iter().any(|plain| line.contains(plain)))
    });
    nowhere("of cluster only its plain data", clients.collect());
    let work = pure.iter().filter(|s| s.room() == "report");
    let work = work.flat_map(|s| s.naming("crate::work"));
    let work = work.filter(|line| !line.contains("crate::work::human"));
    nowhere("of work only its words for people", work.collect());
}

/// `observe` reads caches and nothing else (K16): it cannot even wait.
#[test]
fn observing_never_waits() {
    let code = code_of_rooms();
    let observe: Vec<&Source> = code.iter().filter(|s| s.file() == "observe.rs").collect();
    assert_eq!(observe.len(), 5);
    let waits = observe.iter().flat_map(|s| {
        [".await", "async ", "Api<", "Api::", "client"]
            .map(|n| s.naming(n))
            .concat()
    });
    nowhere("observe reads the caches only", waits.collect());
}

/// What one place alone knows, so that it can be changed in one place.
#[rstest]
#[case::postgres("tokio_postgres", &["src/postgres/"])]
#[case::tools("Command::new", &["src/postgres/", "src/cli/validate"])]
#[case::s3("aws_sdk_s3", &["src/objects/"])]
#[case::s3_config("aws_config", &["src/objects/"])]
#[case::s3_credentials("aws_credential_types", &["src/objects/"])]
#[case::s3_types("aws_smithy_types", &["src/objects/"])]
#[case::s3_http("aws_smithy_http_client", &["src/objects/"])]
#[case::encryption("age::", &["src/codec/"])]
#[case::compression("async_compression::", &["src/codec/"])]
#[case::compression_raw("zstd::", &["src/codec/"])]
#[case::sql("squawk_syntax", &["src/sql/"])]
#[case::sql_rules("squawk_linter", &["src/sql/lint/borrowed.rs"])]
#[case::cron("croner::", &["src/schedule/cron.rs"])]
#[case::zones("jiff::tz", &["src/schedule/zone.rs", "src/cli/"])]
#[case::metrics("prometheus_client", &["src/telemetry/"])]
// Arguments are read at the door; the log's format is a flag and says its own values.
#[case::arguments("clap::", &["src/cli/", "src/telemetry/logs.rs"])]
#[case::environment("std::env::", &["src/cli/"])]
#[case::tables("comfy_table", &["src/cli/"])]
// What is printed goes through one door, which outlives its reader.
#[case::print("print!", &[])]
#[case::print_line("println!", &[])]
#[case::print_error("eprint!", &[])]
#[case::print_error_line("eprintln!", &[])]
#[case::clock("Timestamp::now", &["src/work/clock.rs", "src/cluster/context.rs"])]
#[case::clock_of_std("SystemTime", &[])]
#[case::client("kube::Client", &["src/cluster/", "src/cli/operator.rs"])]
#[case::api("Api<", &["src/cluster/"])]
#[case::deletion("DeleteParams", &["src/cluster/act.rs"])]
#[case::json("json!", &["src/api/mod.rs"])]
fn only_one_place_knows(#[case] what: &str, #[case] places: &[&str]) {
    let offenders: Vec<String> = code_of_rooms()
        .iter()
        .filter(|s| !places.iter().any(|place| s.path.starts_with(place)))
        .flat_map(|s| s.naming(what))
        .collect();
    nowhere(&format!("`{what}` stands outside {places:?}"), offenders);
}

#[test]
fn nothing_gives_up_loudly_or_is_left_for_later() {
    let loud = [
        ".unwrap()",
        ".unwrap_err()",
        ".expect(",
        "panic!",
        "unreachable!",
        "unimplemented!",
        "todo!",
        "dbg!",
        "unsafe ",
    ];
    let code = sources("src");
    let code = code.iter().filter(|s| !s.is_test());
    let found = code.flat_map(|s| loud.iter().flat_map(|n| s.naming(n)));
    nowhere("errors are values", found.collect());
    let all = sources("src").into_iter().chain(sources("tests"));
    let notes = all.filter(|s| s.file() != "architecture.rs").flat_map(|s| {
        let lines = s.text.lines();
        let left = lines.filter(|l| ["TODO", "FIXME"].iter().any(|n| l.contains(n)));
        left.map(|l| format!("{}: {}", s.path, l.trim()))
            .collect::<Vec<_>>()
    });
    nowhere("a note to self is an issue", notes.collect());
}

/// Tests neither skip silently nor wait for luck (DESIGN §10).
#[test]
fn no_test_is_switched_off() {
    let all = sources("src").into_iter().chain(sources("tests"));
    let off = all.filter(|s| s.file() != "architecture.rs").flat_map(|s| {
        let lines = s.text.lines();
        let ignored = lines.filter(|l| l.trim_start().starts_with("#[ignore"));
        ignored
            .map(|l| format!("{}: {l}", s.path))
            .collect::<Vec<_>>()
    });
    nowhere("a test that does not run proves nothing", off.collect());
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    // Older tests that tell many stories of one server. They may shrink, and split when they grow.
    let long = [
        ("tests/api.rs", 680),
        ("tests/postgres_room/network.rs", 460),
    ];
    let all = sources("src").into_iter().chain(sources("tests"));
    let offenders = all.filter_map(|s| {
        let allowed = long.iter().find(|(path, _)| *path == s.path);
        let usual = if s.path.starts_with("src/") {
            MOST_LINES
        } else {
            MOST_TEST_LINES
        };
        let most = allowed.map_or(usual, |(_, most)| *most);
        let lines = s.text.lines().count();
        (lines > most).then(|| format!("{} has {lines} lines, at most {most}", s.path))
    });
    nowhere("a file has a size", offenders.collect());
}

/// Paths of the machine on which something was made say nothing elsewhere.
#[test]
fn sources_name_no_machine() {
    let all = sources("src").into_iter().chain(sources("tests"));
    let named = all.filter(|s| s.file() != "architecture.rs").flat_map(|s| {
        let lines = s.text.lines();
        let hits = lines.filter(|l| ["\"/root/", "\"/home/"].iter().any(|n| l.contains(n)));
        hits.map(|l| format!("{}: {}", s.path, l.trim()))
            .collect::<Vec<_>>()
    });
    nowhere("a path of one machine", named.collect());
}
