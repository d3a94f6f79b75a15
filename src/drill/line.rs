//! Who goes first among the drills of one policy: one run at a time. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::RestoreDrill;

/// Name of the drill that goes before `drill`, among all of the namespace. Who runs goes before who does not; of two
/// that were decided at once the older run goes, then the name.
#[must_use]
pub fn another_goes_first<'a>(
    drill: &RestoreDrill,
    others: impl IntoIterator<Item = &'a RestoreDrill>,
) -> Option<String> {
    let own = place(drill);
    let places = others.into_iter().filter(|other| {
        other.spec.policy_ref == drill.spec.policy_ref
            && other.namespace() == drill.namespace()
            && other.name_any() != drill.name_any()
            // Nobody looks at it any more, so its run would never end.
            && other.metadata.deletion_timestamp.is_none()
    });
    places
        .filter_map(place)
        .filter(|place| own.as_ref().is_none_or(|own| place < own))
        .min()
        .map(|(_, name)| name)
}

fn place(drill: &RestoreDrill) -> Option<(Timestamp, String)> {
    let running = drill.status.as_ref()?.running.as_ref()?;
    Some((running.started_at, drill.name_any()))
}
