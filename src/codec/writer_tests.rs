//! The writer against a store in memory: pieces, names, and streams that end early.

use age::secrecy::ExposeSecret;
use age::x25519;
use proptest::prelude::*;

use super::super::{Identities, Recipients, read_object, read_pieces};
use super::*;
use crate::api::Reason;
use crate::objects::{Fault, Flaky, Memory, Operation, When};

const MIB: u64 = 1024 * 1024;
const SMALL: Limits = Limits {
    part_bytes: 1_000,
    parts_per_object: 3,
    parts_in_flight: 2,
};

fn key_pair() -> (Recipients, Identities) {
    let identity = x25519::Identity::generate();
    let text = identity.to_string().expose_secret().to_owned();
    let recipients = Recipients::parse(&[identity.to_public().to_string()]).unwrap();
    (recipients, Identities::parse(&text).unwrap())
}

/// Bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn store_all(
    store: Arc<dyn ObjectStore>,
    codec: &Codec,
    bytes: &[u8],
) -> Result<Vec<ObjectInfo>, CodecError> {
    let mut writer = ObjectWriter::new(store, "d/run", "dump.pgc", ObjectRole::Dump, codec, SMALL)?;
    if let Err(error) = writer.write(bytes).await {
        writer.abort().await;
        return Err(error);
    }
    writer.finish().await
}

fn fault(operation: Operation, call: u64, when: When) -> Vec<Fault> {
    vec![Fault {
        operation,
        call,
        when,
        reason: Reason::StoreUnreachable,
    }]
}

#[tokio::test]
async fn a_long_stream_goes_on_in_numbered_pieces_that_concatenate() {
    let store = Arc::new(Memory::new());
    let (recipients, identities) = key_pair();
    let codec = Codec {
        zstd: Some(1),
        recipients: Some(recipients),
    };
    let bytes = noise(10_500);
    let infos = store_all(store.clone(), &codec, &bytes).await.unwrap();
    let names: Vec<&str> = infos.iter().map(|i| i.name.as_str()).collect();
    let name = "dump.pgc.zst.age";
    assert_eq!(
        names,
        [
            name.to_owned(),
            format!("{name}.0002"),
            format!("{name}.0003"),
            format!("{name}.0004")
        ]
    );
    assert!(infos.iter().take(3).all(|i| i.bytes == 3_000));
    assert_eq!(infos[0].raw_bytes, 10_500);
    let back = read_pieces(store.as_ref(), "d/run", &infos, Some(&identities), MIB)
        .await
        .unwrap();
    assert_eq!(back, bytes);
    assert_eq!(store.open_uploads(), 0);
}

#[tokio::test]
async fn a_small_object_is_one_put_that_never_overwrites() {
    let store = Arc::new(Flaky::new(Arc::new(Memory::new()), Vec::new()));
    let codec = Codec::default();
    let infos = store_all(store.clone(), &codec, b"hello").await.unwrap();
    assert_eq!((infos.len(), infos[0].bytes), (1, 5));
    assert_eq!(
        infos[0].sha256,
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    assert_eq!(store.calls(Operation::Begin), 0);
    let again = store_all(store, &codec, b"other").await.unwrap_err();
    assert_eq!(again.reason(), Reason::AlreadyExists);
}

#[tokio::test]
async fn any_failing_call_is_told_and_leaves_no_upload_open() {
    for operation in [Operation::Begin, Operation::UploadPart, Operation::Complete] {
        for call in 1..=2 {
            let memory = Arc::new(Memory::new());
            let faults = fault(operation, call, When::Before);
            let store = Arc::new(Flaky::new(memory.clone(), faults));
            let error = store_all(store, &Codec::default(), &noise(7_777))
                .await
                .unwrap_err();
            assert_eq!(
                error.reason(),
                Reason::StoreUnreachable,
                "{operation} {call}"
            );
            assert_eq!(memory.open_uploads(), 0, "{operation} {call}");
        }
    }
}

#[tokio::test]
async fn a_writer_that_is_dropped_gives_its_upload_up() {
    let memory = Arc::new(Memory::new());
    let codec = Codec::default();
    let role = ObjectRole::Dump;
    let mut writer = ObjectWriter::new(memory.clone(), "p", "d", role, &codec, SMALL).unwrap();
    writer.write(&noise(5_000)).await.unwrap();
    assert_eq!(memory.open_uploads(), 1);
    drop(writer);
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while memory.open_uploads() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn after_an_error_a_writer_takes_no_more() {
    let faults = fault(Operation::Begin, 1, When::Before);
    let store = Arc::new(Flaky::new(Arc::new(Memory::new()), faults));
    let codec = Codec::default();
    let role = ObjectRole::Dump;
    let mut writer = ObjectWriter::new(store, "p", "d", role, &codec, SMALL).unwrap();
    assert!(writer.write(&noise(2_000)).await.is_err());
    let error = writer.write(b"more").await.unwrap_err();
    assert!(matches!(error, CodecError::Broken(_)), "{error}");
    assert!(writer.finish().await.is_err());
}

#[tokio::test]
async fn what_was_changed_in_the_store_is_not_read() {
    let store = Arc::new(Memory::new());
    let codec = Codec::default();
    let infos = store_all(store.clone(), &codec, b"hello").await.unwrap();
    let put = crate::objects::PutMode::Overwrite;
    store
        .put("d/run/dump.pgc", "hullo".into(), put)
        .await
        .unwrap();
    let error = read_object(store.as_ref(), "d/run", &infos[0], None, MIB)
        .await
        .unwrap_err();
    assert!(matches!(error, CodecError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn without_the_right_identity_nothing_is_read() {
    let store = Arc::new(Memory::new());
    let (recipients, _) = key_pair();
    let codec = Codec {
        zstd: None,
        recipients: Some(recipients),
    };
    let infos = store_all(store.clone(), &codec, b"x").await.unwrap();
    let (_, other) = key_pair();
    let none = read_object(store.as_ref(), "d/run", &infos[0], None, MIB).await;
    assert!(matches!(none, Err(CodecError::IdentityNeeded(_))));
    let wrong = read_object(store.as_ref(), "d/run", &infos[0], Some(&other), MIB).await;
    assert!(matches!(wrong, Err(CodecError::WrongIdentity(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_goes_in_in_whatever_pieces_comes_out(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 0..12),
        zstd in proptest::option::of(1..4_i32),
        encrypt in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(Memory::new());
            let (recipients, identities) = key_pair();
            let codec = Codec { zstd, recipients: encrypt.then_some(recipients) };
            let role = ObjectRole::Dump;
            let mut writer =
                ObjectWriter::new(store.clone(), "p", "d", role, &codec, SMALL).unwrap();
            for chunk in &chunks {
                writer.write(chunk).await.unwrap();
            }
            let infos = writer.finish().await.unwrap();
            let back = read_pieces(store.as_ref(), "p", &infos, Some(&identities), MIB);
            assert_eq!(back.await.unwrap(), chunks.concat());
        });
    }
}
