//! One suite for every store: what the rest of the program relies on.

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::codec::{Codec, Identities, Limits, ObjectWriter, Recipients, read_pieces};
use lifeboat::manifest::ObjectRole;
use lifeboat::objects::{Depth, ObjectStore, PutMode, probe};

/// Runs all of it against a store that honours `If-None-Match`. `part`: bytes of a part, of which S3 wants 5 MiB.
pub async fn run(store: Arc<dyn ObjectStore>, part: usize) {
    small_objects(store.as_ref(), true).await;
    completes_parts_in_any_order(store.as_ref(), part).await;
    shows_nothing_of_an_aborted_upload(store.as_ref()).await;
    lists_by_prefix_and_by_folder(store.as_ref()).await;
    takes_keys_with_odd_letters(store.as_ref()).await;
    carries_a_stream_in_pieces(store, part).await;
}

/// What needs no parts. `conditional`: whether the store honours `If-None-Match`.
pub async fn small_objects(store: &dyn ObjectStore, conditional: bool) {
    puts_and_reads(store).await;
    creates_only_once(store, conditional).await;
    let (found, outcome) = probe(store).await;
    outcome.unwrap();
    assert_eq!(found.writable, Some(true));
    assert_eq!(found.credentials_valid, Some(true));
    assert_eq!(found.conditional_writes, Some(conditional));
    assert_eq!((found.list, found.delete), (Some(true), Some(true)));
}

async fn puts_and_reads(store: &dyn ObjectStore) {
    let body = Bytes::from_static(b"hello");
    let key = "suite/puts/one";
    assert!(store.get(key, 10).await.unwrap_err().is_missing());
    assert_eq!(store.head(key).await.unwrap(), None);
    store
        .put(key, body.clone(), PutMode::Overwrite)
        .await
        .unwrap();
    assert_eq!(store.get(key, 5).await.unwrap(), body);
    assert_eq!(store.head(key).await.unwrap(), Some(5));
    let error = store.get(key, 4).await.unwrap_err();
    assert!(!error.is_missing(), "{error}");
    assert!(error.to_string().contains(key), "{error}");
    for (range, want) in [
        (0..5, "hello"),
        (1..3, "el"),
        (3..99, "lo"),
        (2..2, ""),
        (5..9, ""),
        (7..9, ""),
    ] {
        let found = store.get_range(key, range.clone()).await.unwrap();
        assert_eq!(found, want.as_bytes(), "{range:?}");
    }
    let missing = store.get_range("suite/puts/none", 0..5).await;
    assert!(missing.unwrap_err().is_missing());
    store
        .put(key, Bytes::new(), PutMode::Overwrite)
        .await
        .unwrap();
    assert_eq!(store.get(key, 0).await.unwrap(), Bytes::new());
    store.delete(key).await.unwrap();
    store.delete(key).await.unwrap();
    assert_eq!(store.head(key).await.unwrap(), None);
}

async fn creates_only_once(store: &dyn ObjectStore, conditional: bool) {
    let key = "suite/create/manifest.json";
    let (first, second) = (Bytes::from_static(b"1"), Bytes::from_static(b"2"));
    store
        .put(key, first.clone(), PutMode::CreateOnly)
        .await
        .unwrap();
    let again = store.put(key, second, PutMode::CreateOnly).await;
    if conditional {
        assert_eq!(again.unwrap_err().reason(), Reason::AlreadyExists);
        assert_eq!(store.get(key, 10).await.unwrap(), first);
    } else {
        again.unwrap();
    }
}

async fn completes_parts_in_any_order(store: &dyn ObjectStore, part: usize) {
    let key = "suite/parts/object";
    let full = u64::try_from(part).unwrap();
    let upload = store.begin(key, full).await.unwrap();
    let (one, two) = (vec![1_u8; part], vec![2_u8; 7]);
    let second = store
        .upload_part(&upload, 2, two.clone().into())
        .await
        .unwrap();
    let first = store
        .upload_part(&upload, 1, one.clone().into())
        .await
        .unwrap();
    assert_eq!(store.head(key).await.unwrap(), None, "visible too early");
    store.complete(&upload, &[first, second]).await.unwrap();
    assert_eq!(store.get(key, 2 * full).await.unwrap(), [one, two].concat());
    // An upload that is through is gone; giving it up harms nothing.
    let _ = store.abort(&upload).await;
    assert_eq!(store.head(key).await.unwrap(), Some(full + 7));
}

async fn shows_nothing_of_an_aborted_upload(store: &dyn ObjectStore) {
    let key = "suite/aborted/object";
    let upload = store.begin(key, 1).await.unwrap();
    store
        .upload_part(&upload, 1, Bytes::from_static(b"x"))
        .await
        .unwrap();
    store.abort(&upload).await.unwrap();
    assert_eq!(store.head(key).await.unwrap(), None);
    let page = store
        .list("suite/aborted/", Depth::All, None)
        .await
        .unwrap();
    assert!(page.objects.is_empty(), "{page:?}");
    let part = store
        .upload_part(&upload, 2, Bytes::from_static(b"x"))
        .await;
    assert!(part.is_err(), "an aborted upload took a part");
}

async fn lists_by_prefix_and_by_folder(store: &dyn ObjectStore) {
    let keys = ["a/1", "a/2", "ab", "b/c/3", "d"];
    for key in keys {
        let key = format!("suite/list/{key}");
        store
            .put(&key, Bytes::from_static(b"x"), PutMode::Overwrite)
            .await
            .unwrap();
    }
    let all = store.list("suite/list/", Depth::All, None).await.unwrap();
    let found: Vec<&str> = all
        .objects
        .iter()
        .map(|o| &o.key["suite/list/".len()..])
        .collect();
    assert_eq!(found, keys);
    assert!(all.objects.iter().all(|o| o.bytes == 1));
    assert_eq!((all.folders.len(), all.next), (0, None));
    let top = store
        .list("suite/list/", Depth::Folder, None)
        .await
        .unwrap();
    let found: Vec<&str> = top
        .objects
        .iter()
        .map(|o| &o.key["suite/list/".len()..])
        .collect();
    assert_eq!(found, ["ab", "d"]);
    assert_eq!(top.folders, ["suite/list/a/", "suite/list/b/"]);
    let none = store
        .list("suite/nothing/", Depth::All, None)
        .await
        .unwrap();
    assert!(none.objects.is_empty() && none.next.is_none());
}

async fn takes_keys_with_odd_letters(store: &dyn ObjectStore) {
    for key in ["suite/odd/a b+c%20=&.json", "suite/odd/ü$(X)$$.json"] {
        let body = Bytes::from_static(b"odd");
        store
            .put(key, body.clone(), PutMode::CreateOnly)
            .await
            .unwrap();
        assert_eq!(store.get(key, 3).await.unwrap(), body, "{key}");
        let page = store.list("suite/odd/", Depth::All, None).await.unwrap();
        assert!(page.objects.iter().any(|o| o.key == key), "{key}: {page:?}");
    }
}

async fn carries_a_stream_in_pieces(store: Arc<dyn ObjectStore>, part: usize) {
    use age::secrecy::ExposeSecret;
    let identity = age::x25519::Identity::generate();
    let codec = Codec {
        zstd: Some(1),
        recipients: Some(Recipients::parse(&[identity.to_public().to_string()]).unwrap()),
    };
    let limits = Limits {
        part_bytes: part,
        parts_per_object: 1,
        parts_in_flight: 2,
    };
    let bytes = noise(part + part / 8);
    let role = ObjectRole::Dump;
    let prefix = "suite/stream";
    let mut writer =
        ObjectWriter::new(store.clone(), prefix, "dump.pgc", role, &codec, limits).unwrap();
    for chunk in bytes.chunks(100_000) {
        writer.write(chunk).await.unwrap();
    }
    let infos = writer.finish().await.unwrap();
    assert_eq!(infos.len(), 2, "{infos:?}");
    let secret = identity.to_string();
    let identities = Identities::parse(secret.expose_secret()).unwrap();
    let most = 32 * 1024 * 1024;
    let back = read_pieces(store.as_ref(), prefix, &infos, Some(&identities), most).await;
    assert!(back.unwrap() == bytes, "the stream came back changed");
}

/// Bytes that do not compress, the same each time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
