#!/usr/bin/env -S python3 -B
"""Writes docs/extensions.md from dev/sweep/results.tsv.

dev/sweep/table.py                       only that
dev/sweep/table.py <results.jsonl>…      first takes the newest result of each database from there into results.tsv
"""

import json
import sys
from collections import Counter
from pathlib import Path

import judge

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results.tsv", HERE.parent.parent / "docs/extensions.md"
COLUMNS = ["name", "major", "version", "verdict", "reason", "message", "stock", "lost", "says", "wrong"]
VERDICTS = {
    judge.PROVEN: "proven",
    judge.UNPROVEN: "equal, not proven",
    judge.FAILED: "Failed",
    judge.INCONCLUSIVE: "Inconclusive",
    judge.REFUSED: "no backup",
    judge.TIMED_OUT: "timed out",
}
HEAD = """# Extensions: what a backup of them is worth

Most extensions come back from a dump as they were. Some do not, whatever tool makes the dump: their tables are not marked for it, their triggers change rows while
they are loaded, or their text loses digits. This page says which. Each line is a database that uses the extension for real (types in columns with rows, kinds of
index, configuration tables with rows, functions in views): backed up and drilled by Lifeboat, and, to hold the verdict against something, dumped and restored by
plain `pg_dump` and `pg_restore` into a fresh server, where every object and every row was compared by catalogue.

Written by `make sweep-extensions` from Debian's packages ([dev/sweep](../dev/sweep/extensions)); the databases are made by the files in `dev/sweep/use`.
What the verdicts mean stands in [drill.md](drill.md#the-verdict).
"""


def clean(text, most=300):
    """One field of a table: a single line without the signs that part fields."""
    text = " ".join(str(text).split()).replace("|", "/")
    return text if len(text) <= most else text[: most - 1] + "…"


def read():
    """The committed results: (name, major) → row."""
    rows = {}
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines()[1:]:
            row = dict(zip(COLUMNS, line.split("\t")))
            rows[row["name"], row["major"]] = row
    return rows


def take(rows, path):
    """The newest result of each database of a work folder."""
    for line in Path(path).read_text().splitlines():
        found = json.loads(line)
        if found["verdict"] == "NotUsed" and found["message"].startswith("made, and"):
            continue
        row = {column: clean(found.get(column, "")) for column in COLUMNS}
        row["lost"] = clean(judge.sentence(found), 400)
        row["message"] = clean(found.get("message", ""), 200) if found["verdict"] not in (judge.PROVEN,) else ""
        rows[row["name"], row["major"]] = row


def title(name):
    """`postgis@own-srid` → `postgis`: own srid."""
    extension, _, case = name.partition("@")
    return f"`{extension}`" + (f": {case.replace('-', ' ')}" if case else "")


def cell(row):
    """Version and verdict on one major."""
    if row is None:
        return "not packaged"
    if row["verdict"] == "NotUsed":
        return "not usable"
    word = VERDICTS.get(row["verdict"], row["verdict"])
    if row["verdict"] in (judge.FAILED, judge.INCONCLUSIVE, judge.REFUSED) and row["reason"]:
        word += f" `{row['reason']}`"
    return " ".join(part for part in (row["version"], f"**{word}**" if row["verdict"] != judge.PROVEN else word) if part)


def summary(rows):
    """The figures on top."""
    used = [row for row in rows.values() if row["verdict"] != "NotUsed"]
    count = Counter(row["verdict"] for row in used)
    stock_fails = sum(row["verdict"] == judge.FAILED and row["stock"] in ("errors", "loses") for row in used)
    whole = sum(row["stock"] in ("equal", "prints otherwise") for row in used)
    lines = [
        f"{len(used)} databases on PostgreSQL {' and '.join(sorted({row['major'] for row in used}))}:",
        "",
        f"- {count[judge.PROVEN]} are proven.",
        f"- {count[judge.FAILED]} are `Failed`; of {stock_fails} of them stock tools do not give everything back either.",
        f"- {count[judge.INCONCLUSIVE]} are `Inconclusive`" + reasons(used, judge.INCONCLUSIVE),
        f"- {count[judge.UNPROVEN]} are equal as far as they were compared, and not proven" + reasons(used, judge.UNPROVEN),
        f"- {count[judge.REFUSED] + count[judge.TIMED_OUT]} have no backup or no drill that ended" + reasons(used, judge.REFUSED),
        f"- {whole} come back whole with stock tools; {len(used) - whole} do not.",
    ]
    false = [row for row in used if row["wrong"].startswith("false")]
    if false:
        lines += ["", f"**{len(false)} of the verdicts are false**: " + ", ".join(f"{title(row['name'])} on {row['major']} ({row['wrong']})" for row in false) + "."]
    return "\n".join(lines)


def reasons(rows, verdict):
    """How often each reason."""
    count = Counter(row["reason"] for row in rows if row["verdict"] == verdict and row["reason"])
    return (": " + ", ".join(f"{number} `{reason}`" for reason, number in count.most_common()) if count else "") + "."


def page(rows):
    """The whole of docs/extensions.md."""
    majors = sorted({major for _, major in rows})
    names = sorted({name for name, _ in rows}, key=lambda name: (name.partition("@")[0].lower(), name))
    out = [HEAD, "## In figures", "", summary(rows), "", "## One by one", "",
           "| database | " + " | ".join(f"PostgreSQL {major}" for major in majors) + " | what any dump loses |",
           "|---|" + "---|" * len(majors) + "---|"]
    idle = []
    for name in names:
        here = [rows.get((name, major)) for major in majors]
        tried = [row for row in here if row and row["verdict"] != "NotUsed"]
        if not tried:
            idle.append((name, next(row for row in here if row)))
            continue
        says = next((row["says"] for row in tried if row["says"]), "")
        lost = next((row["lost"] for row in tried if row["lost"]), "")
        words = ". ".join(text[0].upper() + text[1:] for text in (says, lost) if text)
        out.append(f"| {title(name)} | " + " | ".join(cell(row) for row in here) + f" | {words or 'nothing'} |")
    if idle:
        out += ["", "## Not tried", "", "Their databases could not be made here.", "", "| extension | what it said |", "|---|---|"]
        out += [f"| {title(name)} | {row['message']} |" for name, row in idle]
    return "\n".join(out) + "\n"


def main():
    """Takes, writes, draws."""
    rows = read()
    for path in sys.argv[1:]:
        take(rows, path)
    if sys.argv[1:]:
        lines = ["\t".join(COLUMNS)] + ["\t".join(row.get(column, "") for column in COLUMNS) for _, row in sorted(rows.items())]
        RESULTS.write_text("\n".join(lines) + "\n")
    PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
