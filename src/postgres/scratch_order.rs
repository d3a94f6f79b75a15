//! What a scratch server is told: pure, and without a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::sanitise;
use super::extension_settings::is_carried;
use super::judge::LOG_MARK;
use super::locales;
use super::names::quote_ident;
use super::target::DEFAULT_PORT;
use crate::manifest::Contents;

/// What everything runs with: nothing outlives it, so nothing is made durable; nobody else comes, and
/// nothing runs by itself (G30).
const FIXED: [(&str, &str); 22] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("archive_mode", "off"),
    ("autovacuum", "off"),
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "1h"),
    ("max_logical_replication_workers", "0"),
    ("max_prepared_transactions", "0"),
    ("max_connections", "40"),
    ("track_counts", "on"),
    ("log_min_messages", "error"),
    ("log_min_error_statement", "panic"),
    ("log_checkpoints", "off"),
    ("cron.launch_active_jobs", "off"),
    ("pg_partman_bgw.interval", "2147483"),
    ("powa.frequency", "-1"),
    ("timescaledb.max_background_workers", "0"),
];
/// How the log is written: nobody has a say in it, because it is read for SQLSTATEs (G27).
const LOGGED: [(&str, &str); 4] = [
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_line_prefix", "\u{1e}%e "),
    ("lc_messages", "C"),
];
/// Settings of the source that give values their meaning (G14).
const CARRIED: [&str; 8] = [
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "xmloption",
    "default_text_search_config",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
];

/// Settings that take memory, with the part of it that one may take, and what PostgreSQL takes by itself, in kB: none is cut below
/// that. Four sessions restore beside each other, and a query may sort in several places at once.
const MEMORY: [(&str, u64, u64); 2] =
    [("maintenance_work_mem", 8, 65_536), ("work_mem", 64, 4_096)];

/// Longest word of a server on a setting, in characters.
const MAX_SAID: usize = 300;

/// A setting of the source that a scratch server does not take, so that it runs without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Its value at the source.
    pub value: String,
    /// What the server said of it.
    pub why: String,
}

impl Refused {
    /// Whether it is one of the locales. They are the likeliest to be missing, and what hangs on them says so by itself.
    #[must_use]
    pub fn is_locale(&self) -> bool {
        self.name.starts_with("lc_")
    }

    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "the scratch server does not take {} = '{}', which the source has: {}",
            self.name, self.value, self.why
        )
    }
}

/// How a scratch server is to be; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchOrder {
    /// Name of the superuser: that of the source's, so that what belonged to it belongs to it again.
    pub superuser: String,
    /// Settings of the source. Which of them the server does not take, and it alone, is left out.
    pub optional: BTreeMap<String, String>,
    /// Settings.
    pub settings: BTreeMap<String, String>,
    /// Locales that it needs: those that the image lacks are made, where it has their sources (G25).
    pub locales: BTreeSet<String>,
    /// Maintenance settings of production (M22): those that take memory are cut to what the server's container has.
    #[serde(default)]
    pub maintenance: BTreeMap<String, String>,
    /// Libraries to preload, where the image has them (G18).
    pub preload: Vec<String>,
    /// A role that comes with a password.
    pub application_role: Option<String>,
    /// A role that comes without one, beside the superuser; no other comes at all (G17).
    #[serde(default)]
    pub reader: Option<String>,
}

impl ScratchOrder {
    /// What suits a backup. `parameters` are the user's own and win.
    #[must_use]
    pub fn of(contents: &Contents, parameters: &BTreeMap<String, String>) -> Self {
        let setting = |name: &str| contents.settings.get(name);
        let relations = contents.relations.len();
        // Every table is locked at once when it is read again (G1).
        let locks = relations.saturating_mul(2) / 40 + 256;
        let mut settings = BTreeMap::from([
            ("max_locks_per_transaction".to_owned(), locks.to_string()),
            ("max_pred_locks_per_transaction".to_owned(), "64".to_owned()),
        ]);
        settings.extend(FIXED.map(|(name, value)| (name.to_owned(), value.to_owned())));
        settings.extend(parameters.clone());
        let carried = CARRIED
            .iter()
            .filter(|name| !parameters.contains_key(**name));
        let carried = carried.filter_map(|name| Some(((*name).to_owned(), setting(name)?.clone())));
        // Of extensions too, but for what is said here otherwise: the last line of a file counts.
        let of_extensions = contents.settings.iter().filter(|(name, value)| {
            is_carried(name, value) && !settings.contains_key(name.as_str())
        });
        let of_extensions = of_extensions.map(|(name, value)| (name.clone(), value.clone()));
        let optional = carried.chain(of_extensions).collect();
        // Those of a session too: a provider of security labels may come with either (G18). Loaded at the start, so that one
        // that is not there is found then, and not by every session.
        let mut preload: Vec<String> = Vec::new();
        for name in ["shared_preload_libraries", "session_preload_libraries"] {
            let names = setting(name).map_or("", String::as_str).split(',');
            let names = names.map(|name| name.trim().trim_matches('"').to_owned());
            for name in names.filter(|name| !name.is_empty()) {
                if !preload.contains(&name) {
                    preload.push(name);
                }
            }
        }
        Self {
            superuser: setting("bootstrap_role")
                .map_or("postgres", String::as_str)
                .to_owned(),
            optional,
            settings,
            maintenance: BTreeMap::new(),
            locales: locales::named(contents),
            preload,
            application_role: None,
            reader: None,
        }
    }

    /// For a database of this name: pg_cron can be made in one database of a server only, which a setting names. Its jobs are
    /// off all the same.
    #[must_use]
    pub fn in_database(mut self, contents: &Contents, database: &str) -> Self {
        if contents
            .extensions
            .iter()
            .any(|(name, _)| name == "pg_cron")
        {
            let setting = "cron.database_name".to_owned();
            self.settings.insert(setting, database.to_owned());
        }
        self
    }

    /// For reading alone: no event trigger of the restored database fires, such as one at login that writes a row or lets nobody
    /// in. Before 17 there is none at login.
    #[must_use]
    pub fn without_event_triggers(mut self, major: i32) -> Self {
        if major >= 17 {
            let (name, value) = ("event_triggers".to_owned(), "off".to_owned());
            self.settings.entry(name).or_insert(value);
        }
        self
    }

    /// With maintenance settings of production, but for those that the user has set.
    #[must_use]
    pub fn maintained_as(mut self, production: &BTreeMap<String, String>) -> Self {
        let others = production.iter();
        let others = others.filter(|(name, _)| !self.settings.contains_key(*name));
        self.maintenance = others.map(|(n, v)| (n.clone(), v.clone())).collect();
        self
    }

    /// The same, in a container with so many bytes of memory; `None`: as many as it likes.
    pub(super) fn within(&self, memory: Option<u64>) -> Self {
        let mut order = self.clone();
        for (name, part, least) in MEMORY {
            let Some((value, memory)) = order.maintenance.get_mut(name).zip(memory) else {
                continue;
            };
            let most = (memory / 1024 / part).max(least);
            let wanted = value.strip_suffix("kB").and_then(|kb| kb.parse().ok());
            if wanted.is_none_or(|kb: u64| kb > most) {
                *value = format!("{most}kB");
            }
        }
        order
    }

    pub(super) fn config(&self, socket: &Path, preload: &[String], left: &[Refused]) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // A configuration file knows no E'': control characters are written in octal.
            let value = value
                .replace('\\', "\\\\")
                .replace('\'', "''")
                .replace(LOG_MARK, "\\036");
            let _ = writeln!(text, "{name} = '{value}'");
        };
        for (name, value) in self.maintenance.iter().chain(&self.settings) {
            line(name, value);
        }
        for (name, value) in &self.optional {
            if left.iter().all(|refused| refused.name != *name) {
                line(name, value);
            }
        }
        for (name, value) in LOGGED {
            line(name, value);
        }
        line("unix_socket_directories", &socket.to_string_lossy());
        line("port", &DEFAULT_PORT.to_string());
        if !preload.is_empty() {
            line("shared_preload_libraries", &preload.join(","));
        }
        text
    }

    /// Which of the optional settings a server that did not start names in its log. It names all that it does not take, each
    /// in a line: `LOG:  invalid value for parameter "TimeZone": "Nowhere/Land"`.
    pub(super) fn refused(&self, log: &str, left: &[Refused]) -> Vec<Refused> {
        let mut found: Vec<Refused> = Vec::new();
        for line in log.lines() {
            let Some((head, tail)) = line.split_once("parameter \"") else {
                continue;
            };
            let Some((named, _)) = tail.split_once('"') else {
                continue;
            };
            let mut all = self.optional.iter();
            let Some((name, value)) = all.find(|(name, _)| name.eq_ignore_ascii_case(named)) else {
                continue;
            };
            let known = |refused: &Refused| refused.name == *name;
            if left.iter().any(known) || found.iter().any(known) {
                continue;
            }
            let said = head.split_once(":  ").map_or(head, |(_, said)| said);
            let said = sanitise(&format!("{said}parameter \"{tail}"));
            found.push(Refused {
                name: name.clone(),
                value: sanitise(value).chars().take(MAX_SAID).collect(),
                why: said.chars().take(MAX_SAID).collect(),
            });
        }
        found
    }

    /// Who may come, each by name (G17): roles of the backup may log in as they might at the source, and not here.
    pub(super) fn hba(&self) -> String {
        let own = [Some(&self.superuser), self.reader.as_ref()];
        let own = own.into_iter().flatten().map(|role| (role, "trust"));
        let role = self.application_role.iter();
        let role = role.filter(|role| **role != self.superuser);
        let mut text = String::new();
        for (role, how) in own.chain(role.map(|role| (role, "scram-sha-256"))) {
            // A line cannot hold it; a role of such a name is not let in.
            if !role.is_empty() && !role.contains(char::is_control) {
                let _ = writeln!(text, "local all {} {how}", quote_ident(role));
            }
        }
        text
    }
}

#[cfg(test)]
#[path = "scratch_order_tests.rs"]
mod tests;
