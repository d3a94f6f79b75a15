//! Writes status and Events, and nothing when nothing changed.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::{Context, lock};
use super::decision::{Decision, Next, Notice};
use super::fault::Fault;
use crate::api::FIELD_MANAGER;
use crate::api::name::{fit, hash_hex};

/// Longest note of an Event in bytes, by the API.
const MAX_NOTE: usize = 1_000;
/// Longest name of an object that leaves room for a time in the name of its Event.
const MAX_NAME: usize = 236;
/// Never sleep longer: clocks jump, and looking costs nothing.
const LONGEST_SLEEP: std::time::Duration = std::time::Duration::from_secs(300);

/// Only what a status apply may say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusApply<'a, S> {
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    status: &'a S,
}

/// Writes the decided status whole, with the resourceVersion it was decided on, if it differs; then
/// the Events, if anything was done or written. Answers whether the status was written.
///
/// # Errors
/// [`Fault::Stale`] when the object changed meanwhile; others as the API server says.
pub async fn report<K>(
    context: &Context,
    object: &K,
    decision: &Decision<K::Status>,
    heard: &[Notice],
) -> Result<bool, Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
    K: Clone + std::fmt::Debug + DeserializeOwned,
    K::Status: Serialize + PartialEq + std::fmt::Debug,
{
    let differs = object.status() != Some(&decision.status);
    if differs {
        write_status(context, object, &decision.status).await?;
    }
    if differs || !decision.effects.is_empty() {
        for notice in decision.notices.iter().chain(heard) {
            tell(context, object, notice).await;
        }
    }
    Ok(differs)
}

async fn write_status<K>(context: &Context, object: &K, status: &K::Status) -> Result<(), Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
    K: Clone + std::fmt::Debug + DeserializeOwned,
    K::Status: Serialize + std::fmt::Debug,
{
    let kind = kind_of::<K>();
    if lock(&context.outdated).contains(&kind) {
        return Err(Fault::CrdOutdated {
            kind,
            message: "found out earlier; upgrade the CRDs and restart the operator".to_owned(),
        });
    }
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace);
    let apply = StatusApply {
        api_version: K::api_version(&()).into_owned(),
        kind: kind.to_owned(),
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace),
            uid: object.uid(),
            resource_version: object.resource_version(),
            ..ObjectMeta::default()
        },
        status,
    };
    let mut params = PatchParams::apply(FIELD_MANAGER).force();
    params.field_validation = Some(ValidationDirective::Strict);
    let patch = Patch::Apply(&apply);
    let written = context
        .call("status", kind, api.patch_status(&name, &params, &patch))
        .await;
    if let Err(Fault::CrdOutdated { message, .. }) = &written {
        let mut outdated = lock(&context.outdated);
        if !outdated.contains(&kind) {
            outdated.push(kind);
            context.metrics.crd_outdated(kind);
            tracing::error!(kind, "the CRD is older than this operator: {message}");
        }
    }
    written.map(|_| ())
}

/// Writes one Event. One that cannot be written is logged: nothing depends on it.
pub async fn tell<K>(context: &Context, object: &K, notice: &Notice)
where
    K: Resource<DynamicType = ()>,
{
    let note: String = notice.message.chars().take(MAX_NOTE / 4).collect();
    let note = match notice.message.len() <= MAX_NOTE {
        true => notice.message.clone(),
        false => note,
    };
    let event = Event {
        type_: match notice.warning {
            true => EventType::Warning,
            false => EventType::Normal,
        },
        reason: notice.reason.as_str().to_owned(),
        // The recorder counts what has one action and one reason as one Event, with the first note: another note is another.
        action: format!("Reconcile-{}", hash_hex(&[note.as_str()], 8)),
        note: Some(note),
        secondary: None,
    };
    let subject = object.object_ref(&());
    let published = match subject.name.as_ref().is_some_and(|n| n.len() > MAX_NAME) {
        true => {
            context
                .call("create", "Event", create(context, event, subject))
                .await
        }
        false => {
            let published = async { context.recorder.publish(&event, &subject).await };
            context.call("create", "Event", published).await
        }
    };
    match published {
        Ok(()) => context.metrics.event(notice.reason.as_str()),
        Err(fault) => tracing::warn!("failed to write an Event: {fault}"),
    }
}

/// An Event with a name that fits, where the recorder would make one that is too long. It comes anew each time
/// instead of being counted.
async fn create(context: &Context, event: Event, subject: ObjectReference) -> kube::Result<()> {
    let now = context.clock.now();
    let namespace = subject.namespace.clone().unwrap_or_default();
    let name = fit(subject.name.as_deref().unwrap_or_default(), MAX_NAME);
    let record = events::v1::Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(event.action),
        event_time: Some(MicroTime(now)),
        note: event.note,
        reason: Some(event.reason),
        regarding: Some(subject),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(FIELD_MANAGER.to_owned()),
        type_: Some(
            match event.type_ {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            }
            .to_owned(),
        ),
        ..events::v1::Event::default()
    };
    let api: Api<events::v1::Event> = Api::namespaced(context.client.clone(), &namespace);
    api.create(&PostParams::default(), &record).await.map(drop)
}

/// When to look again.
#[must_use]
pub fn action(context: &Context, next: Next) -> Action {
    match next {
        Next::OnChange => Action::await_change(),
        Next::At(time) => {
            let wait = time.duration_since(context.clock.now());
            let wait = std::time::Duration::try_from(wait).unwrap_or_default();
            // A little late rather than early: one look that finds the time passed.
            Action::requeue((wait + std::time::Duration::from_millis(20)).min(LONGEST_SLEEP))
        }
    }
}

/// Name of a kind of ours, as a label.
#[must_use]
pub fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()).as_ref() {
        "BackupStore" => "BackupStore",
        "BackupPolicy" => "BackupPolicy",
        "RestoreDrill" => "RestoreDrill",
        "MigrationRun" => "MigrationRun",
        "MigrationApproval" => "MigrationApproval",
        _ => "Backup",
    }
}
