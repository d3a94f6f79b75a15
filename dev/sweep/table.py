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
    judge.ENDED: "server ended",
}
HEAD = """# Extensions: what a backup of them is worth

Most extensions come back from a dump as they were. Some do not, whatever tool makes the dump: their tables are not marked for it, their triggers change rows while
they are loaded, or their text loses digits. This page says which. Each line is a database that uses the extension for real (types in columns with rows, kinds of
index, configuration tables with rows, functions in views): backed up and drilled by Lifeboat, and, to hold the verdict against something, dumped and restored by
plain `pg_dump` and `pg_restore` into a fresh server, where every object and every row was compared by catalogue.

Written by `make sweep-extensions` from Debian's packages ([dev/sweep](../dev/sweep/extensions)); the databases are made by the files in `dev/sweep/use`.
What the verdicts mean stands in [drill.md](drill.md#the-verdict). `–`: not packaged for this major, or not tried on it.

A verdict is false if the drill says `Failed` and stock tools give everything back, or if it says proven and a restore loses something that neither the backup nor the drill
tells. Where something is lost, nothing is proven: the drill is `Partial` and names it, until it is [accepted by name](drill.md#what-no-dump-holds). Where the last column
names something and the verdict is proven all the same, `lifeboat restore` and a drill give it back, or it is no part of the data.
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
        row["wrong"] = judge.wrong(found)
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
        return "–"
    if row["verdict"] == "NotUsed":
        return "not usable"
    word = VERDICTS.get(row["verdict"], row["verdict"])
    if row["verdict"] in (judge.FAILED, judge.INCONCLUSIVE, judge.REFUSED) and row["reason"]:
        word += f" `{row['reason']}`"
    return " ".join(part for part in (row["version"], f"**{word}**" if row["verdict"] != judge.PROVEN else word) if part)


def summary(rows):
    """The figures on top, a column for each major."""
    majors = sorted({major for _, major in rows})
    used = {major: [row for row in rows.values() if row["major"] == major and row["verdict"] != "NotUsed"] for major in majors}

    def line(what, figure):
        return f"| {what} | " + " | ".join(str(figure(used[major])) for major in majors) + " |"

    def of(verdict):
        return lambda of_major: f"{sum(row['verdict'] == verdict for row in of_major)}{reasons(of_major, verdict)}"

    return "\n".join([
        "| | " + " | ".join(f"PostgreSQL {major}" for major in majors) + " |",
        "|---|" + "---|" * len(majors),
        line("databases", len),
        line("**verdicts that are false**", lambda of_major: sum(is_false(row) for row in of_major)),
        line("proven", of(judge.PROVEN)),
        line("equal, and not proven (`Partial`): what no dump holds is named", lambda of_major: sum(row["verdict"] == judge.UNPROVEN for row in of_major)),
        line("`Inconclusive`", of(judge.INCONCLUSIVE)),
        line("`Failed`, and stock tools do not give everything back either", lambda of_major: sum(row["verdict"] == judge.FAILED and not is_false(row) for row in of_major)),
        line("no backup", of(judge.REFUSED)),
        line("timed out", of(judge.TIMED_OUT)),
        line("no verdict: the database's own server ends while it is read, by any tool", of(judge.ENDED)),
        line("come back whole with stock tools", lambda of_major: sum(row["stock"] in ("equal", "prints otherwise") for row in of_major)),
        line("of those that do: not proven", lambda of_major: sum(row["wrong"] in ("no backup", "not proven") for row in of_major)),
    ] + false_ones(used.values()))


def is_false(row):
    """Failed though stock tools give everything back, or proven though a restore loses something that was not told."""
    return row["wrong"].startswith("false")


def false_ones(used):
    """Each false verdict by name."""
    named = [f"{title(row['name'])} on {row['major']} ({row['wrong']})" for rows in used for row in rows if is_false(row)]
    return ["", "False are: " + ", ".join(named) + "."] if named else []


def reasons(rows, verdict):
    """How often each reason."""
    count = Counter(row["reason"] for row in rows if row["verdict"] == verdict and row["reason"])
    return " (" + ", ".join(f"{number} `{reason}`" for reason, number in count.most_common()) + ")" if count and verdict != judge.PROVEN else ""


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
