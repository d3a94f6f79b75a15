//! What contents.json has for a hash, a number of rows, a size can be one: anything else no backup writes, and comparing it would
//! say something else of it each time. Pure.

use crate::manifest::{Contents, Lies, is_hash};
use crate::postgres::census::NOT_COUNTED;

/// Hex digits of the hash of a table or a line.
const HASH: usize = 32;
/// Hex digits of the fingerprint of an extension's object.
const FINGERPRINT: usize = 16;
/// Hex digits of the key of the hashes.
const KEY: usize = 64;

/// Holds each of them against what it can be.
pub(super) fn shapes(contents: &Contents, lies: &mut Lies) {
    let hash = |lies: &mut Lies, object: &str, hash: Option<&String>, digits: usize| {
        let real = hash.is_none_or(|hash| is_hash(hash, digits));
        let rule = format!("no hash: {digits} hex digits");
        lies.must(real, object, hash.map_or("", String::as_str), &rule);
    };
    let number = |lies: &mut Lies, object: &str, number: i64| {
        lies.must(number >= 0, object, number, "no number of anything");
    };
    hash(lies, "key of the hashes", contents.line_key.as_ref(), KEY);
    for relation in &contents.relations {
        let name = format!("{}.{}", relation.schema.display(), relation.name.display());
        let object = format!("hash of {name}");
        hash(lies, &object, relation.hash.as_ref(), HASH);
        for line in relation.lines.iter().flatten() {
            hash(lies, &format!("lines of {name}"), Some(line), HASH);
        }
        let generated = relation.generated.as_ref();
        let values = generated.and_then(|generated| generated.hash.as_ref());
        hash(lies, &format!("generated values of {name}"), values, HASH);
        number(
            lies,
            &format!("rows of {name}"),
            relation.rows.unwrap_or_default(),
        );
        let bytes = relation.bytes.unwrap_or_default();
        number(lies, &format!("bytes of {name}"), bytes);
        // Of what an extension made and nobody filled no restore says it otherwise.
        let nothing = "0".repeat(HASH);
        let empty = relation.hash.as_ref().is_none_or(|hash| *hash == nothing) && bytes == 0;
        let says = format!(
            "{bytes} bytes, {}",
            relation.hash.as_deref().unwrap_or_default()
        );
        let rule = "it has no rows";
        lies.must(relation.rows != Some(0) || empty, &object, says, rule);
    }
    for left in &contents.left_out {
        let object = format!("rows left out of {}", left.display());
        let real = left.rows >= NOT_COUNTED;
        lies.must(real, &object, left.rows, "no number of anything");
    }
    for beyond in &contents.beyond {
        let name = format!("{}.{}", beyond.schema.display(), beyond.name.display());
        let object = format!("rows of {name} outside its filter");
        hash(lies, &object, beyond.hash.as_ref(), HASH);
        number(lies, &object, beyond.rows);
    }
    for member in contents.members.iter().flatten() {
        let object = format!("fingerprint of {} {}", member.kind, member.name.display());
        hash(lies, &object, Some(&member.fingerprint), FINGERPRINT);
    }
    for (kind, count) in &contents.census {
        number(lies, kind, *count);
    }
    if let Some(large) = &contents.large_objects {
        let object = "large objects";
        hash(lies, object, Some(&large.hash), HASH);
        number(lies, object, large.count);
        number(lies, object, large.bytes);
    }
}
