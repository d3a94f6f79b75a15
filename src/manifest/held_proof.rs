//! What each field of a proof is held against. Pure.

use super::held::Held::{self, Alone, Here};

/// Fields of a proof.
pub const PROOF: &[(&str, Held)] = &[
    ("format", Here("the one that this version reads")),
    ("run", Here("the name of its file")),
    ("drill", Here("run, which begins with it")),
    (
        "namespace",
        Alone(
            "an object of the cluster, which may be gone; there or absent as the drill's name is",
        ),
    ),
    ("mode", Here("the two that there are")),
    (
        "result",
        Here("reason, differences, errors, checks, tables"),
    ),
    ("reason", Here("result, differences, errors, checks")),
    (
        "message",
        Alone("a sentence for people; everything in it stands elsewhere too"),
    ),
    ("proves", Here("result, reason, notCompared")),
    ("score", Here("parts")),
    ("parts[].what", Here("checks")),
    ("parts[].weight", Here("what each part weighs")),
    ("parts[].passed", Here("differences, errors, checks")),
    (
        "startedAt",
        Here("not after finishedAt, not in the future; rpo"),
    ),
    (
        "finishedAt",
        Here("not before startedAt, not in the future"),
    ),
    (
        "lifeboatVersion",
        Alone("who wrote it; what was written is held against itself"),
    ),
    ("backup.name", Here("manifest.json")),
    ("backup.prefix", Here("the folder that it lies in")),
    ("backup.database", Here("manifest.json")),
    ("backup.serverVersion", Here("manifest.json")),
    ("backup.dataAt", Here("manifest.json; rpo")),
    ("backup.finishedAt", Here("manifest.json")),
    (
        "backup.manifestSha256",
        Here(
            "manifest.json: with another digest it speaks of another backup, and proves nothing of this one",
        ),
    ),
    ("backup.storedBytes", Here("manifest.json")),
    ("backup.rawBytes", Here("manifest.json")),
    ("backup.databaseBytes", Here("manifest.json")),
    ("backup.tables", Here("manifest.json; tables")),
    ("backup.rows", Here("manifest.json; tables")),
    ("backup.objects[].name", Here("manifest.json")),
    ("backup.objects[].bytes", Here("manifest.json")),
    ("backup.objects[].sha256", Here("manifest.json")),
    (
        "server.version",
        Here("backup.serverVersion, in its major version, where something passed"),
    ),
    (
        "server.image",
        Alone("where it was drilled is said nowhere else"),
    ),
    (
        "phases[].name",
        Alone("a later version may have parts of a drill that this one does not know"),
    ),
    ("phases[].seconds", Here("rto, which they add up to")),
    ("rto.seconds", Here("phases")),
    (
        "rto.objectiveSeconds",
        Alone("the policy's wish; met says whether it was kept"),
    ),
    ("rto.met", Here("seconds and objectiveSeconds")),
    ("rpo.seconds", Here("startedAt and backup.dataAt")),
    (
        "rpo.objectiveSeconds",
        Alone("the policy's wish; met says whether it was kept"),
    ),
    ("rpo.met", Here("seconds and objectiveSeconds")),
    (
        "tables[].schema",
        Alone(
            "contents.json knows it, which is encrypted; how many there are is held against backup.tables",
        ),
    ),
    (
        "tables[].name",
        Alone(
            "contents.json knows it, which is encrypted; how many there are is held against backup.tables",
        ),
    ),
    ("tables[].rows", Here("backup.rows, which is their sum")),
    (
        "tables[].bytes",
        Alone("contents.json knows it, which is encrypted"),
    ),
    (
        "tables[].hash",
        Alone("contents.json knows it, which is encrypted; it must read as a hash"),
    ),
    ("tables[].equal", Here("result and differences")),
    ("differences[].what", Here("parts")),
    ("differences[].object", Here("tables[].equal")),
    ("differences[].expected", Alone("what was seen, in words")),
    ("differences[].found", Alone("what was seen, in words")),
    ("errors[].sqlstate", Alone("what the server said, in words")),
    ("errors[].entry", Alone("what the server said, in words")),
    ("errors[].message", Alone("what the server said, in words")),
    ("errors[].judged", Here("result and parts")),
    ("checks[].name", Here("parts")),
    (
        "checks[].sql",
        Alone("the drill's spec knows it, which may be another by now"),
    ),
    ("checks[].expect", Here("got and passed")),
    ("checks[].got", Here("expect and passed")),
    (
        "checks[].error",
        Alone("what the server said, in words; there where got is absent"),
    ),
    (
        "checks[].required",
        Alone(
            "the drill's spec knows it, which may be another by now; where it is true and passed is not, nothing passed",
        ),
    ),
    ("checks[].passed", Here("got, expect and parts")),
    (
        "checks[].seconds",
        Alone("what it took is said nowhere else"),
    ),
    (
        "notCompared[]",
        Alone(
            "a sentence for people; there is none where proves is true, and one where reason is Partial",
        ),
    ),
    ("notes[]", Alone("sentences for people")),
    (
        "breakGlass.result",
        Here("complaints and differences; result, which passed before the script was tried"),
    ),
    (
        "breakGlass.message",
        Alone("a sentence for people; everything in it stands elsewhere too"),
    ),
    (
        "breakGlass.seconds",
        Here("startedAt and finishedAt, between which it ran"),
    ),
    (
        "breakGlass.complaints[]",
        Alone("what the script said, in words; none where it passed"),
    ),
    (
        "breakGlass.differences[].what",
        Alone("what was seen, in words; none where the script passed"),
    ),
    (
        "breakGlass.differences[].object",
        Alone("what was seen, in words"),
    ),
    (
        "breakGlass.differences[].expected",
        Alone("what was seen, in words"),
    ),
    (
        "breakGlass.differences[].found",
        Alone("what was seen, in words"),
    ),
];
