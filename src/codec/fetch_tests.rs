//! A dump comes back to a disk whole, or not at all.

use age::secrecy::ExposeSecret;
use rstest::rstest;

use super::*;
use crate::codec::{Codec, Limits, ObjectWriter, Recipients};
use crate::manifest::ObjectRole;
use crate::objects::{Memory, PutMode};

/// No part ends where a range does.
const RANGE_BYTES: u64 = 50_000;
const PREFIX: &str = "shop/run";

struct Made {
    store: Arc<Memory>,
    pieces: Vec<ObjectInfo>,
    identities: Arc<Identities>,
    raw: Vec<u8>,
    dir: tempfile::TempDir,
}

async fn made(zstd: Option<i32>) -> Made {
    let identity = age::x25519::Identity::generate();
    let codec = Codec {
        zstd,
        recipients: Some(Recipients::parse(&[identity.to_public().to_string()]).unwrap()),
    };
    // Several ranges, in several pieces, and not compressible.
    let mut raw = vec![0_u8; 300_017];
    let mut state = 1_u64;
    for chunk in raw.chunks_mut(8) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
    }
    let store = Arc::new(Memory::new());
    let limits = Limits {
        part_bytes: 64 * 1024,
        parts_per_object: 2,
        parts_in_flight: 2,
    };
    let mut writer = ObjectWriter::new(
        store.clone(),
        PREFIX,
        "dump.pgc",
        ObjectRole::Dump,
        &codec,
        limits,
    )
    .unwrap();
    writer.write(&raw).await.unwrap();
    let pieces = writer.finish().await.unwrap();
    assert!(pieces.len() >= 2, "{}", pieces.len());
    let secret = identity.to_string();
    Made {
        store,
        pieces,
        identities: Arc::new(Identities::parse(secret.expose_secret()).unwrap()),
        raw,
        dir: tempfile::tempdir().unwrap(),
    }
}

impl Made {
    async fn fetch(&self) -> Result<u64, CodecError> {
        let file = self.dir.path().join("dump");
        let identities = Some(self.identities.clone());
        fetch_by(
            RANGE_BYTES,
            self.store.as_ref(),
            PREFIX,
            &self.pieces,
            identities,
            &file,
            &|_| {},
        )
        .await
    }

    async fn spoil(&self, at: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let key = join(PREFIX, &self.pieces[at].name);
        let mut bytes = self.store.get(&key, u64::MAX).await.unwrap().to_vec();
        change(&mut bytes);
        self.store
            .put(&key, bytes.into(), PutMode::Overwrite)
            .await
            .unwrap();
    }
}

#[rstest]
#[case::encrypted(None)]
#[case::compressed_and_encrypted(Some(1))]
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_pieces_comes_back_whole(#[case] zstd: Option<i32>) {
    let made = made(zstd).await;
    let bytes = made.fetch().await.unwrap();
    let file = std::fs::read(made.dir.path().join("dump")).unwrap();
    assert_eq!(bytes, crate::objects::size(made.raw.len()));
    assert!(file == made.raw, "another content");
}

#[rstest]
#[case::a_bit_flipped(|b: &mut Vec<u8>| { let at = b.len() / 2; b[at] ^= 1; }, "has SHA-256")]
#[case::cut(|b: &mut Vec<u8>| b.truncate(1000), "has 1000 bytes, the manifest says")]
#[case::emptied(|b: &mut Vec<u8>| b.clear(), "has 0 bytes")]
#[case::longer(|b: &mut Vec<u8>| b.push(0), "is longer than")]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_piece_is_named(
    #[case] change: fn(&mut Vec<u8>),
    #[case] what: &str,
    #[values(0, 1)] piece: usize,
) {
    let made = made(None).await;
    made.spoil(piece, change).await;
    let error = made.fetch().await.unwrap_err().to_string();
    assert!(error.contains(what), "{error}");
    assert!(error.contains(&made.pieces[piece].name), "{error}");
}

/// What comes out is what the manifest says, however it is read: its digest, and its bytes too.
#[rstest]
#[case::bytes(|piece: &mut ObjectInfo| piece.raw_bytes += 1, "300017 bytes, the manifest says 300018")]
#[case::fewer_than_nothing(|piece: &mut ObjectInfo| piece.raw_bytes = -1, "300017 bytes, the manifest says -1")]
#[case::a_digest(|piece: &mut ObjectInfo| piece.raw_sha256 = Some("5e".repeat(32)), "the manifest says 5e5e")]
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_the_manifest_says_is_damaged(
    #[case] change: fn(&mut ObjectInfo),
    #[case] what: &str,
) {
    let mut made = made(Some(1)).await;
    change(&mut made.pieces[0]);
    let fetched = made.fetch().await.unwrap_err().to_string();
    let (store, identities) = (made.store.as_ref(), made.identities.as_ref());
    let read = crate::codec::read_pieces(store, PREFIX, &made.pieces, Some(identities), 1 << 20);
    let read = read.await.unwrap_err().to_string();
    for error in [fetched, read] {
        assert!(
            error.contains(what) && error.contains(&made.pieces[0].name),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_another_backup_and_a_missing_one_are_named() {
    let (made, other) = (made(None).await, made(None).await);
    let name = &made.pieces[1].name;
    let foreign = other
        .store
        .get(&join(PREFIX, name), u64::MAX)
        .await
        .unwrap();
    let key = join(PREFIX, name);
    made.store
        .put(&key, foreign, PutMode::Overwrite)
        .await
        .unwrap();
    let error = made.fetch().await.unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
    made.store.delete(&key).await.unwrap();
    std::fs::remove_file(made.dir.path().join("dump")).unwrap();
    let error = made.fetch().await.unwrap_err().to_string();
    assert!(error.contains("it is not there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_or_none_is_told() {
    let mut made = made(None).await;
    let other = age::x25519::Identity::generate().to_string();
    made.identities = Arc::new(Identities::parse(other.expose_secret()).unwrap());
    assert!(matches!(
        made.fetch().await,
        Err(CodecError::WrongIdentity(_))
    ));
    let file = made.dir.path().join("dump");
    let error = fetch_by(
        RANGE_BYTES,
        made.store.as_ref(),
        PREFIX,
        &made.pieces,
        None,
        &file,
        &|_| {},
    )
    .await;
    assert!(matches!(error, Err(CodecError::IdentityNeeded(_))));
}
