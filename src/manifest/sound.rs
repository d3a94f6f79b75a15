//! Whether a manifest agrees with itself and with its place in the bucket: what can be told without a server and without
//! a key. Pure. [`super::held`] lists what each field is held against.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Manifest, ObjectRole, ProofDifference};
use crate::api::backup::BackupReason;
use crate::api::name::run_prefix;
use crate::api::rules::major_of;

/// Two machines whose clocks agree less than this have told the truth nevertheless: nobody is blamed for a clock.
pub const CLOCKS: SignedDuration = SignedDuration::from_hours(24);
/// Hex digits of a SHA-256.
const SHA256: usize = 64;
/// The only engine that there is.
const ENGINE: &str = "PgDump";

/// Where documents contradict each other: what was said first, and what stands against it.
#[derive(Debug, Default)]
pub struct Lies {
    document: &'static str,
    found: Vec<ProofDifference>,
}

impl Lies {
    /// Those of a document.
    #[must_use]
    pub fn of(document: &'static str) -> Self {
        Self {
            document,
            found: Vec::new(),
        }
    }

    /// `says` should be what is known from elsewhere.
    pub fn differs(&mut self, object: &str, says: impl ToString, is: impl ToString) {
        let (expected, found) = (says.to_string(), is.to_string());
        if expected != found {
            self.found.push(ProofDifference {
                what: self.document.to_owned(),
                object: object.to_owned(),
                expected,
                found,
            });
        }
    }

    /// Something that must hold, in words.
    pub fn must(&mut self, holds: bool, object: &str, says: impl ToString, rule: &str) {
        if !holds {
            self.found.push(ProofDifference {
                what: self.document.to_owned(),
                object: object.to_owned(),
                expected: says.to_string(),
                found: rule.to_owned(),
            });
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<ProofDifference> {
        self.found
    }
}

/// Whether a text can be a hash of so many digits, as a backup writes it: another spelling of the same number is none.
#[must_use]
pub fn is_hash(text: &str, digits: usize) -> bool {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(digit)
}

/// The last part of a path.
#[must_use]
pub fn last_of(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether a folder's name is that of an attempt: `20261121T020000Z-0123456789ab`.
#[must_use]
pub fn is_run(name: &str) -> bool {
    let Some((due, pod)) = name.split_once('-') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    due.len() == 16
        && due.ends_with('Z')
        && due.get(..8).is_some_and(digits)
        && due.get(8..9) == Some("T")
        && due.get(9..15).is_some_and(digits)
        && pod.len() == 12
        && pod.bytes().all(|b| b.is_ascii_hexdigit())
}

/// No more than so much later than another machine's clock.
pub(super) fn late(time: Timestamp, limit: Timestamp) -> bool {
    time.duration_since(limit) > CLOCKS
}

impl Manifest {
    /// Where it contradicts itself or the folder `at` in which it lies. `now` is the reader's clock.
    #[must_use]
    pub fn contradictions(&self, at: &str, now: Timestamp) -> Vec<ProofDifference> {
        let mut lies = Lies::of("manifest");
        self.place(at, &mut lies);
        self.times(now, &mut lies);
        self.server(&mut lies);
        self.base(&mut lies);
        self.sums(&mut lies);
        self.digests(&mut lies);
        lies.all()
    }

    /// Who made it, why, and where it lies.
    fn place(&self, at: &str, lies: &mut Lies) {
        let prefix = run_prefix(&self.directory, self.due, &self.pod_uid);
        lies.differs("prefix", &self.prefix, prefix);
        // A copy may lie in another directory, and be called anything that is no run.
        let folder = last_of(at);
        if is_run(folder) {
            lies.differs("folder", last_of(&self.prefix), folder);
        }
        let policy = self.policy.is_empty();
        for (name, value) in [
            ("namespace", &self.namespace),
            ("policyUid", &self.policy_uid),
        ] {
            let rule = "the policy says otherwise";
            lies.must(value.is_empty() == policy, name, value, rule);
        }
        let manual = self.reason == BackupReason::Manual;
        let reason = format!("{:?}", self.reason);
        lies.must(manual || !policy, "reason", reason, "no policy");
        let tiers = self.tiers.join(", ");
        lies.must(
            self.tiers.is_empty() || !policy,
            "tiers",
            tiers,
            "no policy",
        );
        lies.differs("engine", &self.engine, ENGINE);
    }

    fn times(&self, now: Timestamp, lies: &mut Lies) {
        let (began, ended) = (self.started_at, self.finished_at);
        let ordered = began <= ended;
        lies.must(
            ordered,
            "startedAt",
            began,
            &format!("after finishedAt {ended}"),
        );
        let rule = format!("not between startedAt {began} and finishedAt {ended}");
        // A standby may have replayed nothing for a long time.
        let after = self.base.in_recovery || !late(began, self.data_at);
        let between = after && !late(self.data_at, ended);
        lies.must(between, "dataAt", self.data_at, &rule);
        let rule = format!("long after startedAt {began}");
        lies.must(!late(self.due, began), "due", self.due, &rule);
        let rule = format!("in the future: it is {now}");
        lies.must(!late(ended, now), "finishedAt", ended, &rule);
        lies.must(!late(began, now), "startedAt", began, &rule);
    }

    fn server(&self, lies: &mut Lies) {
        let server = &self.server;
        let major = major_of(&server.version);
        let rule = format!("the server is of version {}", server.version);
        let same = major == Some(server.major);
        lies.must(same, "major of the server", server.major, &rule);
        // No pg_dump reads a server that is newer than itself.
        let version = &server.pg_dump_version;
        let able = major_of(version) >= Some(server.major);
        let rule = format!("it reads no server of {}", server.major);
        lies.must(able, "version of pg_dump", version, &rule);
        let named = !server.database.is_empty();
        lies.must(named, "database", "", "every database has a name");
        let bytes = server.database_bytes;
        lies.must(
            bytes >= 0,
            "databaseBytes",
            bytes,
            "no database is that small",
        );
    }

    /// Transaction ids and positions, as far as they order each other (G32).
    fn base(&self, lies: &mut Lies) {
        let base = &self.base;
        let position = &base.position;
        let rule = "a snapshot is recorded, or said to be too large";
        let one = base.not_a_base == base.snapshot.is_none();
        lies.must(one, "base.notABase", base.not_a_base, rule);
        let rule = "a standby gives out no transaction ids, any other server does";
        let one = base.in_recovery == position.next_xid.is_none();
        lies.must(one, "base.inRecovery", base.in_recovery, rule);
        let halves = position.lsn.split_once('/');
        let hex = |text: &str| u32::from_str_radix(text, 16).is_ok();
        let lsn = halves.is_some_and(|(high, low)| hex(high) && hex(low));
        lies.must(
            lsn,
            "base.position.lsn",
            &position.lsn,
            "no position in a log",
        );
        let Some(ids) = &base.snapshot else { return };
        let number = |text: &str| text.parse::<u64>().ok();
        let (xmin, xmax) = (number(&ids.xmin), number(&ids.xmax));
        let says = format!("xmin {}, xmax {}", ids.xmin, ids.xmax);
        let ordered = xmin.is_some() && xmin <= xmax;
        lies.must(
            ordered,
            "base.snapshot",
            says,
            "xmin is not larger than xmax",
        );
        let outside = ids.xip.iter().find(|xid| {
            let xid = number(xid);
            xid.is_none() || xid < xmin || xid >= xmax
        });
        if let Some(xid) = outside {
            lies.must(false, "base.snapshot.xip", xid, "not between xmin and xmax");
        }
        if let Some(next) = &position.next_xid {
            // It was asked for before the snapshot was taken.
            let before = number(next).is_some() && number(next) <= xmax;
            let rule = format!("the snapshot's xmax is {}", ids.xmax);
            lies.must(before, "base.position.nextXid", next, &rule);
        }
    }

    /// What it adds up of its objects.
    fn sums(&self, lies: &mut Lies) {
        let sum = |role: Option<ObjectRole>, of: fn(&super::ObjectInfo) -> i64| {
            let objects = self.objects.iter();
            let wanted = objects.filter(|o| role.is_none_or(|role| o.role == role));
            wanted.map(of).fold(0_i64, i64::saturating_add)
        };
        let stored = sum(None, |o| o.bytes);
        lies.differs("stored bytes", self.counts.stored_bytes, stored);
        let raw = sum(Some(ObjectRole::Dump), |o| o.raw_bytes);
        lies.differs("bytes of the dump", self.counts.raw_bytes, raw);
        let age = self.objects.iter().all(|o| o.name.contains(".age"));
        let is = if age { "age" } else { "none" };
        // Of nothing nobody can tell how it is encrypted.
        if !self.objects.is_empty() {
            lies.differs("encryption", &self.encryption.method, is);
        }
        let nobody = self.encryption.recipients.is_empty();
        let rule = format!("it is encrypted by {}", self.encryption.method);
        let keys = self.encryption.recipients.join(", ");
        let one = nobody == (self.encryption.method == "none");
        lies.must(one, "recipients", keys, &rule);
        let mut names = BTreeSet::new();
        for object in &self.objects {
            let base = match object.role {
                ObjectRole::Dump => "dump.pgc",
                ObjectRole::Globals => "globals.sql",
                ObjectRole::Contents => super::CONTENTS,
            };
            let role = format!("{:?}", object.role);
            let suits = object.name.starts_with(base);
            lies.must(suits, &object.name, role, "another file");
            let once = names.insert(&object.name);
            lies.must(once, &object.name, "twice", "once");
        }
    }

    /// Its digests can be some. Whether they are those of the objects, the objects say.
    fn digests(&self, lies: &mut Lies) {
        let mut roles = Vec::new();
        for object in &self.objects {
            let sha256 = &object.sha256;
            let rule = "no SHA-256: 64 hex digits";
            lies.must(is_hash(sha256, SHA256), &object.name, sha256, rule);
            let raw = object.raw_sha256.as_deref();
            let real = raw.is_none_or(|raw| is_hash(raw, SHA256));
            lies.must(real, &object.name, raw.unwrap_or_default(), rule);
            // That of the whole stands on its first piece.
            let first = !roles.contains(&object.role);
            let there = raw.is_some() || !first;
            let rule = "its content has a digest too";
            lies.must(there, &object.name, "none", rule);
            roles.push(object.role);
        }
    }
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
