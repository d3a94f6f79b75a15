//! The rules: one closed set. Each has a page in `docs/lint/`, which `lifeboat lint --explain` prints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look; nothing stops.
    Warn,
    /// The migration is refused until it is mended or acknowledged.
    Block,
}

impl Level {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! rules {
    ($($rule:ident $id:literal $level:ident $title:literal $fix:literal,)*) => {
        /// A rule of the lint. Ids are never given twice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule {
            $(#[doc = $title] #[serde(rename = $id)] $rule,)*
        }

        impl Rule {
            /// Every rule, by id.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// `LB101`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$rule => $id,)* }
            }

            /// The level where nothing is known of the database.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Self::$rule => Level::$level,)* }
            }

            /// What it is about, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$rule => $title,)* }
            }

            /// The safe way, in one line.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$rule => $fix,)* }
            }

            /// The page in `docs/lint/`, Markdown.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self { $(Self::$rule => include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lint/", $id, ".md")),)* }
            }
        }
    };
}

rules! {
    Lb101 "LB101" Block "an index built while writes wait" "CREATE INDEX CONCURRENTLY, with a name",
    Lb102 "LB102" Block "an index dropped while everything waits" "DROP INDEX CONCURRENTLY",
    Lb103 "LB103" Block "an index rebuilt while writes wait" "build a new index CONCURRENTLY under another name, then DROP INDEX CONCURRENTLY the old one",
    Lb104 "LB104" Block "a partition detached while everything waits" "acknowledge it and run it in a quiet window, or detach it CONCURRENTLY by hand",
    Lb105 "LB105" Block "a statement that PostgreSQL refuses in a transaction" "take it out of the migration; what may stand alone is CREATE and DROP INDEX CONCURRENTLY and VACUUM",
    Lb106 "LB106" Block "a concurrent index without a name" "give the index a name",
    Lb107 "LB107" Block "a constraint checked while the table is locked" "ADD CONSTRAINT … NOT VALID, then ALTER TABLE … VALIDATE CONSTRAINT as a statement of its own",
    Lb108 "LB108" Block "NOT VALID and VALIDATE in one transaction" "ALTER TABLE … VALIDATE CONSTRAINT as a statement of its own",
    Lb109 "LB109" Block "SET NOT NULL reads the whole table under a lock" "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT; SET NOT NULL; DROP CONSTRAINT",
    Lb110 "LB110" Block "a required column without a default" "add it with a constant default, or nullable first",
    Lb111 "LB111" Block "a new column that rewrites the table" "add it nullable, ALTER COLUMN … SET DEFAULT, then fill it in batches",
    Lb112 "LB112" Block "a column's type is changed" "add a column of the new type, fill it in batches, let the application move, drop the old one",
    Lb113 "LB113" Block "a unique index built while everything waits" "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX",
    Lb114 "LB114" Warn "a partition attached, or made, while its neighbours wait" "CREATE TABLE beside it, a CHECK that says the bounds, validated, on it and one that excludes them on the default partition; then ATTACH PARTITION",
    Lb119 "LB119" Block "a table moved or rewritten" "acknowledge it and run it in a quiet window",
    Lb122 "LB122" Block "a table locked by hand, or filled beside a lock" "leave locking to Lifeboat; fill tables in a file of its own",
    Lb123 "LB123" Warn "much is done while a table is locked" "one file for each table, and slow statements before the lock or in a file of their own",
    Lb126 "LB126" Warn "a whole table changed at once" "run it in batches: `-- lifeboat: batch 10000 by id` on the line above",
    Lb127 "LB127" Block "the file steers the session" "take it out: Lifeboat opens transactions, sets timeouts, role and search_path itself",
    Lb201 "LB201" Block "a table is dropped" "let the application forget it, rename it, and drop it in a later release; then acknowledge",
    Lb202 "LB202" Block "a column is dropped" "let the application forget it first; then acknowledge",
    Lb203 "LB203" Block "a schema, or all that depends on something, is dropped" "drop each object by name",
    Lb204 "LB204" Block "a database is dropped" "this is no migration: take it out",
    Lb205 "LB205" Block "a table is emptied" "delete what is meant, in batches; or acknowledge",
    Lb206 "LB206" Block "an object that something may use is dropped" "let the application forget it first; then acknowledge",
    Lb207 "LB207" Warn "a name changes that the running application uses" "expand and contract: the new name beside the old one, let the application move, then take the old one away",
    Lb401 "LB401" Block "the server, a database or a role is configured" "set it where the server is described: the cluster's resource, the provider's parameters",
    Lb402 "LB402" Block "a file or a program of the server" "load through a client, or from an object store",
    Lb403 "LB403" Block "SECURITY DEFINER without a closed search_path" "SET search_path = '' and qualified names, or pg_temp as the last entry; REVOKE EXECUTE … FROM PUBLIC",
    Lb404 "LB404" Block "a view that reads past row security" "WITH (security_invoker = true), from PostgreSQL 15 on",
    Lb405 "LB405" Block "row security is off, or lets everything through" "ENABLE ROW LEVEL SECURITY and a policy that names who",
    Lb406 "LB406" Block "a right that is too wide" "grant to the role that needs it; superuser work belongs outside migrations",
    Lb407 "LB407" Warn "code that the lint cannot read" "plain statements where it can be; else the rehearsal shows what it does",
    Lb408 "LB408" Block "a secret stands in the file" "set the secret outside: the file lies in Git, in the bucket and in logs",
    Lb409 "LB409" Block "a comment that would switch rules off" "take it out; acknowledge the finding in spec.lint.acknowledge (--acknowledge at a shell), which is reviewed",
    Lb410 "LB410" Block "it cannot be read" "mend the file",
}

impl Rule {
    /// Rules about what a data definition costs on a large table. A table that is small is only warned about.
    pub(super) fn scales(self) -> bool {
        matches!(
            self,
            Self::Lb101
                | Self::Lb107
                | Self::Lb109
                | Self::Lb111
                | Self::Lb112
                | Self::Lb113
                | Self::Lb114
                | Self::Lb119
        )
    }

    /// Rules about what is gone afterwards.
    pub(super) fn loses(self) -> bool {
        matches!(
            self,
            Self::Lb201 | Self::Lb202 | Self::Lb203 | Self::Lb205 | Self::Lb206
        )
    }

    /// Rules that have nothing to say of a table that this run makes: nobody waits for it, and it is empty.
    pub(super) fn spares_new(self) -> bool {
        self.scales()
            || matches!(
                self,
                Self::Lb102
                    | Self::Lb103
                    | Self::Lb104
                    | Self::Lb108
                    | Self::Lb110
                    | Self::Lb122
                    | Self::Lb126
                    | Self::Lb201
                    | Self::Lb202
                    | Self::Lb205
                    | Self::Lb206
                    | Self::Lb207
            )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// There is no rule of that id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no rule; docs/lint/README.md lists them (LB101 to LB410)")]
pub struct UnknownRule(String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.iter().find(|r| r.id().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownRule(text.to_owned()))
    }
}
