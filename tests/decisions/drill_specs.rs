//! Which specs of a RestoreDrill are refused, and that each refusal names its field.

use lifeboat::drill::validate::validate;
use rstest::rstest;

use crate::fixtures;

#[rstest]
#[case::whole("schedule: {cron: 0 3 * * SUN, timeZone: Europe/Berlin}", "")]
#[case::tier("select: {tier: daily, pick: Oldest}", "")]
#[case::folder("select: {prefix: copies/shop.orders}", "")]
#[case::disaster("mode: Disaster\n  applicationRole: shop_app", "")]
#[case::cron("schedule: {cron: 0 3 31 2 *}", "spec.schedule.cron")]
#[case::nickname("schedule: {cron: '@daily'}", "spec.schedule.cron")]
#[case::zone(
    "schedule: {cron: 0 3 * * *, timeZone: Mars/Olympus}",
    "spec.schedule.timeZone"
)]
#[case::two_selections("select: {backup: b, pick: Latest}", "spec.select")]
#[case::tier_that_is_none("select: {tier: Daily}", "spec.select.tier")]
#[case::up_and_out("select: {prefix: a/../b}", "spec.select.prefix")]
#[case::absolute("select: {prefix: /a}", "spec.select.prefix")]
#[case::trailing("select: {prefix: a/}", "spec.select.prefix")]
#[case::role_without_disaster("applicationRole: shop_app", "spec.applicationRole")]
#[case::unnamed_check("checks: [{name: '', sql: select 1}]", "spec.checks[0].name")]
#[case::empty_check("checks: [{name: a, sql: ' '}]", "spec.checks[0].sql")]
#[case::twins(
    "checks: [{name: a, sql: select 1}, {name: a, sql: select 2}]",
    "spec.checks[1].name"
)]
#[case::score("minimumScore: 101", "spec.minimumScore")]
#[case::image("postgres: {image: evil.example/postgres}", "spec.postgres.image")]
#[case::shouting(
    "postgres: {parameters: {WORK_MEM: 1MB}}",
    "spec.postgres.parameters[WORK_MEM]"
)]
#[case::our_own(
    "postgres: {parameters: {listen_addresses: '*'}}",
    "spec.postgres.parameters[listen_addresses]"
)]
#[case::locale("postgres: {locales: [../es_CL]}", "spec.postgres.locales")]
#[case::size("postgres: {storage: {size: 1.5Gi}}", "spec.postgres.storage.size")]
#[case::deadline("deadline: 0s", "spec.deadline")]
#[case::history("history: 51", "spec.history")]
fn a_refusal_names_its_field(#[case] rest: &str, #[case] field: &str) {
    let drill = fixtures::drill("x", rest);
    let refused = validate(&drill, &fixtures::settings()).err();
    assert_eq!(refused.map_or(String::new(), |r| r.field), field);
}
