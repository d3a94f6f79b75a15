//! Privileges on the schema `public` as they are (G23). Before 15 a dump says how they differ from those that a new database has, or, where
//! the schema was dropped and made anew, from none: the same words give other privileges in a new database, and other words the
//! same. Pure.

use super::differences::{Comparison, Difference};
use crate::manifest::Contents;

/// What a difference in the dump's words on it is called.
const SAID: &str = "ACL SCHEMA public";

/// They decide, whatever the dump says of them.
pub(super) fn public(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of = |contents: &Contents| contents.settings.get("public_privileges").cloned();
    let (Some(was), Some(is)) = (of(expected), of(found)) else {
        return;
    };
    let told = |d: &Difference| format!("{} {}", d.what, d.object) == SAID;
    if was == is {
        result.differences.retain(|d| !told(d));
        let printed = &mut result.printed_otherwise;
        printed.retain(|p| !told(&p.difference));
    } else if !result.differences.iter().any(told) && !result.other_major {
        let object = "schema public".to_owned();
        let lost = Difference::new("privileges of", object, was, is);
        result.lost.push(lost);
    }
}
