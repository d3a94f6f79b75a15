//! One backup as `lifeboat inspect` shows it, and the manifest that the commands' tests share.

use std::sync::Arc;

use age::secrecy::ExposeSecret;

use super::*;
use crate::api::backup::BackupReason;
use crate::codec::{Codec, Limits, ObjectWriter, Recipients};
use crate::manifest::{
    Base, Counts, EncryptionInfo, LeftOut, Name, ObjectRole, Position, Relation, Server,
};
use crate::objects::{Memory, PutMode};

/// A manifest for this prefix, whose name carries the due time.
pub(in crate::cli) fn manifest(prefix: &str, objects: Vec<ObjectInfo>) -> Manifest {
    let (directory, run) = prefix.split_once('/').unwrap();
    let due = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &run[..16]).unwrap();
    let due = due.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    Manifest {
        format: 1,
        backup: "orders-x".to_owned(),
        namespace: "shop".to_owned(),
        policy: "orders".to_owned(),
        policy_uid: "9f8e7d6c".to_owned(),
        directory: directory.to_owned(),
        prefix: prefix.to_owned(),
        pod_uid: "0123456789ab".to_owned(),
        tiers: vec!["daily".to_owned()],
        reason: BackupReason::Scheduled,
        due,
        started_at: due,
        data_at: due + jiff::SignedDuration::from_secs(9),
        finished_at: due + jiff::SignedDuration::from_mins(10),
        lifeboat_version: "0.1.0".to_owned(),
        engine: "PgDump".to_owned(),
        server: Server {
            version: "17.2".to_owned(),
            major: 17,
            database: "weird \u{1b}[31m\"name\"".to_owned(),
            encoding: "UTF8".to_owned(),
            database_bytes: 1,
            pg_dump_version: "17.2".to_owned(),
        },
        base: Base {
            snapshot: None,
            not_a_base: true,
            in_recovery: false,
            system_identifier: None,
            timeline: None,
            position: Position {
                lsn: "0/16B3748".to_owned(),
                next_xid: Some("744".to_owned()),
            },
        },
        counts: Counts {
            tables: 5,
            rows: 336_776,
            stored_bytes: objects.iter().map(|o| o.bytes).sum(),
            raw_bytes: objects
                .iter()
                .filter(|o| o.role == ObjectRole::Dump)
                .map(|o| o.raw_bytes)
                .sum(),
            ..Counts::default()
        },
        encryption: EncryptionInfo {
            method: "age".to_owned(),
            recipients: vec!["age1abc".to_owned()],
        },
        objects,
    }
}

pub(in crate::cli) async fn put(store: &Memory, key: &str, bytes: Vec<u8>) {
    let mode = PutMode::CreateOnly;
    store.put(key, bytes.into(), mode).await.unwrap();
}

#[tokio::test]
async fn without_an_identity_the_manifest_is_shown_and_with_it_the_tables() {
    let store = Arc::new(Memory::new());
    let prefix = "shop.orders/20261121T020000Z-0123456789ab";
    let identity = age::x25519::Identity::generate();
    let codec = Codec {
        zstd: Some(1),
        recipients: Some(Recipients::parse(&[identity.to_public().to_string()]).unwrap()),
    };
    let name = |text: &str| Name::Text(text.to_owned());
    let contents = Contents {
        format: 1,
        relations: vec![Relation {
            schema: name("public"),
            name: name("flights"),
            kind: 'r',
            rows: Some(336_776),
            columns: None,
            bytes: None,
            hash: None,
            loaded_through: None,
            extension: None,
            lines: None,
            generated: None,
            types_of: Vec::new(),
        }],
        left_out: vec![LeftOut {
            fingerprint: None,
            schema: name("ext"),
            name: name("lookup"),
            why: "an extension's own".to_owned(),
            rows: 3,
        }],
        ..Contents::default()
    };
    let role = ObjectRole::Contents;
    let mut writer = ObjectWriter::new(
        store.clone(),
        prefix,
        "contents.json",
        role,
        &codec,
        Limits::default(),
    )
    .unwrap();
    writer
        .write(&serde_json::to_vec(&contents).unwrap())
        .await
        .unwrap();
    let objects = writer.finish().await.unwrap();
    let json = manifest(prefix, objects).to_json().unwrap();
    put(&store, &format!("{prefix}/manifest.json"), json).await;

    let short = inspect(store.as_ref(), prefix, None, false).await.unwrap();
    assert_eq!(short.faults, Vec::<String>::new());
    let short = short.text;
    assert!(
        short.contains("336,776") && short.contains("--identity"),
        "{short}"
    );
    assert!(
        !short.contains("flights") && !short.contains('\u{1b}'),
        "{short}"
    );
    assert!(short.contains("contents.json.zst.age"), "{short}");

    let secret = identity.to_string();
    let identities = Identities::parse(secret.expose_secret()).unwrap();
    let long = inspect(
        store.as_ref(),
        &format!("{prefix}/"),
        Some(&identities),
        false,
    )
    .await
    .unwrap()
    .text;
    assert!(
        long.contains("public.flights") && long.contains("ext.lookup"),
        "{long}"
    );
    // Who may read what is inside is told where the documents contradict each other.
    assert!(
        long.contains("damaged: manifest tables: 5, but 1"),
        "{long}"
    );
    let json = inspect(store.as_ref(), prefix, Some(&identities), true)
        .await
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&json.text).unwrap();
    assert_eq!(value["contents"]["relations"][0]["rows"], 336_776);
}

#[tokio::test]
async fn a_prefix_without_a_manifest_is_no_backup() {
    let error = inspect(&Memory::new(), "a/b", None, false)
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("no backup a/b"), "{error}");
}
