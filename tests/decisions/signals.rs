//! What a policy hears from its backups and drills.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lifeboat::api::restore_drill::BreakGlass;
use rstest::rstest;

use crate::alerts::{healthy, policy, proven};
use crate::fixtures::{at, ended, success};
use crate::worlds::{BackupWorld, World, after, now};

/// G5: of a backup from a standby that was behind, the recovery point is what the worker says that it holds.
#[test]
fn g5_the_recovery_point_is_what_the_backup_holds_and_not_when_it_began() {
    let mut world = policy();
    let mut run = BackupWorld::scheduled();
    run.settle(now());
    let mut result = success();
    let held = at("2026-11-14T02:00:00Z");
    result.backup.as_mut().unwrap().data_at = Some(held);
    run.job_is(ended(Some(result)));
    run.settle(after(600));
    let status = run.seen.backup.status.as_ref().unwrap();
    assert_eq!(status.data_at, Some(held));
    world.0.backups.push(run.seen.backup);
    let decision = world.settle(after(700));
    assert_eq!(decision.status.recovery_point, Some(held));
}

/// What the script did not restore is told until it does, or until nobody wants it tried.
#[rstest]
#[case::failed("False", None, "False/BreakGlassFailed")]
#[case::restored("True", None, "True/Healthy")]
#[case::could_not_be_tried("Unknown", None, "True/Healthy")]
#[case::not_wanted("False", Some(BreakGlass::Never), "True/Healthy")]
fn a_script_that_does_not_restore_what_a_drill_restores_is_told(
    #[case] said: &str,
    #[case] spec: Option<BreakGlass>,
    #[case] want: &str,
) {
    let mut world = proven();
    let drill = &mut world.0.drills[0];
    drill.spec.break_glass = spec;
    drill.status.as_mut().unwrap().conditions.push(Condition {
        last_transition_time: Time(now()),
        message: "what differs".to_owned(),
        observed_generation: None,
        reason: "BreakGlassFailed".to_owned(),
        status: said.to_owned(),
        type_: "BreakGlass".to_owned(),
    });
    assert_eq!(healthy(&world.settle(after(9_000))), want);
}
