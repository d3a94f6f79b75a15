//! Small dumps made by hand; real ones are in `tests/postgres_room.rs`.

use super::*;
use crate::manifest::Contents;
use crate::manifest::{LeftOut, Relation};
use crate::postgres::witness::compare;

fn int(out: &mut Vec<u8>, value: i32) {
    out.push(u8::from(value < 0));
    out.extend_from_slice(&value.unsigned_abs().to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => int(out, -1),
        Some(bytes) => {
            int(out, i32::try_from(bytes.len()).unwrap());
            out.extend_from_slice(bytes);
        }
    }
}

fn dump(minor: u8, tags: &[&[u8]]) -> Vec<u8> {
    let mut out = b"PGDMP\x01".to_vec();
    out.extend_from_slice(&[minor, 0, 4, 8, 1]);
    if minor >= 15 {
        out.push(3);
    } else {
        int(&mut out, -1);
    }
    for _ in 0..7 {
        int(&mut out, 1);
    }
    for value in ["shop", "17.2", "17.2"] {
        text(&mut out, Some(value.as_bytes()));
    }
    int(&mut out, i32::try_from(tags.len()).unwrap());
    for (id, tag) in tags.iter().enumerate() {
        int(&mut out, i32::try_from(id).unwrap() + 1);
        int(&mut out, 1);
        text(&mut out, Some(b"1259"));
        text(&mut out, Some(b"16384"));
        text(&mut out, Some(tag));
        text(&mut out, Some(b"TABLE DATA"));
        int(&mut out, 3);
        text(&mut out, Some(&vec![b'x'; 300]));
        text(&mut out, None);
        text(&mut out, Some(b"COPY"));
        text(&mut out, Some(b"public"));
        text(&mut out, None);
        text(&mut out, Some(b"heap"));
        if minor >= 16 {
            int(&mut out, 0);
        }
        text(&mut out, Some(b"owner"));
        text(&mut out, Some(b"false"));
        text(&mut out, Some(b"200"));
        text(&mut out, None);
        out.extend_from_slice(&[1; 9]);
    }
    out
}

fn parse(bytes: &[u8], piece: usize) -> Result<Toc, PgError> {
    let mut parser = TocParser::new();
    for piece in bytes.chunks(piece) {
        parser.push(piece)?;
    }
    parser.finish()
}

#[test]
fn each_format_is_read_in_pieces_of_any_size() {
    for minor in 14..=16 {
        let mut bytes = dump(minor, &[b"a", b"weird \"name\"", b"\xfcber"]);
        bytes.extend_from_slice(&[7; 1000]);
        let whole = parse(&bytes, bytes.len()).unwrap();
        assert_eq!(whole.format, (1, minor));
        assert_eq!(whole.entries.len(), 3);
        assert_eq!(whole.entries[1].tag, Name::Text("weird \"name\"".into()));
        assert_eq!(
            whole.entries[2].tag,
            Name::Bytes {
                hex: "fc626572".into()
            }
        );
        for piece in [1, 7, 100, 4096] {
            assert_eq!(parse(&bytes, piece).unwrap(), whole);
        }
    }
}

#[test]
fn a_cut_dump_and_what_is_none_are_refused() {
    let bytes = dump(16, &[b"a", b"b"]);
    for end in 0..bytes.len() {
        let error = parse(&bytes[..end], 64).unwrap_err();
        assert_eq!(error.reason(), Reason::DumpIncomplete);
    }
    for bad in [
        &b"not a dump at all"[..],
        b"PGDMP\x01\x0d\x00\x04\x08\x01",
        b"PGDMP\x01\x10\x00\x04\x08\x03",
    ] {
        assert_eq!(parse(bad, 5).unwrap_err().reason(), Reason::DumpIncomplete);
    }
    let mut huge = dump(16, &[b"a"]);
    let at = huge.len() - 400;
    huge.truncate(at);
    huge.extend_from_slice(&[0, 0xff, 0xff, 0xff, 0x7f]);
    assert!(parse(&huge, 64).is_err());
}

#[test]
fn each_table_of_the_census_stands_in_the_dump_or_among_what_was_left_out() {
    let toc = parse(&dump(16, &[b"a"]), 64).unwrap();
    let name = |text: &str| Name::Text(text.into());
    let table = |text: &str, kind| Relation {
        schema: name("public"),
        name: name(text),
        kind,
        rows: Some(0),
        columns: None,
        bytes: None,
        hash: None,
        loaded_through: None,
        extension: None,
        lines: None,
        generated: None,
        types_of: Vec::new(),
    };
    let mut contents = Contents {
        relations: vec![table("a", 'r'), table("parent", 'p'), table("view", 'v')],
        ..Contents::default()
    };
    compare(&contents, &toc).unwrap();
    contents.relations.push(table("queue", 'r'));
    let error = compare(&contents, &toc).unwrap_err();
    assert_eq!(error.reason(), Reason::DumpIncomplete);
    assert!(error.to_string().contains("public.queue"), "{error}");
    contents.left_out.push(LeftOut {
        fingerprint: None,
        schema: name("public"),
        name: name("queue"),
        why: "extension".into(),
        rows: 5,
    });
    compare(&contents, &toc).unwrap();
    contents.census.insert("largeObjects".into(), 2);
    assert!(
        compare(&contents, &toc)
            .unwrap_err()
            .to_string()
            .contains("large object")
    );
}
