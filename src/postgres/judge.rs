//! What an error of a restore means (G27): is the backup at fault, or the server that it was restored into?
//! Pure. `docs/drill.md` shows the table.

use super::pg_restore::ToolError;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::RestoreError;

/// Begins each record of the scratch server's log, with the SQLSTATE behind it: no message of a server holds it.
pub const LOG_MARK: &str = "\u{1e}";

/// An error, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What the proof says of it.
    pub error: RestoreError,
    /// Why the drill ends as it does, where this error decides.
    pub reason: Reason,
}

/// Judges what pg_restore said, with the SQLSTATEs from the server's log. `collation_differs`: the server's
/// collations are of another version than the source's (G25).
#[must_use]
pub fn judge(errors: Vec<ToolError>, log: &str, collation_differs: bool) -> Vec<Judged> {
    let mut states = states(log);
    errors
        .into_iter()
        .map(|error| {
            let sqlstate = take_state(&mut states, &error.message);
            judge_one(error, sqlstate, collation_differs)
        })
        .collect()
}

/// Judges one error whose SQLSTATE is known.
#[must_use]
pub fn judge_one(error: ToolError, sqlstate: String, collation_differs: bool) -> Judged {
    let (judged, reason) = meaning(&error, &sqlstate, collation_differs);
    Judged {
        error: RestoreError {
            sqlstate,
            entry: error.entry,
            message: error.message,
            judged,
        },
        reason,
    }
}

/// `␞42704 ERROR:  type "citext" does not exist` → 42704 and the message.
fn states(log: &str) -> Vec<(String, String)> {
    let records = log.split(LOG_MARK).skip(1);
    records
        .filter_map(|record| {
            let (state, rest) = record.split_once(' ')?;
            let (_, message) = rest.split_once(":  ")?;
            let message = message.lines().next().unwrap_or_default();
            Some((state.to_owned(), super::sanitise(message)))
        })
        .filter(|(state, message)| state.len() == 5 && !message.is_empty())
        .collect()
}

fn take_state(states: &mut Vec<(String, String)>, said: &str) -> String {
    let at = states
        .iter()
        .position(|(_, message)| said.contains(message));
    at.map(|at| states.remove(at).0).unwrap_or_default()
}

/// Data of a table that an extension made, in its version's way and with its own rows (G4, G18): that it has other columns, or
/// holds the key already, is not the backup's doing.
#[must_use]
pub fn of_extension(error: Judged) -> Judged {
    const MADE_OTHERWISE: [&str; 6] = ["42703", "42P01", "42809", "23502", "23505", "23514"];
    if error.error.judged != Verdict::Failed
        || !MADE_OTHERWISE.contains(&error.error.sqlstate.as_str())
    {
        return error;
    }
    Judged {
        error: RestoreError {
            judged: Verdict::Inconclusive,
            ..error.error
        },
        reason: Reason::ExtensionVersion,
    }
}

fn meaning(error: &ToolError, sqlstate: &str, collation_differs: bool) -> (Verdict, Reason) {
    let says = |text: &str| error.message.contains(text);
    let class = sqlstate.get(..2).unwrap_or_default();
    let inconclusive = |reason| (Verdict::Inconclusive, reason);
    let needs_foreign_server = matches!(class, "HV" | "08") || says("user mapping not found");
    match sqlstate {
        // A refresh that asks a foreign server: the drill has neither its address nor its password (G26, G30).
        _ if error.desc == "MATERIALIZED VIEW DATA" && needs_foreign_server => {
            (Verdict::Passed, Reason::Partial)
        }
        // A new database has it.
        "42P06" if says("schema \"public\" already exists") => (Verdict::Passed, Reason::Succeeded),
        "53100" | "53200" => inconclusive(Reason::NoRoom),
        "58030" if says("No space left") => inconclusive(Reason::NoRoom),
        "0A000" | "58P01" => inconclusive(Reason::ExtensionMissing),
        "42704" if says("collation") => inconclusive(Reason::LocaleMissing),
        "42704" if says("role \"") || says("access method") || says("provider") => {
            inconclusive(Reason::ExtensionMissing)
        }
        "22023" if says("security label provider") => inconclusive(Reason::ExtensionMissing),
        "42704" if says("unrecognized configuration parameter") => {
            inconclusive(Reason::ExtensionMissing)
        }
        "22023" if says("invalid value for parameter") => inconclusive(Reason::LocaleMissing),
        "22023" | "42809" if says("locale") => inconclusive(Reason::LocaleMissing),
        "23505" | "23514" | "23P01" if collation_differs => inconclusive(Reason::LocaleMissing),
        _ if class == "57" || class == "08" => inconclusive(Reason::ServerFailed),
        "" if says("No space left") || says("could not write") => inconclusive(Reason::NoRoom),
        "" if says("server closed the connection")
            || says("connection to server")
            || says("no connection to the server") =>
        {
            inconclusive(Reason::ServerFailed)
        }
        _ => (Verdict::Failed, Reason::RestoreFailed),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn error(desc: &str, message: &str) -> ToolError {
        ToolError {
            desc: desc.to_owned(),
            entry: format!("{desc} public.x"),
            message: message.to_owned(),
        }
    }

    #[rstest]
    #[case(
        "TABLE",
        "58P01",
        "could not access file \"$libdir/x\"",
        Verdict::Inconclusive
    )]
    #[case(
        "EXTENSION",
        "0A000",
        "extension \"x\" is not available",
        Verdict::Inconclusive
    )]
    #[case(
        "TABLE DATA",
        "53100",
        "could not extend file: No space left on device",
        Verdict::Inconclusive
    )]
    #[case("TABLE DATA", "57P01", "terminating connection", Verdict::Inconclusive)]
    #[case(
        "COLLATION",
        "22023",
        "could not create locale \"xx\"",
        Verdict::Inconclusive
    )]
    #[case("TABLE", "42704", "type \"citext\" does not exist", Verdict::Failed)]
    #[case("TABLE DATA", "23505", "duplicate key value", Verdict::Failed)]
    #[case("TABLE DATA", "22P02", "invalid input syntax", Verdict::Failed)]
    #[case(
        "MATERIALIZED VIEW DATA",
        "08001",
        "could not connect to server \"far\"",
        Verdict::Passed
    )]
    #[case("MATERIALIZED VIEW DATA", "22012", "division by zero", Verdict::Failed)]
    #[case("", "", "something new", Verdict::Failed)]
    fn g27_what_is_not_known_is_the_backups_fault(
        #[case] desc: &str,
        #[case] state: &str,
        #[case] message: &str,
        #[case] verdict: Verdict,
    ) {
        let log = format!("{LOG_MARK}{state} ERROR:  {message}\n");
        let said = format!("could not execute query: ERROR:  {message}");
        let judged = judge(vec![error(desc, &said)], &log, false);
        assert_eq!(judged[0].error.sqlstate, state);
        assert_eq!(judged[0].error.judged, verdict, "{judged:?}");
    }

    #[test]
    fn g25_another_collation_version_may_break_what_it_orders() {
        let log = format!("{LOG_MARK}23505 ERROR:  could not create unique index \"u\"\n");
        let errors = || {
            vec![error(
                "INDEX",
                "ERROR:  could not create unique index \"u\"",
            )]
        };
        assert_eq!(
            judge(errors(), &log, true)[0].error.judged,
            Verdict::Inconclusive
        );
        assert_eq!(
            judge(errors(), &log, false)[0].error.judged,
            Verdict::Failed
        );
    }
}
