//! How somebody else's session is named where everybody in a namespace may read it: who it is, never what it says (P8).

use super::names::quote_literal;

/// Most bytes of an `application_name` that a server keeps.
const KEPT: usize = 63;

/// `application_name` of the sessions of a backup's worker: what is its own alone stands first, for the server cuts the end.
#[must_use]
pub(crate) fn backup_sessions(pod: &str, namespace: &str, backup: &str) -> String {
    let own = pod.chars().filter(char::is_ascii_hexdigit).take(12);
    let own: String = own.collect();
    let name = format!("lifeboat/{own}/{namespace}/{backup}/");
    // As long as it can be: a pooler that adds something of each connection adds it behind what is kept, and the sessions of one
    // backup still find each other.
    name.chars()
        .chain(std::iter::repeat('-'))
        .take(KEPT)
        .collect()
}

/// Whose sessions call themselves so: of a backup of ours `Backup shop/shop-1`, of anybody else what they say.
#[must_use]
pub(crate) fn application(name: &str) -> String {
    let mut parts = name.splitn(4, '/');
    let (Some("lifeboat"), Some(own), Some(namespace), Some(backup)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return name.to_owned();
    };
    if own.len() != 12 || !own.bytes().all(|b| b.is_ascii_hexdigit()) {
        return name.to_owned();
    }
    // It may be longer than what is seen of it.
    match backup.split_once('/') {
        Some((backup, _)) => format!("Backup {namespace}/{backup}"),
        None => format!("Backup {namespace}/{backup}…"),
    }
}

/// `pid 7 of user app (shop)`. What the server hides from us, or the session does not tell, is left out.
#[must_use]
pub(crate) fn session(pid: i32, application: &str, user: &str) -> String {
    let application = match application {
        "" => "no application_name".to_owned(),
        named => self::application(named),
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
        let ours = backup_sessions("7b7b7b7b-0000-4000-8000-000000000009", "shop", "shop-1");
        let fill = "-".repeat(29);
        assert_eq!(ours, format!("lifeboat/7b7b7b7b0000/shop/shop-1/{fill}"));
        assert_eq!(ours.len(), 63);
        let says = "pid 7 of user app (Backup shop/shop-1)";
        assert_eq!(session(7, &ours, "app"), says);
        let long = backup_sessions("7b7b7b7b-0000", "shop", &"a".repeat(60));
        assert_eq!(long.len(), 63);
        assert_eq!(
            application(&long),
            format!("Backup shop/{}…", "a".repeat(36))
        );
        for other in [
            "lifeboat/uid/1",
            "lifeboat/uid/shop/1",
            "pg_dump",
            "a/b/c/d",
        ] {
            assert_eq!(application(other), other);
        }
        assert_eq!(
            prepared("it's", "app"),
            "the prepared transaction 'it''s' of user app"
        );
        assert_eq!(prepared("x", ""), "the prepared transaction 'x'");
        assert_eq!(prepared("", ""), "a prepared transaction");
    }
}
