//! Documents with every field set that agree with each other. No `..default()`: a new field must be set here, and stand in
//! [`super::held`].

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::api::backup::BackupReason;
use crate::api::restore_drill::Verdict;

pub(crate) const AT: &str = "shop.orders/20261121T020000Z-0a1b2c3d4e5f";
pub(crate) const RUN: &str = "weekly-20261122t0300z";
pub(crate) const SHA256: &str = "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When they are read.
pub(crate) fn now() -> Timestamp {
    time("2026-11-23T00:00:00Z")
}

fn object(name: &str, role: ObjectRole, bytes: i64) -> ObjectInfo {
    ObjectInfo {
        name: name.to_owned(),
        role,
        bytes,
        sha256: "5e".repeat(32),
        raw_bytes: 3 * bytes,
        raw_sha256: Some("6f".repeat(32)),
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        format: 1,
        backup: "orders-20261121t0200z".to_owned(),
        namespace: "shop".to_owned(),
        policy: "orders".to_owned(),
        policy_uid: "9f8e7d6c-0000-4000-8000-000000000000".to_owned(),
        directory: "shop.orders".to_owned(),
        prefix: AT.to_owned(),
        pod_uid: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".to_owned(),
        tiers: vec!["daily".to_owned()],
        reason: BackupReason::Scheduled,
        due: time("2026-11-21T02:00:00Z"),
        started_at: time("2026-11-21T02:00:04Z"),
        data_at: time("2026-11-21T02:00:09Z"),
        finished_at: time("2026-11-21T02:07:44Z"),
        lifeboat_version: "0.1.0".to_owned(),
        engine: "PgDump".to_owned(),
        server: Server {
            version: "17.2".to_owned(),
            major: 17,
            database: "shop".to_owned(),
            encoding: "UTF8".to_owned(),
            database_bytes: 21_474_836_480,
            pg_dump_version: "17.5".to_owned(),
        },
        base: Base {
            snapshot: Some(SnapshotIds {
                xmin: "740".to_owned(),
                xmax: "745".to_owned(),
                xip: vec!["741".to_owned()],
            }),
            not_a_base: false,
            in_recovery: false,
            system_identifier: Some("7404404404404404404".to_owned()),
            timeline: Some(1),
            position: Position {
                lsn: "0/16B3748".to_owned(),
                next_xid: Some("744".to_owned()),
            },
        },
        counts: Counts {
            tables: 3,
            rows: 12,
            sequences: 1,
            left_out: 1,
            large_objects: 2,
            raw_bytes: 3_000,
            stored_bytes: 1_300,
        },
        encryption: EncryptionInfo {
            method: "age".to_owned(),
            recipients: vec!["age1abc".to_owned()],
        },
        objects: vec![
            object("dump.pgc.age", ObjectRole::Dump, 1_000),
            object("globals.sql.zst.age", ObjectRole::Globals, 100),
            object("contents.json.zst.age", ObjectRole::Contents, 200),
        ],
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::Text(text.to_owned())
}

fn relation(text: &str, kind: char, rows: Option<i64>) -> Relation {
    Relation {
        schema: name("public"),
        name: name(text),
        kind,
        rows,
        columns: rows.map(|_| vec![name("id"), name("total")]),
        bytes: rows.map(|rows| 10 * rows),
        hash: rows.map(|rows| format!("{rows:032x}")),
        loaded_through: None,
        extension: None,
        lines: None,
        generated: None,
        types_of: Vec::new(),
    }
}

fn table_of_postgis(text: &str) -> Member {
    Member {
        extension: "postgis".to_owned(),
        kind: "table".to_owned(),
        name: name(&format!("public.{text}")),
        on: None,
        fingerprint: "fedcba9876543210".to_owned(),
    }
}

/// Without what the dump says: its entries and sequences.
pub(crate) fn contents() -> Contents {
    let mut part = relation("orders_2026", 'r', Some(2));
    part.loaded_through = Some((name("public"), name("orders")));
    let mut config = relation("spatial", 'r', Some(2));
    config.extension = Some("postgis".to_owned());
    config.lines = Some(vec!["7".repeat(32), "9".repeat(32)]);
    let sum = 0x7777_7777_7777_7777_7777_7777_7777_7777_u128
        .wrapping_add(0x9999_9999_9999_9999_9999_9999_9999_9999);
    config.hash = Some(format!("{sum:032x}"));
    let mut customers = relation("customers", 'r', Some(8));
    customers.generated = Some(Generated {
        columns: vec![name("search")],
        hash: Some("ab".repeat(16)),
    });
    let mut lookup = relation("lookup", 'r', Some(5));
    (lookup.hash, lookup.bytes, lookup.columns) = (None, None, None);
    lookup.extension = Some("postgis".to_owned());
    let settings = [
        ("server_version", "17.2 (Debian 17.2-1)"),
        ("server_encoding", "UTF8"),
        ("public_privileges", "[]"),
        ("TimeZone", "Europe/Berlin"),
        ("lc_collate", "C"),
        ("lc_ctype", "C"),
        ("locale_provider", "c"),
        ("locale", "C"),
        ("bootstrap_role", "postgres"),
        ("quote_all_identifiers", "off"),
        ("standard_conforming_strings", "on"),
    ];
    let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Contents {
        format: 1,
        relations: vec![
            customers,
            lookup,
            relation("orders", 'p', None),
            part,
            relation("s", 'S', None),
            config,
        ],
        left_out: vec![LeftOut {
            fingerprint: Some("ab".repeat(8)),
            schema: name("public"),
            name: name("lookup"),
            why: "extension table outside its configuration list".to_owned(),
            rows: 5,
        }],
        beyond: vec![Beyond {
            schema: name("public"),
            name: name("spatial"),
            rows: 2,
            hash: Some("ef".repeat(16)),
        }],
        members: Some(vec![
            Member {
                extension: "postgis".to_owned(),
                kind: "index".to_owned(),
                name: name("public.config_by_day"),
                on: Some(name("public.config")),
                fingerprint: "0123456789abcdef".to_owned(),
            },
            table_of_postgis("lookup"),
            table_of_postgis("spatial"),
        ]),
        invalid_indexes: Vec::new(),
        census: BTreeMap::from([
            ("disabledTriggers".to_owned(), 1),
            ("indexes".to_owned(), 3),
            ("largeObjects".to_owned(), 2),
            ("leftOutTriggers".to_owned(), 0),
        ]),
        extensions: vec![text(("postgis", "3.5"))],
        settings: settings.into_iter().map(text).collect(),
        entries: Vec::new(),
        sequences: Vec::new(),
        roles: vec![Role {
            name: "shop".to_owned(),
            statements: vec!["CREATE ROLE \"shop\"".to_owned()],
        }],
        collations: vec![Collation {
            schema: name("public"),
            name: name("plain"),
            provider: 'c',
            version: Some("2.36".to_owned()),
        }],
        line_key: Some("ab".repeat(32)),
        large_objects: Some(LargeObjects {
            count: 2,
            bytes: 7,
            hash: "cd".repeat(16),
        }),
        data_at: Some(time("2026-11-21T02:00:09Z")),
        source: Some(Source {
            host: "db.shop.svc".to_owned(),
            port: 5432,
        }),
    }
}

fn part(what: &str, weight: u32, passed: Option<bool>) -> ScorePart {
    ScorePart {
        what: what.to_owned(),
        weight,
        passed,
    }
}

/// Of a drill of [`manifest`] that found nothing wrong.
pub(crate) fn passed() -> Proof {
    let manifest = manifest();
    let table = |text: &str, rows: i64| TableProof {
        schema: name("public"),
        name: name(text),
        rows,
        bytes: Some(10 * rows),
        hash: Some(format!("{rows:032x}")),
        equal: true,
    };
    let phase = |name: &str, seconds: f64| Phase {
        name: name.to_owned(),
        seconds,
    };
    Proof {
        format: 1,
        run: RUN.to_owned(),
        drill: "weekly".to_owned(),
        namespace: "shop".to_owned(),
        mode: "Verify".to_owned(),
        result: Verdict::Passed,
        reason: "Succeeded".to_owned(),
        message: "3 of 3 tables and everything else came back as they were, 12 rows".to_owned(),
        proves: true,
        score: Some(100),
        parts: vec![
            part("restore", 30, Some(true)),
            part("schema", 15, Some(true)),
            part("rows", 25, Some(true)),
            part("content", 25, Some(true)),
            part("check fresh", 5, Some(true)),
        ],
        started_at: time("2026-11-22T03:00:09Z"),
        finished_at: time("2026-11-22T03:21:40Z"),
        lifeboat_version: "0.1.0".to_owned(),
        backup: ProvenBackup {
            name: manifest.backup,
            prefix: AT.to_owned(),
            database: manifest.server.database,
            server_version: manifest.server.version,
            data_at: manifest.data_at,
            finished_at: manifest.finished_at,
            manifest_sha256: SHA256.to_owned(),
            stored_bytes: manifest.counts.stored_bytes,
            raw_bytes: manifest.counts.raw_bytes,
            database_bytes: manifest.server.database_bytes,
            tables: manifest.counts.tables,
            rows: manifest.counts.rows,
            objects: manifest
                .objects
                .iter()
                .map(|o| ProvenObject {
                    name: o.name.clone(),
                    bytes: o.bytes,
                    sha256: o.sha256.clone(),
                })
                .collect(),
        },
        server: Some(ScratchServer {
            version: "17.5".to_owned(),
            image: "docker.io/library/postgres:17".to_owned(),
        }),
        phases: vec![phase("schedule", 21.4), phase("data", 402.5)],
        rto: Some(Objective {
            seconds: 424.2,
            objective_seconds: Some(14_400),
            met: Some(true),
        }),
        rpo: Some(Objective {
            seconds: 90_000.0,
            objective_seconds: Some(21_600),
            met: Some(false),
        }),
        tables: vec![
            table("customers", 8),
            table("orders_2026", 2),
            table("spatial", 2),
        ],
        differences: Vec::new(),
        errors: vec![RestoreError {
            sqlstate: "42P06".to_owned(),
            entry: "SCHEMA - public".to_owned(),
            message: "schema \"public\" already exists".to_owned(),
            judged: Verdict::Passed,
        }],
        checks: vec![CheckProof {
            name: "fresh".to_owned(),
            sql: "SELECT true".to_owned(),
            expect: "t".to_owned(),
            got: Some("t".to_owned()),
            error: None,
            required: true,
            passed: true,
            seconds: 0.02,
        }],
        not_compared: Vec::new(),
        notes: vec!["public.lookup is not in the backup".to_owned()],
        break_glass: Some(BreakGlassProof {
            result: Verdict::Failed,
            message: "the script was refused something: no such type".to_owned(),
            seconds: 500.5,
            complaints: vec!["psql: error: no such type".to_owned()],
            differences: vec![ProofDifference {
                what: "VIEW".to_owned(),
                object: "public.totals".to_owned(),
                expected: "CREATE VIEW public.totals".to_owned(),
                found: "missing".to_owned(),
            }],
        }),
    }
}

/// Of one that found a row too few, and a check that could not be asked.
pub(crate) fn failed() -> Proof {
    let mut proof = passed();
    proof.break_glass = None;
    proof.result = Verdict::Failed;
    proof.reason = "Differs".to_owned();
    proof.proves = false;
    proof.score = Some(49);
    proof.parts[2].passed = Some(false);
    proof.parts[4].passed = Some(false);
    proof.tables[0].equal = false;
    proof.differences.push(ProofDifference {
        what: "rows".to_owned(),
        object: "public.customers".to_owned(),
        expected: "8".to_owned(),
        found: "7".to_owned(),
    });
    proof.checks[0].got = None;
    proof.checks[0].error = Some("statement timeout".to_owned());
    proof.checks[0].passed = false;
    proof
        .not_compared
        .push("rows (compare.rows: Off)".to_owned());
    proof
}
