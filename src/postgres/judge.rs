//! What an error of a restore means (G27): is the backup at fault, or the server that it was restored into?
//! Pure. `docs/drill.md` shows the table.

use std::collections::{BTreeMap, BTreeSet};

use super::restore_words::ToolError;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::RestoreError;

/// Begins each record of the scratch server's log, with the SQLSTATE behind it: no message of a server holds it.
pub const LOG_MARK: &str = "\u{1e}";

/// Extensions that a sentence names.
const NAMED: usize = 5;

/// An error, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What the proof says of it.
    pub error: RestoreError,
    /// Why the drill ends as it does, where this error decides.
    pub reason: Reason,
    /// Number of the dump's entry; `None` where it is not known.
    pub dump_id: Option<i64>,
    /// The server said it, and not pg_restore itself.
    pub of_server: bool,
}

/// Judges what pg_restore said, with the SQLSTATEs from the server's log. `collation_differs`: the server's
/// collations are of another version than the source's (G25).
#[must_use]
pub fn judge(errors: Vec<ToolError>, log: &str, collation_differs: bool) -> Vec<Judged> {
    let records = Records::read(log);
    errors
        .into_iter()
        .map(|error| {
            let sqlstate = records.state_of(&error.line).unwrap_or_default().to_owned();
            judge_one(error, sqlstate, collation_differs)
        })
        .collect()
}

/// Judges one error whose SQLSTATE is known.
#[must_use]
pub fn judge_one(error: ToolError, sqlstate: String, collation_differs: bool) -> Judged {
    let (judged, reason) = meaning(&error, &sqlstate, collation_differs);
    let by_name_only = is_language_by_name_only(&error);
    let judged = Judged {
        dump_id: error.dump_id,
        // Behind its severity, in whatever language, a server's message has two blanks.
        of_server: error.line.contains(":  "),
        error: RestoreError {
            sqlstate,
            entry: error.entry,
            message: error.message,
            judged,
        },
        reason,
    };
    match by_name_only {
        true => undecided(judged, Reason::ExtensionInTheWay, BY_NAME_ONLY),
        false => judged,
    }
}

/// What helps against [`is_language_by_name_only`].
const BY_NAME_ONLY: &str = "the functions of this language are in pg_catalog, so a dump says no more of it than its name, and \
    CREATE LANGUAGE takes that for the name of an extension. If there is such an extension, install it in this server's image; \
    else no restore with stock tools makes the language: in the source, make it anew with functions in a schema of your own";

/// pg_dump leaves the functions of a language out where they are in pg_catalog. What it writes then asks for an extension. The
/// words are known without a SQLSTATE too: in a server that is not ours there is no log.
fn is_language_by_name_only(error: &ToolError) -> bool {
    let asks = |text: &str| error.message.contains(text);
    error.desc == "PROCEDURAL LANGUAGE"
        && (asks("\" is not available") || asks("could not open extension control file"))
}

/// Severities of what ends a statement, as a server that speaks English writes them, in its log and to pg_restore.
const SEVERITIES: [&str; 3] = ["ERROR:  ", "FATAL:  ", "PANIC:  "];
/// Bytes of a message that are compared; pg_restore's words are not kept beyond that either.
const COMPARED: usize = 4 * 1024;

/// SQLSTATEs by the words that the server said them with.
///
/// The server writes an error into its log before it sends it, and with the same words; only the position in the
/// statement is added at the end. So the error that was sent is among the records with *exactly* its words, and where all of
/// those carry one SQLSTATE it is the error's, whichever of the sessions beside each other said which. Where they carry
/// several, none is taken, and the error is judged as an unknown one: no error is taken for another.
struct Records<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Records<'a> {
    /// `␞42704 ERROR:  type "citext" does not exist at character 15`. A record begins a line; what goes on in another line is
    /// indented by the server, so no message can pretend to be a record.
    fn read(log: &'a str) -> Self {
        let mut records: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in log.split('\n') {
            let record = line.strip_prefix(LOG_MARK).and_then(|r| r.split_once(' '));
            let Some((state, rest)) = record else {
                continue;
            };
            let words = SEVERITIES.iter().find_map(|s| rest.strip_prefix(s));
            let Some(words) = words.filter(|_| state.len() == 5) else {
                continue;
            };
            // A message may end like a position: it is known under both.
            for words in [words, without_position(words)] {
                records.entry(cut(words)).or_default().insert(state);
            }
        }
        Self(records)
    }

    /// `could not execute query: ERROR:  type "citext" does not exist` → 42704
    fn state_of(&self, line: &str) -> Option<&'a str> {
        // The first severity is the server's, but for a table with a name like one: then nothing was said in those words.
        let mut starts: Vec<usize> = SEVERITIES
            .iter()
            .flat_map(|s| line.match_indices(s).map(|(at, _)| at + s.len()))
            .collect();
        starts.sort_unstable();
        let words = starts.into_iter().filter_map(|at| line.get(at..));
        let states = words.filter_map(|words| self.0.get(cut(words))).next()?;
        match states.len() {
            1 => states.first().copied(),
            _ => None,
        }
    }
}

fn without_position(words: &str) -> &str {
    let digits = words.trim_end_matches(|c: char| c.is_ascii_digit());
    match digits.strip_suffix(" at character ") {
        Some(message) if digits.len() < words.len() => message,
        _ => words,
    }
}

fn cut(words: &str) -> &str {
    let mut end = words.len().min(COMPARED);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words.get(..end).unwrap_or_default()
}

/// An extension as the source had it and as it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions<'a> {
    /// Its name.
    pub name: &'a str,
    /// Version at the source.
    pub was: &'a str,
    /// Version here.
    pub is: &'a str,
}

/// Data of a table that an extension made, in its version's way and with its own rows (G4, G18): that it has other columns, or
/// holds the key already, is not the backup's doing. In the version that the source had, no other image helps: the extension
/// does the same in a restore by stock tools.
#[must_use]
pub fn of_extension(error: Judged, extension: &Versions<'_>) -> Judged {
    const MADE_OTHERWISE: [&str; 6] = ["42703", "42P01", "42809", "23502", "23505", "23514"];
    if error.error.judged != Verdict::Failed
        || !MADE_OTHERWISE.contains(&error.error.sqlstate.as_str())
    {
        return error;
    }
    let Versions { name, was, is } = extension;
    if was != is {
        let why = format!("extension {name} is {is} here instead of {was}");
        return undecided(error, Reason::ExtensionVersion, &why);
    }
    let why = match error.error.sqlstate.as_str() {
        "23505" => format!(
            "CREATE EXTENSION {name} {was}, or that of another extension which uses it, makes rows of this table that the dump \
             holds too, so a restore with stock tools is refused here as well and loses the others: empty the table after CREATE \
             EXTENSION and load its rows then"
        ),
        _ => format!(
            "extension {name} {was} makes this table otherwise than it is at the source, where somebody changed it: a restore \
             with stock tools is refused here as well and loses its rows: make the same change after CREATE EXTENSION and load them then"
        ),
    };
    undecided(error, Reason::ExtensionInTheWay, &why)
}

/// A definition that asks for something that is not there or is otherwise, where extensions are of other versions than at the
/// source (G18): a view on one of them may name a column that this version does not have.
#[must_use]
pub fn of_other_versions(error: Judged, others: &[Versions<'_>]) -> Judged {
    const ASKS_FOR_IT: [&str; 6] = ["42703", "42704", "42804", "42809", "42883", "42P01"];
    if error.error.judged != Verdict::Failed
        || others.is_empty()
        || !ASKS_FOR_IT.contains(&error.error.sqlstate.as_str())
    {
        return error;
    }
    let named: Vec<String> = others
        .iter()
        .take(NAMED)
        .map(|v| format!("{} is {} here instead of {}", v.name, v.is, v.was))
        .collect();
    let why = format!("it may hang on an extension: {}", named.join(", "));
    undecided(error, Reason::ExtensionVersion, &why)
}

fn undecided(error: Judged, reason: Reason, why: &str) -> Judged {
    Judged {
        error: RestoreError {
            judged: Verdict::Inconclusive,
            message: format!("{}; {why}", error.error.message),
            ..error.error
        },
        reason,
        ..error
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
            line: message.to_owned(),
            dump_id: None,
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

    const LOG: &str = "\u{1e}42704 ERROR:  collation \"x\" does not exist at character 41\n\
        \u{1e}42704 STATEMENT:  CREATE TABLE t (\n\
        \t\u{1e}53100 ERROR:  no record, but a line of a statement\n\
        \u{1e}22P02 ERROR:  a row says: ERROR:  one\n\u{1e}53200 ERROR:  one\n\
        \u{1e}P0001 ERROR:  the same words\n\u{1e}53200 ERROR:  the same words\n\
        \u{1e}P0001 ERROR:  seen at character 5\n";

    #[rstest]
    #[case::the_log_adds_the_position("collation \"x\" does not exist", "42704")]
    #[case::words_within_other_words("a row says: ERROR:  one", "22P02")]
    #[case::the_other_words("one", "53200")]
    #[case::a_part_of_the_words("collation \"x\"", "")]
    #[case::more_than_the_words("collation \"x\" does not exist anywhere", "")]
    #[case::one_of_two_codes("the same words", "")]
    #[case::a_line_of_a_statement("no record, but a line of a statement", "")]
    #[case::a_message_that_ends_like_a_position("seen at character 5", "P0001")]
    fn g27_the_code_of_an_error_is_that_of_the_record_with_its_very_words(
        #[case] words: &str,
        #[case] state: &str,
    ) {
        for prefix in ["could not execute query", "COPY failed for table \"t\""] {
            let line = format!("{prefix}: ERROR:  {words}");
            let judged = judge(vec![error("TABLE", &line)], LOG, false);
            assert_eq!(judged[0].error.sqlstate, state);
        }
    }

    #[test]
    fn g18_what_an_extension_of_the_same_version_does_is_not_laid_to_its_version() {
        let refused = |state: &str| {
            let log = format!("{LOG_MARK}{state} ERROR:  no\n");
            let line = "COPY failed for table \"t\": ERROR:  no";
            judge(vec![error("TABLE DATA", line)], &log, false).remove(0)
        };
        let versions = |is| Versions {
            name: "powa",
            was: "5.0",
            is,
        };
        let other = of_extension(refused("23505"), &versions("5.1"));
        assert_eq!(other.reason, Reason::ExtensionVersion);
        assert!(other.error.message.contains("5.1 here instead of 5.0"));
        let same = of_extension(refused("23505"), &versions("5.0"));
        assert_eq!(same.reason, Reason::ExtensionInTheWay);
        assert!(same.error.message.contains("stock tools"));
        let value = of_extension(refused("22P02"), &versions("5.0"));
        assert_eq!(value.error.judged, Verdict::Failed);
        let view = of_other_versions(refused("42703"), &[versions("5.1")]);
        assert_eq!(view.reason, Reason::ExtensionVersion);
        let view = of_other_versions(refused("42703"), &[]);
        assert_eq!(view.error.judged, Verdict::Failed);
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
