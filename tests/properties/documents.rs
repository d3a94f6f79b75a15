//! What is written to the bucket is read again, as `docs/format.md` says.

use jiff::Timestamp;
use lifeboat::api::backup::BackupReason;
use lifeboat::manifest::{
    Base, Beyond, Collation, Contents, Counts, EncryptionInfo, FORMAT_VERSION, LargeObjects,
    LeftOut, Manifest, ManifestError, Member, Name, ObjectInfo, ObjectRole, Position, Relation,
    Role, SchemaEntry, Sequence, Server, SnapshotIds, Source,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::cases;

/// Any text, often with what shells, JSON and kubelets look for.
pub fn text() -> impl Strategy<Value = String> {
    const HOSTILE: [&str; 10] = [
        "$",
        "$$",
        "$(LIFEBOAT_TASK)",
        "\\",
        "\"",
        "\\u0024",
        "\n",
        "\u{0}",
        "ü",
        "\u{2028}",
    ];
    let piece = prop_oneof![
        3 => ".{0,8}",
        2 => select(&HOSTILE[..]).prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

pub fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_102_444_800, 0_i32..1_000_000_000).prop_map(|(s, n)| Timestamp::new(s, n).unwrap())
}

pub fn reason() -> impl Strategy<Value = BackupReason> {
    select(vec![
        BackupReason::Manual,
        BackupReason::Scheduled,
        BackupReason::PreMigration,
    ])
}

fn server() -> impl Strategy<Value = Server> {
    (text(), any::<i32>(), text(), text(), any::<i64>(), text()).prop_map(
        |(version, major, database, encoding, database_bytes, pg_dump_version)| Server {
            version,
            major,
            database,
            encoding,
            database_bytes,
            pg_dump_version,
        },
    )
}

fn base() -> impl Strategy<Value = Base> {
    let ids = (text(), text(), vec(text(), 0..4)).prop_map(|(xmin, xmax, xip)| SnapshotIds {
        xmin,
        xmax,
        xip,
    });
    let position = (text(), of(text())).prop_map(|(lsn, next_xid)| Position { lsn, next_xid });
    (
        of(ids),
        any::<bool>(),
        any::<bool>(),
        of(text()),
        of(any::<i64>()),
        position,
    )
        .prop_map(
            |(snapshot, not_a_base, in_recovery, system_identifier, timeline, position)| Base {
                snapshot,
                not_a_base,
                in_recovery,
                system_identifier,
                timeline,
                position,
            },
        )
}

fn object() -> impl Strategy<Value = ObjectInfo> {
    let role = select(vec![
        ObjectRole::Dump,
        ObjectRole::Globals,
        ObjectRole::Contents,
    ]);
    (text(), role, any::<i64>(), text(), any::<i64>(), of(text())).prop_map(
        |(name, role, bytes, sha256, raw_bytes, raw_sha256)| ObjectInfo {
            name,
            role,
            bytes,
            sha256,
            raw_bytes,
            raw_sha256,
        },
    )
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let names = (text(), text(), text(), text(), text());
    let run = (
        text(),
        text(),
        vec(text(), 0..3),
        reason(),
        [time(), time(), time(), time()],
    );
    let made = (text(), text(), server(), base(), any::<[i64; 7]>());
    let end = (text(), vec(text(), 0..3), vec(object(), 0..4));
    (names, run, made, end).prop_map(|(names, run, made, end)| Manifest {
        format: FORMAT_VERSION,
        backup: names.0,
        namespace: names.1,
        policy: names.2,
        policy_uid: names.3,
        directory: names.4,
        prefix: run.0,
        pod_uid: run.1,
        tiers: run.2,
        reason: run.3,
        due: run.4[0],
        started_at: run.4[1],
        data_at: run.4[2],
        finished_at: run.4[3],
        lifeboat_version: made.0,
        engine: made.1,
        server: made.2,
        base: made.3,
        counts: Counts {
            tables: made.4[0],
            rows: made.4[1],
            sequences: made.4[2],
            large_objects: made.4[3],
            raw_bytes: made.4[4],
            stored_bytes: made.4[5],
            left_out: made.4[6],
        },
        encryption: EncryptionInfo {
            method: end.0,
            recipients: end.1,
        },
        objects: end.2,
    })
}

/// A name as a server may have it: any bytes.
fn name() -> impl Strategy<Value = Name> {
    let bytes = prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..12)];
    bytes.prop_map(|bytes| Name::from_bytes(&bytes))
}

fn contents() -> impl Strategy<Value = Contents> {
    let relation = (
        name(),
        name(),
        select(vec!['r', 'p', 'S', 'v', 'm', 'f']),
        of(any::<i64>()),
        of(text()),
        (of(vec(name(), 0..3)), of(any::<i64>()), of(text())),
    )
        .prop_map(|(schema, name, kind, rows, extension, content)| Relation {
            schema,
            name,
            kind,
            rows,
            columns: content.0,
            bytes: content.1,
            hash: content.2,
            loaded_through: None,
            extension,
            lines: None,
            generated: None,
            types_of: Vec::new(),
        });
    let entry = (text(), name(), name(), name(), name(), of(text())).prop_map(
        |(desc, namespace, tag, owner, definition, access_method)| SchemaEntry {
            desc,
            namespace,
            tag,
            owner,
            definition,
            access_method,
            tablespace: None,
        },
    );
    let sequence = (name(), name(), any::<i64>(), any::<bool>()).prop_map(
        |(schema, name, last_value, is_called)| Sequence {
            schema,
            name,
            last_value,
            is_called,
        },
    );
    let role = (text(), vec(text(), 0..3)).prop_map(|(name, statements)| Role { name, statements });
    let collation = (name(), name(), select(vec!['c', 'i', 'b']), of(text())).prop_map(
        |(schema, name, provider, version)| Collation {
            schema,
            name,
            provider,
            version,
        },
    );
    let large_objects = (any::<i64>(), any::<i64>(), text())
        .prop_map(|(count, bytes, hash)| LargeObjects { count, bytes, hash });
    let source = (text(), any::<u16>()).prop_map(|(host, port)| Source { host, port });
    let left_out =
        (name(), name(), text(), any::<i64>()).prop_map(|(schema, name, why, rows)| LeftOut {
            fingerprint: None,
            schema,
            name,
            why,
            rows,
        });
    let beyond =
        (name(), name(), any::<i64>(), of(text())).prop_map(|(schema, name, rows, hash)| Beyond {
            schema,
            name,
            rows,
            hash,
        });
    let member = (text(), text(), name(), of(name()), text()).prop_map(
        |(extension, kind, name, on, fingerprint)| Member {
            extension,
            kind,
            name,
            on,
            fingerprint,
        },
    );
    (
        vec(relation, 0..5),
        vec(left_out, 0..3),
        btree_map(text(), any::<i64>(), 0..4),
        vec((text(), text()), 0..3),
        btree_map(text(), text(), 0..4),
        (of(text()), of(large_objects), of(source)),
        (
            vec(entry, 0..3),
            vec(sequence, 0..3),
            vec(role, 0..3),
            vec(collation, 0..3),
            vec(beyond, 0..3),
            of(vec(member, 0..3)),
        ),
    )
        .prop_map(
            |(relations, left_out, census, extensions, settings, content, schema)| Contents {
                format: FORMAT_VERSION,
                relations,
                left_out,
                census,
                // Not recorded.
                invalid_indexes: Vec::new(),
                extensions,
                settings,
                line_key: content.0,
                large_objects: content.1,
                source: content.2,
                data_at: None,
                entries: schema.0,
                sequences: schema.1,
                roles: schema.2,
                collations: schema.3,
                beyond: schema.4,
                members: schema.5,
            },
        )
}

/// A field that a later minor version may add, in every object but the free maps.
fn add_unknown(value: &mut Value, free: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                if !free.contains(&key.as_str()) {
                    add_unknown(value, free);
                }
            }
            fields.insert("fromLater".to_owned(), serde_json::json!({"a": [1, null]}));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| add_unknown(item, free)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn a_manifest_is_read_as_it_was_written(manifest in manifest()) {
        let json = manifest.to_json().unwrap();
        prop_assert_eq!(Manifest::parse(&json).unwrap(), manifest);
    }

    /// Format rule 4 is about `format`; within it, fields may be added.
    #[test]
    fn unknown_fields_of_a_known_format_are_passed_over(manifest in manifest(), contents in contents()) {
        let mut value = serde_json::to_value(&manifest).unwrap();
        add_unknown(&mut value, &[]);
        prop_assert_eq!(Manifest::parse(value.to_string().as_bytes()).unwrap(), manifest);
        let mut value = serde_json::to_value(&contents).unwrap();
        add_unknown(&mut value, &["census", "settings"]);
        prop_assert_eq!(serde_json::from_value::<Contents>(value).unwrap(), contents);
    }

    #[test]
    fn an_unknown_format_is_refused_whatever_else_stands_there(format in any::<u32>(), other in text()) {
        prop_assume!(format != FORMAT_VERSION);
        let later = serde_json::json!({"format": format, "backup": {"name": other}});
        let refused = Manifest::parse(later.to_string().as_bytes()).unwrap_err();
        prop_assert!(matches!(refused, ManifestError::Format(f) if f == format));
    }

    /// A manifest that was cut short is none: it proves nothing.
    #[test]
    fn a_manifest_that_was_cut_is_an_error(manifest in manifest(), at in any::<prop::sample::Index>()) {
        let json = manifest.to_json().unwrap();
        // Without at least the last brace and the newline behind it.
        let kept = at.index(json.len() - 1);
        prop_assert!(Manifest::parse(&json[..kept]).is_err());
    }

    #[test]
    fn contents_are_read_as_they_were_written_whatever_bytes_are_in_names(contents in contents()) {
        let json = serde_json::to_vec(&contents).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Contents>(&json).unwrap(), contents);
    }

    #[test]
    fn names_of_different_bytes_differ_in_the_document_too(
        one in vec(any::<u8>(), 0..6),
        other in vec(any::<u8>(), 0..6),
    ) {
        let print = |bytes: &[u8]| serde_json::to_string(&Name::from_bytes(bytes)).unwrap();
        prop_assert_eq!(one == other, print(&one) == print(&other));
    }
}
