//! What holds of every decision, over a sweep of states: a settled world is left alone, nothing is named
//! that is not the object's own, and the conditions are what kstatus understands (K30).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use lifeboat::api::condition::{MAX_MESSAGE, is_true};
use lifeboat::api::health::Objectives;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::api::{LABEL_OWNER_UID, LABEL_POLICY_UID, REQUESTED_AT, Reason};
use lifeboat::cli::validate::schema::check;
use lifeboat::cluster::decision::{Decision, Effect, Next};
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{Retry, TaskResult};
use serde_json::Value;

use crate::alerts::drilled;
use crate::fixtures::{self, differs, ended, equal, failure, passed, probed, success};
use crate::worlds::{
    BackupWorld, DrillWorld, PolicyWorld, StoreWorld, World, after, now, running, waiting,
};

pub fn kstatus_is_whole<W: World>(status: &W::Status, runs: bool) {
    let conditions = W::conditions(status);
    let types: Vec<&str> = conditions.iter().map(|c| c.type_.as_str()).collect();
    let apart: BTreeSet<&str> = types.iter().copied().collect();
    assert_eq!(types.len(), apart.len(), "one of each: {types:?}");
    let needed = ["Ready", "Reconciling", "Stalled"];
    assert!(needed.iter().all(|t| apart.contains(t)), "{types:?}");
    let on = |type_: &str| is_true(conditions, type_);
    assert!(
        !(on("Stalled") && (on("Ready") || on("Reconciling"))),
        "{conditions:#?}"
    );
    for Condition {
        reason, message, ..
    } in conditions
    {
        assert!(
            Reason::parse(reason).is_some(),
            "{reason} is in no closed set"
        );
        // It may be empty, says the API: it is what an untrusted worker wrote.
        assert!(message.chars().count() <= MAX_MESSAGE, "{message}");
    }
    if runs {
        assert!(apart.contains("Complete") && apart.contains("Failed"));
        assert_eq!(on("Complete"), on("Ready"), "{conditions:#?}");
        assert!(!on("Failed") || on("Stalled"), "{conditions:#?}");
        assert!(!(on("Reconciling") && (on("Complete") || on("Failed"))));
        assert!(
            on("Reconciling") || on("Stalled") || on("Complete"),
            "{conditions:#?}"
        );
    }
}

/// A status that its own CRD refuses is never written, and the object stays as it was for ever.
pub fn fits_its_schema<W: World>(status: &W::Status) {
    static STATUSES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
        let of = |crd: CustomResourceDefinition| {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let status = schema["openAPIV3Schema"]["properties"]["status"].clone();
            (crd.spec.names.kind, status)
        };
        let crds = lifeboat::api::crds().into_iter();
        crds.map(|(_, crd)| of(crd)).collect()
    });
    let status = serde_json::to_value(status).unwrap();
    let findings = check(&STATUSES[W::KIND], &status, "status");
    assert!(findings.is_empty(), "{findings:#?}");
}

/// K28: what a person made stays.
fn names_only_its_own<W: World>(world: &W, decision: &Decision<W::Status>) {
    let meta = world.meta();
    let uid = meta.uid.as_ref().unwrap();
    for effect in &decision.effects {
        match effect {
            Effect::DeleteJob {
                namespace,
                name,
                uid: job,
            } => {
                let jobs = world.jobs();
                let known = jobs.iter().find(|j| j.uid == *job && j.name == *name);
                assert_eq!(known.map(|j| &j.owner_uid), Some(uid), "{name}");
                assert_eq!(Some(namespace), meta.namespace.as_ref());
            }
            Effect::CreateJob { job, owner_version } => {
                let owners = job.owner_references();
                assert_eq!(owners.len(), 1);
                assert!(owners[0].uid == *uid && owners[0].controller == Some(true));
                assert_eq!(Some(&owners[0].name), meta.name.as_ref());
                assert_eq!(job.labels().get(LABEL_OWNER_UID), Some(uid));
                assert_eq!(job.metadata.namespace, meta.namespace);
                assert_eq!(Some(owner_version), meta.resource_version.as_ref());
            }
            Effect::ApplyNetwork { policy } => {
                let owners = policy.owner_references();
                assert!(owners.len() == 1 && owners[0].uid == *uid);
                assert_eq!(policy.metadata.namespace, meta.namespace);
                let spec = policy.spec.as_ref().unwrap();
                let selected = spec.pod_selector.as_ref().unwrap();
                let labels = selected.match_labels.as_ref().unwrap();
                assert_eq!(labels.get(LABEL_OWNER_UID), Some(uid), "nobody else's pods");
            }
            Effect::DeleteNetwork { namespace, name } => {
                assert_eq!(Some(namespace), meta.namespace.as_ref());
                assert!(name.starts_with("lifeboat-drill-"), "{name}");
            }
            Effect::CreateBackup { backup, policy_uid } => {
                assert!(backup.owner_references().is_empty(), "K24");
                assert_eq!(
                    (policy_uid, Some(policy_uid)),
                    (uid, backup.labels().get(LABEL_POLICY_UID))
                );
                assert_eq!(
                    backup.labels().len(),
                    1,
                    "nothing is copied from the user's labels (K24)"
                );
                assert_eq!(backup.metadata.namespace, meta.namespace);
                assert_eq!(Some(&backup.spec.policy_ref.name), meta.name.as_ref());
            }
            // Of migrations only: tests/decisions/migrations.rs.
            Effect::CreateDrill { .. }
            | Effect::DeleteDrill { .. }
            | Effect::SetFinalizers { .. } => panic!("{effect:?}"),
        }
    }
}

/// Holds all laws against one world at one time, and along its way to rest.
fn lawful<W: World>(world: &W, time: Timestamp, runs: bool) {
    let left_alone = world.meta().deletion_timestamp.is_some();
    let mut world = world.clone();
    for _ in 0..8 {
        let decision = world.decide(time);
        assert_eq!(decision, world.decide(time), "a decision is a function");
        names_only_its_own(&world, &decision);
        if left_alone {
            assert!(decision.effects.is_empty());
        } else {
            kstatus_is_whole::<W>(&decision.status, runs);
            fits_its_schema::<W>(&decision.status);
        }
        if decision.effects.is_empty() && world.status() == Some(&decision.status) {
            at_rest(&world, &decision, time);
            return;
        }
        world.carry_out(&decision, time);
    }
    panic!("it does not settle: {world:#?}");
}

/// What rests is not written, asks for no look at once, and a moment later rests still.
fn at_rest<W: World>(world: &W, decision: &Decision<W::Status>, time: Timestamp) {
    let Next::At(next) = decision.next else {
        return;
    };
    assert!(next > time, "it would be looked at for ever: {decision:#?}");
    let between = time + next.duration_since(time) / 2;
    let again = world.decide(between);
    assert!(again.effects.is_empty(), "{:#?}", again.effects);
    assert_eq!(
        Some(&again.status),
        world.status(),
        "nothing happened, and it is written"
    );
}

fn states() -> Vec<Option<JobState>> {
    let figures = TaskResult {
        found_major: Some(16),
        ..failure(Reason::WrongMajor, Retry::Never)
    };
    let long = "x".repeat(5_000);
    vec![
        None,
        Some(waiting()),
        Some(JobState::Waiting {
            reason: Reason::Starting,
            why: long,
        }),
        Some(running()),
        Some(ended(None)),
        Some(ended(Some(success()))),
        Some(ended(Some(probed()))),
        Some(ended(Some(TaskResult::succeeded(String::new())))),
        Some(ended(Some(figures))),
        Some(ended(Some(boastful()))),
        Some(ended(Some(TaskResult {
            message: "y\n".repeat(5_000),
            ..failure(Reason::StoreUnreachable, Retry::Later)
        }))),
        Some(ended(Some(failure(Reason::SecretMissing, Retry::Never)))),
        Some(ended(Some(failure(Reason::StoreUnreachable, Retry::Later)))),
    ]
}

/// Whatever an untrusted worker may say of its success (K14).
fn boastful() -> TaskResult {
    let mut result = success();
    let figures = result.backup.as_mut().unwrap();
    figures.tables = -1;
    figures.rows = i64::MIN;
    figures.raw_bytes = i64::MIN;
    figures.server_version = "9".repeat(5_000);
    figures.database_name = "\u{1b}".repeat(5_000) + &"d".repeat(5_000);
    figures.lsn = Some("F".repeat(5_000));
    result
}

/// At once, within the deadlines, at each of them, and long after.
const TIMES: [i64; 5] = [0, 61, 900, 9_300, 90_000];

fn ask(meta: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) {
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(REQUESTED_AT.to_owned(), "now".to_owned());
}

#[test]
fn decisions_about_stores_are_lawful() {
    let changes: [fn(&mut StoreWorld); 5] = [
        |_| {},
        |w| ask(&mut w.0.store.metadata),
        |w| w.0.store.metadata.generation = Some(2),
        |w| w.0.store.spec.encryption.recipients.clear(),
        |w| w.0.store.metadata.deletion_timestamp = Some(Time(now())),
    ];
    for (before, then) in pairs() {
        for change in changes {
            let mut world = StoreWorld::new();
            change(&mut world);
            for time in TIMES {
                lawful(&world, after(time), false);
            }
            let mut world = StoreWorld::new();
            for state in [&before, &then].into_iter().flatten() {
                world.look(now());
                if let Some(job) = world.0.probe_job.as_mut() {
                    job.state = state.clone();
                }
            }
            change(&mut world);
            for time in TIMES {
                lawful(&world, after(time), false);
            }
        }
    }
}

/// What only a drill's worker says, and whatever an untrusted one may say of it.
fn verdicts() -> Vec<Option<JobState>> {
    let mut boast = equal();
    boast.score = Some(i32::MIN);
    boast.backup = Some("\u{1b}".repeat(5_000));
    boast.prefix = Some("p/".repeat(5_000));
    boast.mismatches = vec!["x".repeat(5_000); 50];
    boast.isolated = Some(false);
    let rto = boast.rto.as_mut().unwrap();
    (rto.total, rto.fetch) = (i64::MIN, -1);
    let tables = boast.tables.as_mut().unwrap();
    (tables.compared, tables.equal) = (-1, i64::MIN);
    let boast = TaskResult {
        drill: Some(boast),
        ..TaskResult::succeeded("x")
    };
    let own = [passed(), differs(), boast].map(|r| Some(ended(Some(r))));
    own.into_iter().chain(states()).collect()
}

#[test]
fn decisions_about_drills_are_lawful() {
    let changes: [fn(&mut DrillWorld); 11] = [
        |_| {},
        |w| ask(&mut w.0.drill.metadata),
        |w| w.0.drill.spec.suspend = Some(true),
        |w| w.0.drill.spec.schedule = None,
        |w| w.0.drill.spec.deadline = Some("soon".to_owned()),
        |w| w.0.policy = None,
        |w| w.0.store = None,
        |w| w.0.first = Some("another".to_owned()),
        |w| w.0.has_backup = false,
        |w| w.0.drill.metadata.deletion_timestamp = Some(Time(now())),
        |w| {
            let status = w.0.drill.status.get_or_insert_default();
            status.last_schedule_time = Some(after(5_000_000));
        },
    ];
    for new in [DrillWorld::scheduled, DrillWorld::once] {
        for first in verdicts().into_iter().step_by(3) {
            for second in verdicts() {
                let mut world = new();
                for (day, state) in [&first, &second].into_iter().flatten().enumerate() {
                    world.look(after(i64::try_from(day).unwrap() * 86_400));
                    if world.status().is_some_and(|s| s.running.is_some()) {
                        world.job_is(state.clone());
                    }
                    world.look(after(i64::try_from(day).unwrap() * 86_400));
                }
                for change in changes {
                    let mut world = world.clone();
                    change(&mut world);
                    for time in [0, 900, 17_000, 90_000] {
                        lawful(&world, after(time), false);
                    }
                }
            }
        }
    }
}

fn pairs() -> Vec<(Option<JobState>, Option<JobState>)> {
    let first = [
        None,
        Some(running()),
        Some(ended(None)),
        Some(ended(Some(probed()))),
    ];
    let pairs = first
        .into_iter()
        .flat_map(|before| states().into_iter().map(move |then| (before.clone(), then)));
    pairs.collect()
}

#[test]
fn decisions_about_policies_are_lawful() {
    let changes: [fn(&mut PolicyWorld); 9] = [
        |_| {},
        |w| {
            let rpo = Some("1h".to_owned());
            w.0.policy.spec.objectives = Some(Objectives { rpo, rto: None });
            let days = ["2026-11-01T02:00:00Z", "2026-11-01T03:00:00Z"];
            for verdict in [Verdict::Passed, Verdict::Failed, Verdict::Inconclusive] {
                let name = verdict.as_str().to_lowercase();
                let drill = drilled(&name, verdict, days[0], days[1]);
                w.0.drills.push(drill);
            }
        },
        |w| ask(&mut w.0.policy.metadata),
        |w| w.0.policy.spec.suspend = Some(true),
        |w| w.0.policy.spec.time_zone = Some("Mars/Olympus".to_owned()),
        |w| w.0.policy.spec.tiers.clear(),
        |w| w.0.store = None,
        |w| w.0.policy.metadata.deletion_timestamp = Some(Time(now())),
        |w| {
            w.0.backups
                .push(fixtures::manual("mine", "2026-11-21T01:00:00Z"))
        },
    ];
    for check in states().into_iter().step_by(2) {
        for backup in states() {
            let mut run = BackupWorld::scheduled();
            run.look(now());
            if let Some(state) = backup {
                run.job_is(state);
            }
            run.look(now());
            for change in changes {
                let mut world = PolicyWorld::new();
                world.look(now());
                if let (Some(job), Some(state)) = (world.0.check_job.as_mut(), &check) {
                    job.state = state.clone();
                }
                world.0.backups = vec![run.seen.backup.clone()];
                change(&mut world);
                for time in [0, 9_300, 90_000] {
                    lawful(&world, after(time), false);
                }
            }
        }
    }
}

#[test]
fn decisions_about_backups_are_lawful() {
    let changes: [fn(&mut BackupWorld); 9] = [
        |_| {},
        |w| w.policy().spec.suspend = Some(true),
        |w| w.policy().spec.time_zone = Some("Mars/Olympus".to_owned()),
        |w| w.policy().metadata.uid = Some("another".to_owned()),
        |w| w.seen.policy = None,
        |w| w.seen.store = None,
        |w| w.seen.others_running = true,
        |w| w.seen.backup.metadata.deletion_timestamp = Some(Time(now())),
        |w| {
            let name = w.seen.backup.name_any();
            let status = w.policy().status.get_or_insert_default();
            status.last_requested_at = Some("now".to_owned());
            status.retried = Some(name);
        },
    ];
    let manual = || BackupWorld::of(fixtures::manual("mine", "2026-11-21T02:00:00Z"));
    for new in [BackupWorld::scheduled, manual] {
        for first in states().into_iter().step_by(2) {
            for second in states() {
                let mut world = new();
                for state in [&first, &second].into_iter().flatten() {
                    world.look(now());
                    world.job_is(state.clone());
                }
                for change in changes {
                    let mut world = world.clone();
                    change(&mut world);
                    for time in TIMES {
                        lawful(&world, after(time), true);
                    }
                }
            }
        }
    }
}
