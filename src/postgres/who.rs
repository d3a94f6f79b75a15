//! How somebody else's session is named where everybody in a namespace may read it: who it is, never what it says (P8).

use super::names::quote_literal;

/// `pid 7 of user app (shop)`. What the server hides from us, or the session does not tell, is left out.
#[must_use]
pub(crate) fn session(pid: i32, application: &str, user: &str) -> String {
    let application = match application {
        "" => "no application_name",
        named => named,
    };
    match user {
        "" => format!("pid {pid} ({application})"),
        user => format!("pid {pid} of user {user} ({application})"),
    }
}

/// A transaction that was prepared for a later commit holds its locks without a session, for as long as nobody ends it.
#[must_use]
pub(crate) fn prepared(gid: &str, user: &str) -> String {
    let user = match user {
        "" => String::new(),
        user => format!(" of user {user}"),
    };
    match gid {
        "" => "a prepared transaction".to_owned(),
        gid => format!("the prepared transaction {}{user}", quote_literal(gid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_as_far_as_it_is_known() {
        assert_eq!(session(7, "shop", "app"), "pid 7 of user app (shop)");
        assert_eq!(session(7, "", ""), "pid 7 (no application_name)");
        assert_eq!(
            prepared("it's", "app"),
            "the prepared transaction 'it''s' of user app"
        );
        assert_eq!(prepared("x", ""), "the prepared transaction 'x'");
        assert_eq!(prepared("", ""), "a prepared transaction");
    }
}
