//! Pages that contradict themselves, and listings that never end.

use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2OutputBuilder;
use aws_sdk_s3::types::{CommonPrefix, Object};
use rstest::rstest;

use super::*;

fn answer(keys: &[&str], folders: &[&str]) -> ListObjectsV2OutputBuilder {
    let object = |key: &&str| Object::builder().key(*key).size(1).build();
    let folder = |key: &&str| CommonPrefix::builder().prefix(*key).build();
    ListObjectsV2Output::builder()
        .set_contents(Some(keys.iter().map(object).collect()))
        .set_common_prefixes(Some(folders.iter().map(folder).collect()))
        .is_truncated(false)
}

fn read(answer: ListObjectsV2OutputBuilder, depth: Depth) -> Result<Vec<String>, String> {
    let found = Entries::read(&answer.build(), "p/", depth)?;
    let keys = found.objects.into_iter().map(|(key, _)| key);
    Ok(keys.chain(found.folders).collect())
}

/// What a listing does whose pages come from `page`, by their number: how many, and how it ends.
fn walk(page: impl Fn(usize) -> (ListObjectsV2Output, Vec<String>)) -> (usize, Result<(), String>) {
    let mut cursor = Cursor::default();
    for number in 0.. {
        let (answer, keys) = page(number);
        let found = Entries {
            objects: keys.into_iter().map(|key| (key, 1)).collect(),
            folders: Vec::new(),
        };
        match cursor.after(&answer, &found) {
            Ok(None) => return (number + 1, Ok(())),
            Ok(Some(next)) => {
                cursor = Cursor::parse(&next.text()).unwrap();
                assert_eq!(cursor, next);
            }
            Err(what) => return (number + 1, Err(what)),
        }
    }
    unreachable!()
}

fn more(token: String) -> ListObjectsV2Output {
    let answer = ListObjectsV2Output::builder().is_truncated(true);
    answer.next_continuation_token(token).build()
}

#[test]
fn p13_the_count_must_fit_what_was_read() {
    let counted = |n| read(answer(&["p/a"], &["p/b/"]).key_count(n), Depth::Folder);
    assert_eq!(counted(2).unwrap(), ["p/a", "p/b/"]);
    // Objects alone.
    assert_eq!(counted(1).unwrap(), ["p/a", "p/b/"]);
    for wrong in [-1, 0, 3, 1_000] {
        assert!(counted(wrong).unwrap_err().contains("KeyCount"), "{wrong}");
    }
}

#[rstest]
#[case::elsewhere("q/a", "", Depth::All)]
#[case::a_level_too_deep("p/a/b", "", Depth::Folder)]
#[case::a_folder_elsewhere("", "q/a/", Depth::Folder)]
#[case::a_folder_too_deep("", "p/a/b/", Depth::Folder)]
#[case::no_folder("", "p/a", Depth::Folder)]
#[case::a_folder_unasked("", "p/a/", Depth::All)]
fn p13_an_entry_that_was_not_asked_for_is_refused(
    #[case] key: &str,
    #[case] folder: &str,
    #[case] depth: Depth,
) {
    let keys: Vec<&str> = Some(key).filter(|k| !k.is_empty()).into_iter().collect();
    let folders: Vec<&str> = Some(folder).filter(|f| !f.is_empty()).into_iter().collect();
    let error = read(answer(&keys, &folders), depth).unwrap_err();
    assert!(error.contains("not asked for"), "{error}");
}

#[test]
fn p13_an_entry_without_key_or_size_is_refused() {
    let bare = |object: Object| {
        let answer = ListObjectsV2Output::builder().contents(object);
        read(answer, Depth::All).unwrap_err()
    };
    assert!(bare(Object::builder().size(1).build()).contains("no key"));
    assert!(bare(Object::builder().key("p/a").build()).contains("no size"));
}

#[rstest]
#[case("p/a+b%2Bc%2520", "p/a b+c%20")]
#[case("p/%C3%BC%01", "p/ü\u{1}")]
#[case::said_and_not_done("p/a b%20", "p/a b%20")]
fn keys_that_were_encoded_are_decoded(#[case] sent: &str, #[case] is: &str) {
    let answer = answer(&[sent], &[]).encoding_type(EncodingType::Url);
    assert_eq!(read(answer, Depth::All).unwrap(), [is]);
}

#[test]
fn a_key_is_not_decoded_unless_the_store_says_that_it_encoded() {
    assert_eq!(
        read(answer(&["p/a+%20"], &[]), Depth::All).unwrap(),
        ["p/a+%20"]
    );
    let broken = answer(&["p/%zz"], &[]).encoding_type(EncodingType::Url);
    assert!(read(broken, Depth::All).is_err());
}

#[test]
fn p13_more_without_a_token_is_no_end() {
    let cut = ListObjectsV2Output::builder().is_truncated(true).build();
    assert!(walk(|_| (cut.clone(), Vec::new())).1.is_err());
    let silent = |count: usize| {
        let keys = (0..count).map(|n| format!("{n:05}")).collect();
        (ListObjectsV2Output::builder().build(), keys)
    };
    assert_eq!(walk(|_| silent(999)), (1, Ok(())));
    assert!(walk(|_| silent(1_000)).1.is_err());
}

#[test]
fn p13_a_listing_that_does_not_move_ends() {
    // The same token.
    let (pages, end) = walk(|n| (more("t".to_owned()), vec![format!("{n:09}")]));
    assert!(end.is_err());
    assert_eq!(pages, 2);
    // Another token, the same keys.
    let (pages, end) = walk(|n| (more(n.to_string()), vec!["a".to_owned()]));
    assert!(end.is_err());
    assert_eq!(pages, 2);
    // Another token, and never a key.
    let (pages, end) = walk(|n| (more(n.to_string()), Vec::new()));
    assert!(end.is_err());
    assert!(pages < 200, "{pages}");
    // Ever another key.
    let (pages, end) = walk(|n| (more(n.to_string()), vec![format!("{n:09}")]));
    assert!(end.is_err());
    assert!(pages < 200, "{pages}");
}

#[test]
fn a_listing_of_many_pages_comes_to_its_end() {
    let (pages, end) = walk(|n| match n {
        3 => (ListObjectsV2Output::builder().build(), Vec::new()),
        // A page without an entry is no end.
        1 => (more("1".to_owned()), Vec::new()),
        _ => (more(n.to_string()), vec![format!("k {n}")]),
    });
    assert_eq!((pages, end), (4, Ok(())));
}
