//! What is there of a run: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use super::line::{Before, another_goes_first};
use crate::api::{
    Backup, BackupPolicy, BackupStore, MigrationApproval, MigrationRun, RestoreDrill, name,
};
use crate::backup::line::{awaits_migration, is_running, named};
use crate::cluster::seen::Admission;
use crate::cluster::{Caches, Context};
use crate::workload::SharedServers;

/// Gathers what deciding needs, but for the plan's document. `admission`: what was seen of the admission policies lately.
#[must_use]
pub fn observe(
    context: &Context,
    run: MigrationRun,
    admission: Admission,
    now: Timestamp,
) -> Observed {
    let namespace = run.namespace().unwrap_or_default();
    let uid = run.uid().unwrap_or_default();
    let caches = &context.caches;
    let policy: Option<BackupPolicy> =
        Caches::get(&caches.policies, &namespace, &run.spec.policy_ref.name);
    let store: Option<BackupStore> = policy
        .as_ref()
        .and_then(|p| Caches::get(&caches.stores, &namespace, &p.spec.store_ref.name));
    let jobs = context.jobs_of(&namespace, "migration", &uid, now);
    let running = run.status.as_ref().and_then(|s| s.running.as_ref());
    let job = running.and_then(|r| r.job_uid.as_ref());
    let gone = job.filter(|uid| jobs.iter().all(|job| job.uid != **uid));
    Observed {
        drill: Caches::get(&caches.drills, &namespace, &run.spec.drill_ref.name),
        gate_drills: gate_drills(caches, &namespace, &run),
        backups: backups(caches, &namespace, &run),
        approvals: approvals(caches, &namespace, &run),
        end: gone.and_then(|uid| context.ends.of(Some(&namespace), uid)),
        pods: context.pods_at_work(&namespace, "migration", &uid),
        first: first(context, &run),
        dumping: dumping(context, &run),
        namespace_terminating: context.is_terminating(&namespace, now),
        document: None,
        jobs,
        admission,
        policy,
        store,
        run,
    }
}

fn gate_drills(caches: &Caches, namespace: &str, run: &MigrationRun) -> Vec<RestoreDrill> {
    let gate = run.status.as_ref().and_then(|s| s.gate.as_ref());
    let named = gate.and_then(|g| g.drill.as_deref());
    let uid = run.uid();
    let all = caches.drills.state();
    let readable = all.iter().filter_map(|drill| drill.0.as_ref().ok());
    let here = readable.filter(|d| d.metadata.namespace.as_deref() == Some(namespace));
    here.filter(|drill| {
        let mut owners = drill.owner_references().iter();
        owners.any(|o| Some(&o.uid) == uid.as_ref()) || Some(drill.name_any().as_str()) == named
    })
    .cloned()
    .collect()
}

fn backups(caches: &Caches, namespace: &str, run: &MigrationRun) -> Vec<Backup> {
    let status = run.status.as_ref();
    let rounds = status.and_then(|s| s.attempts).map_or(0, |a| a.gate);
    let named = name::gate(&run.name_any(), rounds);
    let all = caches.backups.state();
    let readable = all.iter().filter_map(|backup| backup.0.as_ref().ok());
    let here = readable.filter(|b| b.metadata.namespace.as_deref() == Some(namespace));
    here.filter(|b| b.spec.policy_ref == run.spec.policy_ref || b.name_any() == named)
        .cloned()
        .collect()
}

fn approvals(caches: &Caches, namespace: &str, run: &MigrationRun) -> Vec<MigrationApproval> {
    let name = run.name_any();
    let all = caches.approvals.state();
    let readable = all.iter().filter_map(|approval| approval.0.as_ref().ok());
    let here = readable.filter(|a| a.metadata.namespace.as_deref() == Some(namespace));
    let ours =
        here.filter(|a| a.spec.run_ref.name == name && a.metadata.deletion_timestamp.is_none());
    ours.cloned().collect()
}

fn first(context: &Context, run: &MigrationRun) -> Option<Before> {
    let all = context.runs();
    let readable = all.iter().filter_map(|other| other.0.as_ref().ok());
    another_goes_first(run, &context.settings.shared_servers, readable)
}

/// A dump of the database through any policy of those that share its server: one that is on, or that waits for us (M17).
fn dumping(context: &Context, run: &MigrationRun) -> Option<String> {
    let scopes = context.scopes.each();
    scopes
        .iter()
        .find_map(|scope| dumped(&scope.caches, &context.settings.shared_servers, run))
}

fn dumped(caches: &Caches, shared: &SharedServers, run: &MigrationRun) -> Option<String> {
    let here = run.namespace();
    let all = caches.backups.state();
    let readable = all.iter().filter_map(|backup| backup.0.as_ref().ok());
    let mut readable =
        readable.filter(|b| shared.together(here.as_deref(), b.namespace().as_deref()));
    let of_it = |backup: &Backup| {
        let namespace = backup.namespace();
        let name = &backup.spec.policy_ref.name;
        if namespace == here && backup.spec.policy_ref == run.spec.policy_ref {
            return true;
        }
        let policy: Option<BackupPolicy> = Caches::get(
            &caches.policies,
            namespace.as_deref().unwrap_or_default(),
            name,
        );
        let policy = policy.as_ref().and_then(BackupPolicy::database);
        policy.is_some() && policy == run.database()
    };
    let on = |backup: &Backup| is_running(backup) || awaits_migration(backup);
    let backup = readable.find(|backup| on(backup) && of_it(backup))?;
    Some(named(backup, here.as_deref()))
}
