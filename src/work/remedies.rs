//! What whoever reads a verdict may do about it. Pure.

use crate::api::Reason;
use crate::postgres::compare::Printed;
use crate::postgres::judge::Judged;

/// What makes a definition print alike that was made before a table got more columns.
pub(super) fn anew(first: &Printed) -> &'static str {
    match first.difference.what.as_str() {
        "VIEW" => {
            "; where a table that it reads rows of has got columns since, CREATE OR REPLACE VIEW with the text that the server shows of it mends it at the source"
        }
        _ => "",
    }
}

/// No image has a setting that somebody made up.
pub(super) fn own_setting(first: &Judged) -> &'static str {
    match first
        .error
        .message
        .contains("unrecognized configuration parameter")
    {
        true => {
            ", or, if it is a setting of your own, set it with ALTER DATABASE … SET: a backup holds that, and those of the bootstrap superuser; other roles' come after the data"
        }
        false => "",
    }
}

/// What helps, as far as the reason tells.
pub(super) fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::ExtensionMissing | Reason::LocaleMissing => {
            "; name an image that has it as the source does in spec.postgres.image"
        }
        Reason::ExtensionVersion => {
            "; name an image with the source's version in spec.postgres.image, or bring the source to this version (ALTER EXTENSION … UPDATE)"
        }
        Reason::NotIsolated => {
            "; drill where this user may have namespaces, or with --network=host"
        }
        _ => "",
    }
}
