//! What each field of the documents in the bucket is held against. One list, so that no field is believed because it was
//! forgotten: a test writes every document with all of its fields, and walks it along this list. Pure.

/// What a field is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Against something that can be read without a server: another document, the dump's header and table of contents,
    /// the roles, its place in the bucket, the clock. A drill tells before anything is restored.
    Here(&'static str),
    /// Against a restored database, or the bytes in the store: a drill tells.
    Drill(&'static str),
    /// Nothing else knows it, and why a lie there proves nothing wrong.
    Alone(&'static str),
}

use Held::{Alone, Drill, Here};

pub use super::held_proof::PROOF;

/// Fields of `manifest.json`, by their path: `[]` is each one of a list.
pub const MANIFEST: &[(&str, Held)] = &[
    ("format", Here("the one that this version reads")),
    (
        "backup",
        Alone("a name for people; the proof repeats it, and select.backup looks for it"),
    ),
    (
        "namespace",
        Alone(
            "an object of the cluster, which may be gone; there or absent as the policy's name is",
        ),
    ),
    (
        "policy",
        Alone(
            "an object of the cluster, which may be gone; absent only where reason is Manual and there are no tiers",
        ),
    ),
    (
        "policyUid",
        Alone(
            "an object of the cluster, which may be gone; there or absent as the policy's name is",
        ),
    ),
    ("directory", Here("prefix")),
    (
        "prefix",
        Here("directory, due, podUid and the name of the folder it lies in"),
    ),
    ("podUid", Here("prefix, in its first twelve hex digits")),
    (
        "tiers[]",
        Alone("what it counts for is the policy's wish, and no part of what is in it"),
    ),
    (
        "reason",
        Alone("why it was made is no part of what is in it; without a policy it is Manual"),
    ),
    ("due", Here("prefix, and not long after startedAt")),
    (
        "startedAt",
        Here("not after finishedAt, not in the future, not long after dataAt"),
    ),
    (
        "dataAt",
        Here(
            "dataAt in contents.json; between startedAt and finishedAt, but for clocks that differ",
        ),
    ),
    (
        "finishedAt",
        Here("not before startedAt, not in the future, not long before dataAt"),
    ),
    (
        "lifeboatVersion",
        Alone("who wrote it; what was written is held against itself"),
    ),
    ("engine", Here("the only one that there is")),
    (
        "server.version",
        Here("settings.server_version in contents.json, in its number"),
    ),
    (
        "server.major",
        Here("server.version, settings.server_version in contents.json and the dump's header"),
    ),
    ("server.database", Here("the dump's header")),
    (
        "server.encoding",
        Here("settings.server_encoding in contents.json and the dump's DATABASE entry"),
    ),
    (
        "server.databaseBytes",
        Alone("bytes on a disk that is not here: a restored database takes others"),
    ),
    ("server.pgDumpVersion", Here("the dump's header")),
    (
        "base.snapshot.xmin",
        Alone("of a server that is not here; not larger than xmax"),
    ),
    (
        "base.snapshot.xmax",
        Alone("of a server that is not here; not smaller than xmin and nextXid"),
    ),
    (
        "base.snapshot.xip[]",
        Alone("of a server that is not here; between xmin and xmax"),
    ),
    ("base.notABase", Here("there is a snapshot, or not")),
    (
        "base.inRecovery",
        Here("there is a position.nextXid, or not"),
    ),
    (
        "base.systemIdentifier",
        Alone("of a server that is not here"),
    ),
    ("base.timeline", Alone("of a server that is not here")),
    (
        "base.position.lsn",
        Alone("of a server that is not here; it must read as a position"),
    ),
    (
        "base.position.nextXid",
        Alone("of a server that is not here; not larger than snapshot.xmax"),
    ),
    ("counts.tables", Here("relations in contents.json")),
    ("counts.rows", Here("relations[].rows in contents.json")),
    ("counts.sequences", Here("relations in contents.json")),
    ("counts.leftOut", Here("leftOut in contents.json")),
    (
        "counts.largeObjects",
        Here("census.largeObjects in contents.json"),
    ),
    ("counts.rawBytes", Here("objects[].rawBytes")),
    ("counts.storedBytes", Here("objects[].bytes")),
    ("encryption.method", Here("the names of the objects")),
    (
        "encryption.recipients[]",
        Alone("whoever opens an object finds out; there are some where method is age"),
    ),
    ("objects[].name", Here("its role; a drill opens it")),
    ("objects[].role", Here("its name")),
    (
        "objects[].bytes",
        Here("counts.storedBytes, and the object in the store"),
    ),
    (
        "objects[].sha256",
        Drill("the bytes in the store; it must read as a digest"),
    ),
    (
        "objects[].rawBytes",
        Here("counts.rawBytes, and the bytes that come out of the object"),
    ),
    (
        "objects[].rawSha256",
        Drill("the bytes that come out of the object"),
    ),
];

/// Fields of `contents.json`. Of `settings` and `census` those that something knows stand here by name.
pub const CONTENTS_JSON: &[(&str, Held)] = &[
    ("format", Here("the one that this version reads")),
    ("relations[].schema", Here("the data of tables in the dump")),
    ("relations[].name", Here("the data of tables in the dump")),
    ("relations[].kind", Drill("the restored database")),
    (
        "relations[].rows",
        Here("counts.rows in manifest.json, and the restored rows"),
    ),
    ("relations[].columns[]", Drill("the restored table")),
    (
        "relations[].bytes",
        Drill("the restored rows; none where rows is 0"),
    ),
    (
        "relations[].hash",
        Drill("the restored rows; it must read as a hash, and be that of nothing where rows is 0"),
    ),
    (
        "relations[].loadedThrough[]",
        Here("the dump's COPY statements"),
    ),
    (
        "relations[].extension",
        Here("extensions; which of them, the restored database"),
    ),
    (
        "relations[].lines[]",
        Here("hash, which is their sum, and rows, which is their number"),
    ),
    (
        "relations[].generated.columns[]",
        Drill("the restored table"),
    ),
    ("relations[].generated.hash", Drill("the restored rows")),
    (
        "leftOut[].schema",
        Here(
            "relations in contents.json, and what the dump holds: every table is there or left out",
        ),
    ),
    (
        "leftOut[].name",
        Here(
            "relations in contents.json, and what the dump holds: every table is there or left out; tablespaces of entries; of what \
             no relation is, only the source's catalogue knew the name; indexes are counted in census.indexes and census.invalidIndexes, \
             a constraint is one of a table in relations",
        ),
    ),
    (
        "leftOut[].why",
        Alone("only the source's catalogue could tell why"),
    ),
    (
        "leftOut[].fingerprint",
        Drill("the comment in the restored database"),
    ),
    (
        "leftOut[].rows",
        Here("relations[].rows, where none of its rows are in the dump"),
    ),
    (
        "beyondFilter[].schema",
        Here("relations[].extension: it is a table of one"),
    ),
    (
        "beyondFilter[].name",
        Here("relations[].extension: it is a table of one"),
    ),
    ("beyondFilter[].rows", Drill("the restored database")),
    ("beyondFilter[].hash", Drill("the restored database")),
    ("extensionObjects[].extension", Here("extensions")),
    ("extensionObjects[].kind", Drill("the restored database")),
    ("extensionObjects[].name", Drill("the restored database")),
    ("extensionObjects[].on", Drill("the restored database")),
    (
        "extensionObjects[].fingerprint",
        Drill("the restored database"),
    ),
    ("settings.public_privileges", Drill("the restored database")),
    (
        "census.largeObjects",
        Here("largeObjects.count, counts.largeObjects in manifest.json and the dump"),
    ),
    (
        "census.disabledTriggers",
        Drill("the restored database, but for census.leftOutTriggers"),
    ),
    (
        "census.leftOutTriggers",
        Here("census.disabledTriggers, and the constraints among leftOut; the restored database"),
    ),
    ("census.*", Drill("the restored database")),
    (
        "extensions[][]",
        Here("the EXTENSION entries of the dump; another version is a note of the drill"),
    ),
    (
        "settings.server_version",
        Here(
            "server.version in manifest.json, which has the number and not what a distribution adds to it",
        ),
    ),
    (
        "settings.server_encoding",
        Here("server.encoding in manifest.json"),
    ),
    (
        "settings.lc_collate",
        Drill("the restored database, which the dump itself makes"),
    ),
    (
        "settings.lc_ctype",
        Drill("the restored database, which the dump itself makes"),
    ),
    (
        "settings.locale_provider",
        Drill("the restored database, which the dump itself makes"),
    ),
    (
        "settings.locale",
        Drill("the restored database, which the dump itself makes"),
    ),
    (
        "settings.bootstrap_role",
        Drill("the owners in the dump: who is not there owns nothing"),
    ),
    (
        "settings.quote_all_identifiers",
        Drill("the definitions, which are printed with it again"),
    ),
    (
        "settings.standard_conforming_strings",
        Drill("the definitions, which are printed with it again"),
    ),
    (
        "settings.*",
        Alone(
            "how the source was set is said nowhere else; a value that the scratch server refuses ends the drill by its name",
        ),
    ),
    ("entries[].desc", Here("the dump's table of contents")),
    ("entries[].namespace", Here("the dump's table of contents")),
    ("entries[].tag", Here("the dump's table of contents")),
    ("entries[].owner", Here("the dump's table of contents")),
    ("entries[].definition", Here("the dump's table of contents")),
    (
        "entries[].accessMethod",
        Here("the dump's table of contents"),
    ),
    ("entries[].tablespace", Here("the dump's table of contents")),
    ("sequences[].schema", Here("the dump's table of contents")),
    ("sequences[].name", Here("the dump's table of contents")),
    (
        "sequences[].lastValue",
        Here("the dump's table of contents"),
    ),
    ("sequences[].isCalled", Here("the dump's table of contents")),
    ("roles[].name", Here("roles[].statements")),
    ("roles[].statements[]", Here("globals.sql")),
    ("collations[].schema", Drill("the restored database")),
    ("collations[].name", Drill("the restored database")),
    ("collations[].provider", Drill("the restored database")),
    (
        "collations[].version",
        Alone("of a library on a machine that is not here; another one is a note"),
    ),
    ("lineKey", Drill("the hashes that are made with it")),
    ("largeObjects.count", Here("census.largeObjects")),
    ("largeObjects.bytes", Drill("the restored large objects")),
    ("largeObjects.hash", Drill("the restored large objects")),
    ("dataAt", Here("dataAt in manifest.json")),
    (
        "source.host",
        Alone(
            "where the source was reached: a drill tries whether it can, and nothing else is made of it",
        ),
    ),
    (
        "source.port",
        Alone(
            "where the source was reached: a drill tries whether it can, and nothing else is made of it",
        ),
    ),
];

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
