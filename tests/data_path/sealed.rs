//! A backup taken apart, and put into a store again so that every digest and size fits.

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::codec::read_pieces;
use lifeboat::manifest::{Contents, MANIFEST, Manifest, ObjectInfo, ObjectRole};
use lifeboat::objects::{Memory, ObjectStore, join, put_new};
use lifeboat::postgres::{TocParser, witness};
use sha2::{Digest, Sha256};

use crate::custom_format::Dump;
use crate::runs::manifest;

/// Largest object of a test.
const MOST: u64 = 64 * 1024 * 1024;

/// A backup that is not encrypted, in its parts.
#[derive(Debug, Clone)]
pub struct Backup {
    pub manifest: Manifest,
    pub contents: Contents,
    pub globals: String,
    pub dump: Dump,
}

/// Its objects as they are stored.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub manifest: Manifest,
    pub objects: Vec<(String, Bytes)>,
}

impl Backup {
    pub async fn read(store: &dyn ObjectStore, prefix: &str) -> Self {
        let manifest = manifest(store, prefix).await.unwrap();
        let mut read = Vec::new();
        for role in [ObjectRole::Dump, ObjectRole::Globals, ObjectRole::Contents] {
            let all = manifest.objects.iter();
            let pieces: Vec<ObjectInfo> = all.filter(|o| o.role == role).cloned().collect();
            let bytes = read_pieces(store, prefix, &pieces, None, MOST).await;
            read.push(bytes.unwrap());
        }
        let dump = Dump::parse(&read[0]);
        assert!(dump.print() == *read[0] || Dump::parse(&dump.print()) == dump);
        Self {
            contents: serde_json::from_slice(&read[2]).unwrap(),
            globals: String::from_utf8(read[1].to_vec()).unwrap(),
            manifest,
            dump,
        }
    }

    /// contents.json says of the dump what stands in it.
    pub fn told(&mut self) {
        self.contents.entries.clear();
        self.contents.sequences.clear();
        let mut toc = TocParser::new();
        toc.push(&self.dump.print()).unwrap();
        witness::record(&mut self.contents, &toc.finish().unwrap()).unwrap();
    }

    /// Its objects, with a manifest that fits them.
    pub fn seal(&self) -> Sealed {
        let mut manifest = self.manifest.clone();
        let mut objects = Vec::new();
        for info in &mut manifest.objects {
            let raw = match info.role {
                ObjectRole::Dump => self.dump.print(),
                ObjectRole::Globals => self.globals.clone().into_bytes(),
                ObjectRole::Contents => serde_json::to_vec(&self.contents).unwrap(),
            };
            // From 16 on a dump is compressed inside.
            let stored = match info.name.ends_with(".zst") {
                true => zstd::encode_all(raw.as_slice(), 1).unwrap(),
                false => raw.clone(),
            };
            info.bytes = i64::try_from(stored.len()).unwrap();
            info.sha256 = hex(&stored);
            info.raw_bytes = i64::try_from(raw.len()).unwrap();
            info.raw_sha256 = Some(hex(&raw));
            if info.role == ObjectRole::Dump {
                manifest.counts.raw_bytes = info.raw_bytes;
            }
            objects.push((info.name.clone(), Bytes::from(stored)));
        }
        manifest.counts.stored_bytes = manifest.objects.iter().map(|o| o.bytes).sum();
        Sealed { manifest, objects }
    }
}

impl Sealed {
    /// A store with nothing else in it.
    pub async fn store(&self) -> Arc<dyn ObjectStore> {
        let store = Memory::new();
        let prefix = &self.manifest.prefix;
        for (name, bytes) in &self.objects {
            let key = join(prefix, name);
            put_new(&store, &key, bytes.clone()).await.unwrap();
        }
        let json = Bytes::from(self.manifest.to_json().unwrap());
        put_new(&store, &join(prefix, MANIFEST), json)
            .await
            .unwrap();
        Arc::new(store)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Chance that is the same for the same seed.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "nothing to choose from");
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Between 1 and 9, up or down.
    pub fn step(&mut self) -> i64 {
        let by = 1 + i64::try_from(self.below(9)).unwrap();
        if self.below(2) == 0 { by } else { -by }
    }

    /// The text with one letter or digit of it another.
    pub fn other(&mut self, text: &str) -> String {
        let places: Vec<usize> = text
            .char_indices()
            .filter(|(_, c)| c.is_ascii_alphanumeric())
            .map(|(at, _)| at)
            .collect();
        let at = *self.of(&places);
        let was = text.as_bytes()[at].to_ascii_lowercase();
        let letters: Vec<u8> = match was {
            b'0'..=b'9' => (b'0'..=b'9').collect(),
            _ => (b'a'..=b'z').collect(),
        };
        let letters: Vec<u8> = letters.into_iter().filter(|l| *l != was).collect();
        let is = char::from(*self.of(&letters));
        format!("{}{is}{}", &text[..at], &text[at + 1..])
    }

    /// As [`Self::other`], of hex digits.
    pub fn other_hex(&mut self, text: &str) -> String {
        let at = self.below(text.len());
        let was = u8::from_str_radix(&text[at..=at], 16).unwrap();
        let is = (usize::from(was) + 1 + self.below(15)) % 16;
        format!("{}{is:x}{}", &text[..at], &text[at + 1..])
    }
}
