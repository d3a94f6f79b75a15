//! Carries out effects, in order; stops at the first that fails. Each is idempotent.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};

use super::context::Context;
use super::decision::{Effect, Notice};
use super::fault::Fault;
use crate::api::visible::visible;
use crate::api::{
    Backup, BackupPolicy, BackupStore, FIELD_MANAGER, LABEL_POLICY_UID, LABEL_TASK, MigrationRun,
    Reason, RestoreDrill, TASK_SHA256,
};
use crate::workload::ours::is_ours;

/// Carries out the effects. Answers what people must hear of besides the decision's own notices.
///
/// # Errors
/// The first [`Fault`].
pub async fn act(context: &Context, effects: &[Effect]) -> Result<Vec<Notice>, Fault> {
    let mut heard = Vec::new();
    for effect in effects {
        match effect {
            Effect::CreateBackup { backup, policy_uid } => {
                heard.extend(create_backup(context, backup, policy_uid).await?);
            }
            Effect::CreateDrill { drill } => create_drill(context, drill).await?,
            Effect::DeleteDrill {
                namespace,
                name,
                uid,
            } => delete_drill(context, namespace, name, uid).await?,
            Effect::SetFinalizers {
                namespace,
                name,
                version,
                finalizers,
            } => set_finalizers(context, (namespace, name), version, finalizers).await?,
            Effect::CreateJob { job, owner_version } => {
                create_job(context, job, owner_version).await?;
            }
            Effect::ApplyNetwork { policy } => apply_network(context, policy).await?,
            Effect::DeleteNetwork { namespace, name } => {
                delete_network(context, namespace, name).await?;
            }
            Effect::DeleteJob {
                namespace,
                name,
                uid,
            } => delete_job(context, namespace, name, uid).await?,
        }
    }
    Ok(heard)
}

fn create_params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// A Backup of that name which is not this policy's does not wedge the policy: its due time passes,
/// loudly.
async fn create_backup(
    context: &Context,
    backup: &Backup,
    policy_uid: &str,
) -> Result<Option<Notice>, Fault> {
    let namespace = backup.namespace().unwrap_or_default();
    let name = backup.name_any();
    let api: Api<Backup> = Api::namespaced(context.client.clone(), &namespace);
    let created = context
        .call("create", "Backup", api.create(&create_params(), backup))
        .await;
    match created {
        Ok(_) => {
            tracing::info!(namespace, name, "created a Backup");
            Ok(None)
        }
        Err(Fault::Exists { .. }) => {
            let there = context
                .call("get", "Backup", api.get_metadata(&name))
                .await?;
            if there.labels().get(LABEL_POLICY_UID).map(String::as_str) == Some(policy_uid) {
                return Ok(None);
            }
            Ok(Some(Notice {
                warning: true,
                reason: Reason::NameCollision,
                message: format!(
                    "Backup {name} exists and is not of this policy, so this due time was not \
                     backed up; rename or delete that object"
                ),
            }))
        }
        Err(fault) => Err(note_terminating(context, &namespace, fault)),
    }
}

async fn create_job(context: &Context, job: &Job, owner_version: &str) -> Result<(), Fault> {
    let namespace = job.namespace().unwrap_or_default();
    let name = job.name_any();
    if job.annotations().get(TASK_SHA256).is_none() {
        return Err(Fault::TaskTooLong(name));
    }
    let owner = job.owner_references().first().cloned().unwrap_or_default();
    let live = owner_now(context, &namespace, &owner).await?;
    if live != (owner.uid.clone(), owner_version.to_owned()) {
        return Err(Fault::Stale(format!(
            "{} {} has another resourceVersion than was looked at",
            owner.kind, owner.name
        )));
    }
    let api: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    let created = context
        .call("create", "Job", api.create(&create_params(), job))
        .await;
    match created {
        Ok(_) => {
            tracing::info!(namespace, name, "created a Job");
            context.metrics.job_created(&owner.kind);
            Ok(())
        }
        Err(Fault::Exists { .. }) => {
            let there = context.call("get", "Job", api.get(&name)).await?;
            let task = job.labels().get(LABEL_TASK).map(String::as_str);
            if is_ours(&there, task.unwrap_or_default(), &owner.uid) {
                return Ok(());
            }
            let made = made(&there.metadata);
            Err(Fault::NameCollision {
                kind: "Job",
                name,
                made,
            })
        }
        Err(fault) => Err(note_terminating(context, &namespace, fault)),
    }
}

/// With what and when an object was made, as the API server wrote it down: the first entry of its fields' managers.
fn made(meta: &ObjectMeta) -> String {
    let entries = meta.managed_fields.iter().flatten();
    let first = entries.min_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    let with = first.and_then(|entry| entry.manager.as_deref());
    let at = meta.creation_timestamp.as_ref().map(|time| time.0);
    match (with, at) {
        (Some(with), Some(at)) => {
            // Whoever made it chose this text.
            let with: String = visible(with, false).chars().take(60).collect();
            format!(", made with {with} at {at}")
        }
        (None, Some(at)) => format!(", made at {at}"),
        _ => String::new(),
    }
}

/// Uid and resourceVersion of the owner as they stand in the API server, not in a cache (K16).
async fn owner_now(
    context: &Context,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<(String, String), Fault> {
    match owner.kind.as_str() {
        "Backup" => versions::<Backup>(context, namespace, &owner.name, "Backup").await,
        "BackupPolicy" => {
            versions::<BackupPolicy>(context, namespace, &owner.name, "BackupPolicy").await
        }
        "RestoreDrill" => {
            versions::<RestoreDrill>(context, namespace, &owner.name, "RestoreDrill").await
        }
        "MigrationRun" => {
            versions::<MigrationRun>(context, namespace, &owner.name, "MigrationRun").await
        }
        _ => versions::<BackupStore>(context, namespace, &owner.name, "BackupStore").await,
    }
}

async fn versions<K>(
    context: &Context,
    namespace: &str,
    name: &str,
    kind: &'static str,
) -> Result<(String, String), Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    let live = context.call("get", kind, api.get_metadata(name)).await?;
    Ok((
        live.uid().unwrap_or_default(),
        live.resource_version().unwrap_or_default(),
    ))
}

/// The one place that deletes Jobs: in the background, so that the pod goes too, and only the very
/// one that was seen (K5).
async fn delete_job(
    context: &Context,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<(), Fault> {
    let api: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    match context
        .call("delete", "Job", api.delete(name, &params))
        .await
    {
        // Gone already, or another one of that name: in both cases ours is no more.
        Ok(_) | Err(Fault::Gone { .. } | Fault::Stale(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// A drill that its owner needs once; it goes with the owner, if nobody deletes it before.
async fn create_drill(context: &Context, drill: &RestoreDrill) -> Result<(), Fault> {
    let namespace = drill.namespace().unwrap_or_default();
    let name = drill.name_any();
    let api: Api<RestoreDrill> = Api::namespaced(context.client.clone(), &namespace);
    let params = create_params();
    let created = api.create(&params, drill);
    match context.call("create", "RestoreDrill", created).await {
        Ok(_) => {
            tracing::info!(namespace, name, "created a RestoreDrill");
            Ok(())
        }
        Err(Fault::Exists { .. }) => {
            let there = context
                .call("get", "RestoreDrill", api.get_metadata(&name))
                .await?;
            let owner = drill.owner_references().first().map(|o| &o.uid);
            let mut owners = there.owner_references().iter();
            match owners.any(|o| o.controller == Some(true) && Some(&o.uid) == owner) {
                true => Ok(()),
                false => Err(Fault::NameCollision {
                    kind: "RestoreDrill",
                    name,
                    made: made(&there.metadata),
                }),
            }
        }
        Err(fault) => Err(note_terminating(context, &namespace, fault)),
    }
}

async fn delete_drill(
    context: &Context,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<(), Fault> {
    let api: Api<RestoreDrill> = Api::namespaced(context.client.clone(), namespace);
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    let deleted = api.delete(name, &params);
    match context.call("delete", "RestoreDrill", deleted).await {
        Ok(_) | Err(Fault::Gone { .. } | Fault::Stale(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Only what a change of finalizers may say.
#[derive(Debug, serde::Serialize)]
struct Finalizers<'a> {
    metadata: FinalizersMeta<'a>,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct FinalizersMeta<'a> {
    resource_version: &'a str,
    finalizers: &'a [String],
}

async fn set_finalizers(
    context: &Context,
    (namespace, name): (&str, &str),
    version: &str,
    finalizers: &[String],
) -> Result<(), Fault> {
    let api: Api<MigrationRun> = Api::namespaced(context.client.clone(), namespace);
    let metadata = FinalizersMeta {
        resource_version: version,
        finalizers,
    };
    let patch = Patch::Merge(Finalizers { metadata });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = api.patch_metadata(name, &params, &patch);
    match context.call("patch", "MigrationRun", patched).await {
        // Another resourceVersion from here on: a status that differs is written by the next look.
        Ok(_) | Err(Fault::Gone { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

async fn apply_network(context: &Context, policy: &NetworkPolicy) -> Result<(), Fault> {
    let namespace = policy.namespace().unwrap_or_default();
    let api: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), &namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(policy);
    let name = policy.name_any();
    let applied = api.patch(&name, &params, &patch);
    match context.call("apply", "NetworkPolicy", applied).await {
        Ok(_) => Ok(()),
        Err(fault) => Err(note_terminating(context, &namespace, fault)),
    }
}

async fn delete_network(context: &Context, namespace: &str, name: &str) -> Result<(), Fault> {
    let api: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), namespace);
    let params = DeleteParams::background();
    let deleted = api.delete(name, &params);
    match context.call("delete", "NetworkPolicy", deleted).await {
        Ok(_) | Err(Fault::Gone { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

fn note_terminating(context: &Context, namespace: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Terminating(_) => {
            context.note_terminating(namespace);
            Fault::Terminating(namespace.to_owned())
        }
        other => other,
    }
}
