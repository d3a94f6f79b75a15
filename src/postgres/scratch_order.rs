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

/// Settings that take memory, with the part of it that one may take, and what PostgreSQL takes by itself, in kB: none is cut below
/// that. Four sessions restore beside each other, and a query may sort in several places at once.
const MEMORY: [(&str, u64, u64); 2] =
    [("maintenance_work_mem", 8, 65_536), ("work_mem", 64, 4_096)];

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
    /// Maintenance settings of production (M22): those that take memory are cut to what the server's container has.
    #[serde(default)]
    pub maintenance: BTreeMap<String, String>,
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
            maintenance: BTreeMap::new(),
            locales: locales::named(contents),
            preload,
            application_role: None,
        }
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
        for (name, value) in self.maintenance.iter().chain(&self.settings) {
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
            maintenance: BTreeMap::new(),
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

    #[test]
    fn m22_maintenance_is_as_in_production_as_far_as_there_is_memory() {
        let parameters = BTreeMap::from([("work_mem".to_owned(), "1MB".to_owned())]);
        let production = [
            ("maintenance_work_mem", "2097152kB"),
            ("work_mem", "65536kB"),
            ("max_parallel_maintenance_workers", "4"),
        ];
        let production = production.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let order = |parameters: &BTreeMap<String, String>| {
            let order = ScratchOrder::of(&Contents::default(), parameters);
            order.maintained_as(&BTreeMap::from(production.clone()))
        };
        let config = |order: &ScratchOrder, memory| {
            let order = order.within(memory);
            order.config(Path::new("/s"), &[], Carried::All)
        };
        let own = order(&parameters);
        let text = config(&own, None);
        assert!(
            text.contains("maintenance_work_mem = '2097152kB'\n"),
            "{text}"
        );
        assert!(text.contains("max_parallel_maintenance_workers = '4'\n"));
        assert!(
            text.contains("work_mem = '1MB'\n") && !text.contains("65536kB"),
            "{text}"
        );
        let plain = order(&BTreeMap::new());
        let text = config(&plain, Some(1 << 30));
        assert!(
            text.contains("maintenance_work_mem = '131072kB'\n"),
            "{text}"
        );
        assert!(text.contains("\nwork_mem = '16384kB'\n"), "{text}");
        let text = config(&plain, Some(1 << 20));
        assert!(
            text.contains("maintenance_work_mem = '65536kB'\n"),
            "{text}"
        );
        assert!(text.contains("\nwork_mem = '4096kB'\n"), "{text}");
    }
}
