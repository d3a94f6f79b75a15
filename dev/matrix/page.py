#!/usr/bin/env -S python3 -B
"""Writes docs/stores.md from dev/matrix/results.tsv and the heads of dev/matrix/servers; by itself, or called by dev/matrix/stores.py."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results.tsv", HERE.parent.parent / "docs/stores.md"
COLUMNS = ["server", "version", "date", "check", "outcome", "said"]
# The tables: columns of checks.
WORKS = {"two": "two backups", "look": "list, inspect", "prove": "drill, proof, report", "back": "restore", "parts": "in two parts, drill",
         "odd": "odd prefix, drill", "many": "1,050 attempts listed"}
KEEPS = {"told": "Lifeboat says of `If-None-Match`", "put_twice": "true of a put", "complete_twice": "true of an upload in parts",
         "checksum": "refuses a wrong CRC32", "flip": "finds a flipped bit", "stopped": "a stopped backup leaves nothing"}
REFUSES = {"wrong_secret": "wrong secret", "wrong_key": "unknown key", "no_bucket": "no such bucket", "wrong_region": "wrong region"}
HEAD = """# Stores: what each can

Lifeboat asks little of a store: put, get, list, delete, and uploads in parts. Servers that speak S3 differ even there. This page says what each of them did when the
`lifeboat` program was run against it, with a small PostgreSQL 17 as the source. Every cell is what was seen, on the date in its row.

Written by `make matrix` ([dev/matrix/stores](../dev/matrix/stores)), which installs each server from a public registry, pinned, and starts it on this machine. The results
lie in `dev/matrix/results.tsv`. It is not part of CI. CI has the suite of stores run against MinIO and versitygw, against s3s-fs inside the tests, and against proxies that cut lines,
flip bits and refuse.

Amazon S3 itself, and other services that need an account, were not run. What is said of them elsewhere is from their documents.

"""
TABLES = [
    ("## What works", "`yes`: as promised. A drill that is `yes` was proven, so every row and definition came back.", WORKS),
    ("## What it keeps safe",
     "No backup relies on `If-None-Match`: each has a folder of its own. It is a second guard against overwriting, and Lifeboat says whether the store has it "
     "(`ConditionalWrites` of the BackupStore, a warning of `lifeboat backup`). "
     "Each body is sent with its CRC32 and its SHA-256. A store that checks one of them refuses what was changed on its way, and it is sent again; with one that checks nothing only a drill finds it.", KEEPS),
    ("## What it refuses", "The reason that the BackupStore's condition shows. `accepted`: the store does not mind.", REFUSES),
]
FOOT = """## Poolers

What may stand before PostgreSQL instead, with versions and modes as the tests run them: [ways to the server](connections.md#poolers).

## Not run, and why

| store | why |
|---|---|
"""


def clean(text, most=300):
    """One field of a table: a single line without the signs that part fields."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(text)).split()).replace("|", "/")
    return text if len(text) <= most else text[: most - 1] + "…"


def read():
    """The kept results: (server, check) → row."""
    rows = {}
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines()[1:]:
            row = dict(zip(COLUMNS, line.split("\t")))
            rows[row["server"], row["check"]] = row
    return rows


def keep(new, whole):
    """Puts new rows over old ones; `whole`: the server's others are gone."""
    servers = {row["server"] for row in new}
    rows = {key: row for key, row in read().items() if not (whole and key[0] in servers)}
    rows.update({(row["server"], row["check"]): row for row in new})
    lines = ["\t".join(COLUMNS)] + ["\t".join(row[column] for column in COLUMNS) for _, row in sorted(rows.items())]
    RESULTS.write_text("\n".join(lines) + "\n")


class Server:
    """One line of the tables."""

    def __init__(self, name, head, rows):
        self.rows = {check: row for (server, check), row in rows.items() if server == name}
        some = next(iter(self.rows.values()))
        self.title = head.get("name", [name])[0]
        self.kind, self.source = head.get("kind", [""])[0], head.get("from", [""])[0]
        self.says = head.get("says", [])
        self.version, self.date = some["version"], some["date"]
        self.runs = "install" not in self.rows and "start" not in self.rows

    def cell(self, check):
        """The outcome, marked where it is not what one wishes for."""
        row = self.rows.get(check)
        if row is None:
            return "–"
        outcome = row["outcome"]
        if check in REFUSES:
            return outcome if outcome == "accepted" else f"`{outcome}`"
        return outcome if outcome in ("yes", "–") else f"**{outcome}**"

    def complaints(self):
        """What was said where something did not go, once each."""
        seen = {}
        for check, title in (WORKS | KEEPS).items():
            row = self.rows.get(check)
            if row and row["outcome"] not in ("yes", "–") and row["said"]:
                # What is said of one key is said of the others, too; where a long text was cut is chance.
                said = re.sub(r"s3://shop/.*?/\.lifeboat", "s3://shop/…/.lifeboat", row["said"])
                seen.setdefault(said[:200], (said, []))[1].append(title)
        return [f"- {'; '.join(titles)}: {code(said)}" for said, titles in seen.values()]


def code(text):
    """As code, whatever it holds."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def heads():
    """What each recipe says of itself: name → field → its lines."""
    found = {}
    for path in sorted((HERE / "servers").glob("*.bash")):
        fields = found.setdefault(path.stem, {})
        for key, value in re.findall(r"^# (name|kind|from|says|key|secret): (.*)$", path.read_text(), flags=re.M):
            fields.setdefault(key, []).append(value)
    return found


def figures(run):
    """The whole page in a few numbers."""
    def count(servers, *checks):
        return [server for server in servers if all(server.rows.get(check, {}).get("outcome") == "yes" for check in checks)]

    good = count(run, *WORKS)
    truths = [server for server in run if {"told", "put_twice"} <= server.rows.keys()]
    same = [server for server in truths if server.rows["told"]["outcome"] == server.rows["put_twice"]["outcome"]]
    return ["| | |", "|---|---|",
            f"| servers that ran | {len(run)} |",
            f"| of those, everything under *what works* is `yes` | {len(good)} |",
            f"| of those, a flipped bit is found at once | {len(count(good, 'flip'))} |",
            f"| what Lifeboat says of `If-None-Match` is true | {len(same)} of {len(truths)} |"]


def page():
    """The whole of docs/stores.md."""
    rows, known = read(), heads()
    servers = sorted((Server(name, known.get(name, {}), rows) for name in {name for name, _ in rows}), key=lambda server: server.title.lower())
    run = [server for server in servers if server.runs]
    out = [HEAD.rstrip(), "", "## In figures", "", *figures(run), "", "## The servers", "", "| store | version | run on | keeps its data in | comes from |", "|---|---|---|---|---|"]
    out += [f"| {server.title} | {server.version} | {server.date} | {server.kind} | {server.source} |" for server in run]
    for title, words, checks in TABLES:
        out += ["", title, "", words, "", "| store | " + " | ".join(checks.values()) + " |", "|---|" + "---|" * len(checks)]
        out += [f"| {server.title} | " + " | ".join(server.cell(check) for check in checks) + " |" for server in run]
    out += ["", "## What that means"]
    for server in run:
        out += ["", f"### {server.title} {server.version}", "", *(server.says or ["Everything works as promised."])]
        if complaints := server.complaints():
            out += ["", "What was said:", "", *complaints]
    out += ["", FOOT.rstrip()]
    for server in servers:
        if not server.runs:
            row = server.rows.get("install") or server.rows["start"]
            out.append(f"| {server.title} {server.version} ({server.source}) | {' '.join(server.says)} {code(row['said'])} |")
    out += [f"| {store} | {why} |" for store, why in (line.split("\t") for line in (HERE / "absent.tsv").read_text().splitlines()[1:])]
    return "\n".join(out) + "\n"


def write():
    """Draws it."""
    PAGE.write_text(page())


if __name__ == "__main__":
    write()
