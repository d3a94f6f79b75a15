//! What a scratch server is told: pure, and without a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::judge::LOG_MARK;
use super::locales;
use super::names::quote_ident;
use super::target::DEFAULT_PORT;
use crate::manifest::Contents;

/// What everything runs with: nothing outlives it, so nothing is made durable; nobody else comes, and
/// nothing runs by itself (G30).
const FIXED: [(&str, &str); 24] = [
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
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_min_messages", "error"),
    ("log_min_error_statement", "panic"),
    ("log_checkpoints", "off"),
    ("log_line_prefix", "\u{1e}%e "),
    ("lc_messages", "C"),
    ("cron.launch_active_jobs", "off"),
    ("pg_partman_bgw.interval", "2147483"),
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

/// How much of the optional settings a server starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// All.
    All,
    /// Not the locales: of all settings they are the likeliest to be missing, and CHECKs depend on the time zone.
    NoLocales,
    /// None.
    None,
}

impl Carried {
    fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::NoLocales => !name.starts_with("lc_"),
            Self::None => false,
        }
    }
}

/// How a scratch server is to be; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchOrder {
    /// Name of the superuser: that of the source's, so that what belonged to it belongs to it again.
    pub superuser: String,
    /// Settings that a server without the locale for them does not start with; left out then.
    pub optional: BTreeMap<String, String>,
    /// Settings.
    pub settings: BTreeMap<String, String>,
    /// Locales that it needs: those that the image lacks are made, where it has their sources (G25).
    pub locales: BTreeSet<String>,
    /// Libraries to preload, where the image has them (G18).
    pub preload: Vec<String>,
    /// A role that comes with a password; all others need none on this socket.
    pub application_role: Option<String>,
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
        let optional = carried
            .filter_map(|name| Some(((*name).to_owned(), setting(name)?.clone())))
            .collect();
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
            locales: locales::named(contents),
            preload,
            application_role: None,
        }
    }

    pub(super) fn config(&self, socket: &Path, preload: &[String], carried: Carried) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // A configuration file knows no E'': control characters are written in octal.
            let value = value
                .replace('\\', "\\\\")
                .replace('\'', "''")
                .replace(LOG_MARK, "\\036");
            let _ = writeln!(text, "{name} = '{value}'");
        };
        for (name, value) in &self.settings {
            line(name, value);
        }
        for (name, value) in &self.optional {
            if carried.has(name) {
                line(name, value);
            }
        }
        line("unix_socket_directories", &socket.to_string_lossy());
        line("port", &DEFAULT_PORT.to_string());
        if !preload.is_empty() {
            line("shared_preload_libraries", &preload.join(","));
        }
        text
    }

    pub(super) fn hba(&self) -> String {
        let role = self.application_role.as_ref();
        let role = role.map(|role| format!("local all {} scram-sha-256\n", quote_ident(role)));
        format!("{}local all all trust\n", role.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_written_so_that_the_server_reads_it_as_it_is() {
        let order = ScratchOrder {
            superuser: "postgres".to_owned(),
            optional: BTreeMap::from([
                ("TimeZone".to_owned(), "Europe/Berlin".to_owned()),
                ("lc_monetary".to_owned(), "es_CL".to_owned()),
            ]),
            settings: BTreeMap::from([
                ("a.b".to_owned(), "it's \\ one".to_owned()),
                ("log_line_prefix".to_owned(), format!("{LOG_MARK}%e ")),
            ]),
            locales: BTreeSet::new(),
            preload: Vec::new(),
            application_role: Some("o\"dd".to_owned()),
        };
        let text = order.config(Path::new("/s"), &["x".to_owned()], Carried::NoLocales);
        assert!(text.contains("a.b = 'it''s \\\\ one'\n"), "{text}");
        assert!(text.contains("log_line_prefix = '\\036%e '\n"), "{text}");
        assert!(text.contains("TimeZone = 'Europe/Berlin'\n"), "{text}");
        assert!(!text.contains("lc_monetary"), "{text}");
        let config = |carried| order.config(Path::new("/s"), &[], carried);
        assert!(config(Carried::All).contains("lc_monetary = 'es_CL'\n"));
        assert!(!config(Carried::None).contains("TimeZone"));
        assert!(
            order
                .hba()
                .starts_with("local all \"o\"\"dd\" scram-sha-256\n")
        );
    }
}
