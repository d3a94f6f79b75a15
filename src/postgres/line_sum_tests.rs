//! Sums of lines: what counts, what does not, and that parts add up.

use proptest::prelude::*;

use super::*;

const KEY: LineKey = LineKey([7; 32]);

fn sum(pieces: &[&[u8]]) -> Option<Content> {
    let mut sum = LineSum::new(KEY);
    for piece in pieces {
        sum.push(piece);
    }
    sum.finish()
}

#[test]
fn g21_order_does_not_count_and_everything_else_does() {
    let one = sum(&[b"1\ta\n2\tb\n"]).unwrap();
    assert_eq!(sum(&[b"2\tb\n1\ta\n"]), Some(one));
    assert_eq!((one.rows, one.bytes), (2, 6));
    for other in [
        "1\ta\n",
        "1\ta\n2\tc\n",
        "1\ta\n2\tb\n\n",
        "1\ta\n1\ta\n2\tb\n",
        "1\tb\n2\ta\n",
        "1\ta2\tb\n",
    ] {
        assert_ne!(sum(&[other.as_bytes()]), Some(one), "{other:?}");
    }
    assert_eq!(sum(&[b"1\ta\n2"]), None, "a line without an end");
    assert_eq!(sum(&[]), Some(Content::default()));
    let empty = sum(&[b"\n\n"]).unwrap();
    assert_eq!((empty.rows, empty.bytes), (2, 0));
}

#[test]
fn keys_go_into_hex_and_back() {
    let mut bytes = [0_u8; 32];
    bytes[0] = 0xab;
    let key = LineKey::new(bytes);
    assert_eq!(LineKey::from_hex(&key.to_hex()), Some(key));
    assert_eq!(LineKey::from_hex("ab"), None);
    assert_eq!(LineKey::from_hex(&"ü".repeat(32)), None);
}

proptest! {
    #[test]
    fn g21_the_sum_is_the_same_however_the_stream_is_cut(
        lines in proptest::collection::vec("[a-z\\\\\t]{0,40}", 0..20),
        cut in 1_usize..17,
    ) {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
        prop_assert_eq!(sum(&pieces), sum(&[text.as_bytes()]));
    }

    #[test]
    fn g21_the_first_columns_of_lines_are_the_same_however_the_stream_is_cut(
        rows in proptest::collection::vec(proptest::collection::vec("[a-z\\\\]{0,5}", 4), 0..10),
        wanted in 0_usize..5,
        cut in 1_usize..17,
    ) {
        let text = |rows: &[Vec<String>], columns: usize| -> String {
            let line = |row: &Vec<String>| format!("{}\n", row.iter().take(columns).cloned().collect::<Vec<_>>().join("\t"));
            rows.iter().map(line).collect()
        };
        let mut first = FirstColumns::new(wanted);
        let mut found = LineSum::new(KEY);
        for piece in text(&rows, 4).as_bytes().chunks(cut) {
            first.push(piece, &mut found);
        }
        prop_assert_eq!(found.finish(), sum(&[text(&rows, wanted).as_bytes()]));
    }

    #[test]
    fn g25_sums_of_parts_are_the_sum_of_the_whole(
        lines in proptest::collection::vec("[a-z]{0,9}", 0..20),
        at in 0_usize..20,
    ) {
        let text = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
        let (left, right) = lines.split_at(at.min(lines.len()));
        let of = |text: String| sum(&[text.as_bytes()]).unwrap();
        prop_assert_eq!(of(text(left)).and(of(text(right))), of(text(&lines)));
    }
}
