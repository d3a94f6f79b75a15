//! P10: a database is what was backed up only if both documents say the same, whatever they say.

use lifeboat::manifest::{
    Contents, FORMAT_VERSION, LargeObjects, Name, Relation, Role, SchemaEntry, Sequence,
};
use lifeboat::postgres::compare::compare;
use proptest::prelude::*;

use crate::cases;

fn name(text: String) -> Name {
    Name::Text(text)
}

fn hash(seed: u64) -> String {
    format!("{:032x}", u128::from(seed) * 0x9e37_79b9_7f4a_7c15)
}

fn role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        statements: vec![
            format!("CREATE ROLE \"{name}\""),
            format!("ALTER ROLE \"{name}\" WITH LOGIN"),
        ],
    }
}

/// A backup of so many tables, with something of everything.
fn recorded(tables: u8, seed: u64) -> Contents {
    let table = |n: u8| Relation {
        schema: name("s".to_owned()),
        name: name(format!("t{n}")),
        kind: 'r',
        rows: Some(i64::from(n) * 3),
        columns: Some(vec![name("a".to_owned()), name("b".to_owned())]),
        bytes: Some(i64::from(n) * 30),
        hash: Some(hash(seed.wrapping_add(u64::from(n)))),
        loaded_through: None,
        extension: None,
        lines: None,
        generated: None,
        types_of: Vec::new(),
    };
    let entry = |n: u8| SchemaEntry {
        desc: "TABLE".to_owned(),
        namespace: name("s".to_owned()),
        tag: name(format!("t{n}")),
        owner: name("o".to_owned()),
        definition: Name::Text(hash(seed ^ u64::from(n))),
        access_method: None,
        tablespace: None,
    };
    let sequence = |n: u8| Sequence {
        schema: name("s".to_owned()),
        name: name(format!("q{n}")),
        last_value: i64::from(n),
        is_called: n.is_multiple_of(2),
    };
    Contents {
        format: FORMAT_VERSION,
        relations: (0..tables).map(table).collect(),
        entries: (0..tables).map(entry).collect(),
        sequences: (0..tables).map(sequence).collect(),
        roles: ["o", "r"].map(role).to_vec(),
        settings: [("server_encoding".to_owned(), "UTF8".to_owned())].into(),
        census: [("indexes".to_owned(), 4), ("largeObjects".to_owned(), 1)].into(),
        line_key: Some(hash(seed)),
        large_objects: Some(LargeObjects {
            count: 1,
            bytes: 9,
            hash: hash(seed),
        }),
        ..Contents::default()
    }
}

/// Every way in which one meaning can change. `at` chooses the object.
const MUTATIONS: [fn(&mut Contents, usize); 20] = [
    |c, at| *c.relations[at].rows.as_mut().unwrap() += 1,
    |c, at| c.relations[at].hash = Some(hash(4_711_000_000_001)),
    |c, at| c.relations[at].hash = None,
    |c, at| c.relations[at].columns.as_mut().unwrap().swap(0, 1),
    |c, at| drop(c.relations.remove(at)),
    |c, at| {
        let more = Relation {
            name: name("more".to_owned()),
            ..c.relations[at].clone()
        };
        c.relations.push(more);
    },
    |c, at| c.relations[at].name = name("renamed".to_owned()),
    |c, at| c.entries[at].definition = Name::Text(hash(4_711_000_000_002)),
    |c, at| c.entries[at].owner = name("other".to_owned()),
    |c, at| drop(c.entries.remove(at)),
    |c, at| {
        let twice = c.entries[at].clone();
        c.entries.push(twice);
    },
    |c, at| c.sequences[at].last_value += 1,
    |c, at| c.sequences[at].is_called ^= true,
    |c, at| drop(c.sequences.remove(at)),
    |c, _| c.large_objects.as_mut().unwrap().hash = hash(4_711_000_000_003),
    |c, _| drop(c.roles.remove(0)),
    |c, _| *c.census.get_mut("indexes").unwrap() -= 1,
    |c, _| {
        c.roles[1]
            .statements
            .push("ALTER ROLE \"r\" WITH SUPERUSER".to_owned())
    },
    |c, _| drop(c.roles[1].statements.pop()),
    |c, _| {
        drop(
            c.settings
                .insert("server_encoding".to_owned(), "LATIN1".to_owned()),
        )
    },
];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn p10_equal_is_equal_and_one_change_anywhere_is_told(
        tables in 1_u8..9,
        seed in any::<u64>(),
        mutation in 0..MUTATIONS.len(),
        at in any::<prop::sample::Index>(),
    ) {
        let was = recorded(tables, seed);
        let whole = compare(&was, &was);
        prop_assert!(whole.proves(), "{whole:#?}");
        prop_assert_eq!((whole.tables, whole.equal), (usize::from(tables), usize::from(tables)));
        let mut is = was.clone();
        MUTATIONS[mutation](&mut is, at.index(usize::from(tables)));
        let changed = compare(&was, &is);
        prop_assert!(!changed.proves(), "mutation {mutation}");
        // The lie may as well stand in the backup; only a role more is no harm there.
        let lied = compare(&is, &was);
        prop_assert!(!lied.proves() || mutation == 15, "mutation {mutation}, the other way round");
    }

    /// G28: what a backup does not say is never called equal.
    #[test]
    fn g28_what_was_not_recorded_proves_nothing(tables in 1_u8..9, seed in any::<u64>(), what in 0..3) {
        let is = recorded(tables, seed);
        let mut was = is.clone();
        match what {
            0 => was.relations.iter_mut().for_each(|r| r.hash = None),
            1 => was.entries.clear(),
            _ => was.large_objects = None,
        }
        prop_assert!(!compare(&was, &is).proves());
    }
}
