//! P10: no path leads to `Passed` but the true one. One backup is spoiled at random, in hundreds of ways that a reader could
//! overlook, and sealed again so that every digest and size fits; none of them may prove anything.
//!
//! `LIFEBOAT_SEED=7 cargo test --test data_path mutations` spoils it in other ways; `make soak` in a thousand.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::{Beside, Proof};
use lifeboat::postgres::Silent;
use lifeboat::postgres::scratch::{Network, ScratchOrder, ScratchServer};
use lifeboat::work::archive::Archive;
use lifeboat::work::drill::{Place, run as drill};

use crate::drills::{Folders, drill_plan};
use crate::pg::host_bin;
use crate::sealed::Sealed;
use crate::spoil_cases::{Case, DAMAGES, Must, Sound, cases, sound};

/// How many are tried, unless `LIFEBOAT_MUTATIONS` says it: each at least once, then again with other seeds.
const MUTATIONS: u64 = 260;
/// Where the seeds begin, unless `LIFEBOAT_SEED` says it.
const SEED: u64 = 20_261_121;
/// Of the server, unless `LIFEBOAT_MAJOR` says it: the last whose dumps are not compressed inside.
const MAJOR: u64 = 15;

/// How it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    mutations: usize,
    pub seed: u64,
    pub major: i32,
}

impl Order {
    pub fn read() -> Self {
        let number = |name: &str, usual: u64| {
            let said = std::env::var_os(name).and_then(|value| value.into_string().ok());
            said.map_or(usual, |said| said.parse().unwrap())
        };
        Self {
            mutations: usize::try_from(number("LIFEBOAT_MUTATIONS", MUTATIONS)).unwrap(),
            seed: number("LIFEBOAT_SEED", SEED),
            major: i32::try_from(number("LIFEBOAT_MAJOR", MAJOR)).unwrap(),
        }
    }
}

impl Order {
    /// Not a soak, which tries so many that what is known without a server is not restored as well.
    fn usual(self) -> bool {
        u64::try_from(self.mutations).unwrap() <= MUTATIONS
    }
}

/// What it said, and whether it may.
pub struct Said {
    pub what: &'static str,
    reason: String,
    pub wrong: Option<String>,
    pub proof: Option<Proof>,
}

/// A drill waits more than it computes.
const WORKERS: usize = 4;
/// After so many it is told how far it is.
const PROGRESS: usize = 50;

/// Whether its parts contradict each other, or cannot be opened: a drill says so whatever it restores.
async fn contradicts(sealed: &Sealed) -> bool {
    let (store, at) = (sealed.store().await, &sealed.manifest.prefix);
    let Ok(archive) = Archive::open(store.as_ref(), at, None).await else {
        return true;
    };
    if !archive.contradictions().is_empty() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let fetched = archive.fetch(store.as_ref(), None, folder.path(), &Silent);
    let fetched = fetched.await;
    fetched.is_ok_and(|fetched| !fetched.contradictions.is_empty())
}

async fn said(case: Case, sound: &Sound, socket: PathBuf, major: i32) -> Said {
    let sealed = case.sealed(sound);
    if !case.whole && contradicts(&sealed).await {
        return Said {
            what: case.what,
            reason: "contradicts itself".to_owned(),
            wrong: None,
            proof: None,
        };
    }
    let folders = Folders::new();
    let store = sealed.store().await;
    let mut plan = drill_plan(store, &sealed.manifest.prefix, major, &folders);
    if !case.alone {
        plan.server = Place::Running(socket);
    }
    plan.accepted = crate::spoil_held::LOST.map(str::to_owned).into();
    let (mut lies, mut said) = (Vec::new(), None);
    let (reason, proved, damaged, shown) = match drill(&plan, &Silent).await {
        Err(failure) => (
            failure.reason().as_str().to_owned(),
            false,
            false,
            failure.to_string(),
        ),
        Ok(drilled) => {
            let proof = drilled.proof;
            let reason = format!("{}/{}", proof.result.as_str(), proof.reason);
            let damaged =
                (proof.result, proof.reason.as_str()) == (Verdict::Failed, "BackupDamaged");
            let shown = serde_json::to_string_pretty(&proof).unwrap();
            // Whatever a drill says, it says one thing.
            lies = proof.contradictions(&Beside {
                at: &sealed.manifest.prefix,
                run: &plan.run,
                manifest: Some((&sealed.manifest, &proof.backup.manifest_sha256)),
                now: lifeboat::work::clock::now(),
            });
            let proves = proof.proves;
            said = Some(proof);
            (reason, proves, damaged, shown)
        }
    };
    let right = match case.must {
        Must::Prove => proved && reason == "Passed/Succeeded",
        Must::NotProve => !proved && reason != "Passed/Succeeded",
        Must::BeDamaged => damaged,
    };
    let right = right && lies.is_empty();
    let name = &case.name;
    Said {
        what: case.what,
        wrong: (!right).then(|| format!("{}, {name}: {reason}\n{lies:?}\n{shown}", case.what)),
        reason,
        proof: said,
    }
}

/// Drills them all, at servers whose drills follow each other.
pub async fn drilled(sound: Sound, cases: Vec<Case>, major: i32) -> Vec<Said> {
    let scratch = ScratchOrder::of(&sound.backup.contents, &BTreeMap::new());
    let (sound, count) = (Arc::new(sound), cases.len());
    let queue = Arc::new(Mutex::new(VecDeque::from(cases)));
    let worker = |_| {
        let (sound, queue, scratch) = (sound.clone(), queue.clone(), scratch.clone());
        tokio::spawn(async move { worker(&sound, &queue, &scratch, major, count).await })
    };
    let workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    all
}

async fn worker(
    sound: &Sound,
    queue: &Mutex<VecDeque<Case>>,
    order: &ScratchOrder,
    major: i32,
    count: usize,
) -> Vec<Said> {
    let folders = Folders::new();
    let (data, socket) = (folders.volume(), folders.socket());
    let server = ScratchServer::start(&host_bin(major), order, &data, &socket, Network::Own).await;
    let server = server.unwrap();
    let mut all = Vec::new();
    let next = || {
        let mut queue = queue.lock().unwrap();
        let done = count - queue.len();
        if done > 0 && done.is_multiple_of(PROGRESS) {
            println!("{done} of {count}");
        }
        queue.pop_front()
    };
    while let Some(case) = next() {
        let said = said(case, sound, socket.clone(), major).await;
        if let Some(wrong) = &said.wrong {
            println!("{wrong}");
        }
        all.push(said);
    }
    server.stop().await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_no_path_leads_to_passed_but_the_true_one() {
    let order = Order::read();
    let Order { seed, major, .. } = order;
    println!("LIFEBOAT_SEED={seed} LIFEBOAT_MAJOR={major}");
    let sound = sound(major).await;
    let cases = cases(&sound, order.mutations, seed, order.usual());
    let all = drilled(sound, cases, major).await;

    let wrong: Vec<&str> = all.iter().filter_map(|s| s.wrong.as_deref()).collect();
    let meanings = table(&all);
    assert!(
        wrong.is_empty(),
        "LIFEBOAT_SEED={seed} LIFEBOAT_MAJOR={major}\n{}",
        wrong.join("\n\n")
    );
    for what in MEANINGS {
        assert!(meanings.get(what) >= Some(&1), "{what}: {meanings:#?}");
    }
    assert_eq!(meanings.len(), MEANINGS.len(), "{meanings:#?}");
    assert_eq!(meanings["object damaged"], DAMAGES);
    let spoiled = all.len() - DAMAGES - meanings["nothing"];
    assert_eq!(spoiled, order.mutations);
}

/// Prints what was tried and what was said of it, a line for each kind. Answers how often each was tried.
fn table(all: &[Said]) -> BTreeMap<&'static str, usize> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for said in all {
        let verdicts = kinds.entry(said.what).or_default();
        *verdicts.entry(&said.reason).or_insert(0) += 1;
    }
    let mut tried = BTreeMap::new();
    println!("| kind | tried | verdicts |\n|---|---|---|");
    for (what, verdicts) in kinds {
        let count = verdicts.values().sum();
        let words: Vec<String> = verdicts.iter().map(|(v, n)| format!("{v} {n}")).collect();
        println!("| {what} | {count} | {} |", words.join(", "));
        tried.insert(what, count);
    }
    println!("{} kinds, {} tried", tried.len(), all.len());
    tried
}

/// Everything that is changed.
const MEANINGS: [&str; 65] = [
    "ACL",
    "base",
    "beyond the filter",
    "bounds of a sequence",
    "collation",
    "columns",
    "comment",
    "count",
    "date",
    "default",
    "definition",
    "encryption",
    "entry added",
    "entry changed",
    "entry removed",
    "extension list",
    "extension object",
    "extension row",
    "format",
    "generated column",
    "generated values",
    "grant option",
    "grantor",
    "hash",
    "identity",
    "label",
    "large object",
    "left out",
    "line key",
    "literal",
    "major",
    "membership",
    "not null",
    "nothing",
    "object",
    "object damaged",
    "options of a function",
    "options of a view",
    "order of an enum",
    "order of columns",
    "owner",
    "place",
    "policy",
    "property of the database",
    "recipients",
    "refused setting",
    "relation",
    "replica identity",
    "role",
    "role attribute",
    "row doubled",
    "row missing",
    "row moved",
    "row security",
    "row value",
    "rows left out",
    "sequence",
    "setting",
    "source",
    "state of a trigger",
    "storage",
    "table added to contents",
    "table removed from contents",
    "tablespace",
    "version",
];
