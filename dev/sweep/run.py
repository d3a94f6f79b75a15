#!/usr/bin/env -S python3 -B
"""dev/sweep/run.py extensions|regress|files …: databases through the mill, one after the other. Called by the scripts beside it.

Each result is one line of JSON in <work>/results.jsonl. What is there for the same program and the same recipe is not done again.
Exit code 1: some verdict was false (`Failed` though stock tools give everything back, or proven though a restore loses something).
"""

import argparse
import hashlib
import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import generic
import judge
import mill as mills
import regress
from mill import HERE, NotUsable, Server, TimedOut
from recipe import Recipe


def one(mill, recipe, fill, tries):
    """One database through the mill. `fill(server)` makes it."""
    row, began = {}, time.monotonic()
    mill.begin()
    database = recipe.database
    try:
        with Server(mill, "source", "\n".join(recipe.settings)) as source:
            if database != "postgres":
                source.psql("postgres", "-qc", f'CREATE DATABASE "{database}" TEMPLATE template0')
            fill(source)
            row["errorsMaking"] = getattr(recipe, "errors", 0)
            row["version"] = source.psql(database, "-Atqc", f"SELECT extversion FROM pg_extension WHERE extname = '{recipe.extension}'").stdout.strip()
            before = source.census(database)
            row["facts"] = sum(len(values) for values in before.values())
            if not tries:
                raise NotUsable("made, and nothing else was asked for")
            prefix = by_lifeboat(mill, source, database, tries, row)
            by_stock(mill, recipe, source, database, before, row)
            if row["verdict"] == judge.PROVEN and row["stock"] not in ("equal", "prints otherwise"):
                by_restore(mill, recipe, prefix, database, before, row)
    except TimedOut as error:
        row.setdefault("verdict", judge.TIMED_OUT)
        row.setdefault("stock", "timed out")
        row["message"] = row.get("message") or f"{error} was still running after {mill.seconds} s"
    except NotUsable as error:
        row.update(verdict="NotUsed", stock="", message=str(error)[:600])
    crash = mills.crash(mill, "source")
    if crash and row.get("verdict") != "NotUsed":
        row.update(verdict=judge.ENDED, reason="", message=crash)
    for name in ("store", "source", "stock", "given"):
        shutil.rmtree(mill.work / name, ignore_errors=True)
    row["wrong"] = judge.wrong(row)
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


def by_lifeboat(mill, source, database, tries, row):
    """Backup and drill; several drills of one backup must say the same."""
    prefix, said, manifest = mills.backup(mill, source, database)
    row["backupSaid"] = said
    if prefix is None:
        row.update(verdict=judge.REFUSED, reason=said.removeprefix("lifeboat: ").split(":")[0], message=said)
        return None
    row["leftOut"] = manifest.get("counts", {}).get("leftOut", 0)
    verdicts = []
    for _ in range(tries):
        proof, said = mills.drill(mill)
        if proof is None:
            row.update(verdict=judge.INCONCLUSIVE, reason="NoProof", message=said)
            return prefix
        verdict = {"Passed": judge.PROVEN if proof.get("proves") else judge.UNPROVEN}.get(proof["result"], proof["result"])
        verdicts.append(verdict)
        # The worst is kept.
        if "verdict" not in row or verdict == judge.FAILED or row["verdict"] == judge.PROVEN:
            row.update(verdict=verdict, reason=proof["reason"], message=proof["message"][:1500],
                       differences=proof.get("differences", [])[:30], errors=proof.get("errors", [])[:10],
                       notes=proof.get("notes", [])[:20], notCompared=proof.get("notCompared", [])[:20])
    if len(set(verdicts)) > 1:
        row["verdicts"] = verdicts
    return prefix


def by_stock(mill, recipe, source, database, before, row):
    """pg_dump and pg_restore."""
    text = source.text_dump(database)
    with Server(mill, "stock", "\n".join([*recipe.settings, mills.STILL])) as target:
        errors = mills.stock(mill, source, database, target)
        try:
            lost, printed, more = judge.differences(before, target.census(database))
            dump = judge.text_differences(text, target.text_dump(database))
        except NotUsable as error:
            errors, lost, printed, more, dump = errors + [str(error)], ["database: not there"], [], [], []
    row.update(stock=judge.stock_state(errors, lost, printed, more, dump), stockErrors=errors[:10],
               lost=lost[:30], printed=printed[:20], more=more[:20], dump=dump)


def by_restore(mill, recipe, prefix, database, before, row):
    """It is proven, and stock tools lose something: then only what `lifeboat restore` gives back can tell whether that is true."""
    with Server(mill, "given", "\n".join([*recipe.settings, mills.STILL])) as target:
        row["restoreSaid"] = mills.give_back(mill, prefix, target, database)
        try:
            lost, _, more = judge.differences(before, target.census(database))
        except NotUsable as error:
            lost, more = [str(error)], []
        row["restoreLost"] = (lost + more)[:30]


def fill_by(recipe):
    """Runs the recipe's SQL; the first error ends it."""
    def fill(server):
        said = server.psql(recipe.database, "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", feed=recipe.text)
        if said.returncode:
            raise NotUsable(f"{said.stderr.strip()[-500:]}")
    return fill


def fill_from(path, recipe):
    """Runs a file of somebody else's SQL as psql does, errors and all; how many there were is told."""
    def fill(server):
        # Another database or file, or a program of this machine, is nothing that a schema needs. `\.` and `\N` belong to COPY.
        lines = [line for line in path.read_text(encoding="utf-8", errors="replace").split("\n")
                 if not re.match(r"\\(?![.N])|\s*(CREATE|DROP)\s+DATABASE\b", line, flags=re.I)]
        said = server.psql(recipe.database, "-q", "-f", "-", feed="\n".join(lines) + "\n")
        server.psql(recipe.database, "-q", "-f", "-", feed=generic.ROWS)
        count = server.psql(recipe.database, "-Atqc", "SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v')").stdout.strip()
        recipe.errors = said.stderr.count("ERROR:")
        if count in ("", "0"):
            raise NotUsable(f"no table was made; {recipe.errors} errors, the first: {said.stderr.strip()[:300]}")
    return fill


def extensions(mill, major, only):
    """Every extension of the root, by its own recipes or by a general one."""
    with Server(mill, "ask") as server:
        said = server.psql("postgres", "-AtqF", "\t", "-c", "SELECT name, default_version FROM pg_available_extensions ORDER BY name")
    # `postgis-3` and its like are only the files that `postgis` is made of.
    names = [line.split("\t")[0] for line in said.stdout.splitlines() if not re.search(r"-\d$|^plpgsql$|--", line.split("\t")[0])]
    for name in names:
        own = sorted((HERE / "use").glob(f"{name}.sql")) + sorted((HERE / "use").glob(f"{name}@*.sql"))
        recipes = [Recipe(path.stem, path.read_text(), major) for path in own]
        for recipe in recipes or [Recipe(name, generic.recipe(name), major)]:
            if recipe.majors and str(major) not in recipe.majors:
                continue
            if not only or recipe.name in only or recipe.extension in only:
                yield recipe, fill_by(recipe)
    for path in sorted((HERE / "use").glob("*.sql")):
        # Libraries without CREATE EXTENSION.
        recipe = Recipe(path.stem, path.read_text(), major)
        library = recipe.extension
        if library not in names and (mill.root / f"usr/lib/postgresql/{major}/lib/{library}.so").exists() and (not only or recipe.name in only):
            yield recipe, fill_by(recipe)


def files(folder, major, only):
    """Every SQL file of a folder, one database each."""
    for path in sorted(Path(folder).rglob("*.sql")):
        name = str(path.relative_to(folder).with_suffix(""))
        if not only or name in only:
            head = path.read_text(errors="replace")
            recipe = Recipe(name, head, major, extension="")
            recipe.settings, recipe.database = [], "shop"
            yield recipe, fill_from(path, recipe)


def main():
    """Sees what there is to do, does it, and says what was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["extensions", "regress", "files"])
    parser.add_argument("--root", required=True)
    parser.add_argument("--major", required=True, type=int)
    parser.add_argument("--work", required=True)
    parser.add_argument("--lifeboat", required=True)
    parser.add_argument("--folder")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--again", action="store_true", help="also what is done already")
    parser.add_argument("--drills", type=int, default=1, help="drills of each backup; a race shows only in several. 0: only makes the databases, to try recipes")
    parser.add_argument("--seconds", type=int, default=300, help="time for one database")
    args = parser.parse_args()
    # Asked to stop, it ends its servers first; a shell lets its background jobs ignore SIGINT.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit("stopped; what is done is kept"))
    program = hashlib.sha256(Path(args.lifeboat).read_bytes()).hexdigest()[:12]
    results = Path(args.work) / "results.jsonl"
    mill = mills.Mill(args.root, args.work, args.lifeboat, args.seconds)
    done = {}
    if results.exists():
        for line in results.read_text().splitlines():
            row = json.loads(line)
            done[row["name"], row["major"], row["program"], row["recipe"]] = row
    todo = {"extensions": lambda: extensions(mill, args.major, args.only),
            "regress": lambda: regress.databases(mill, args.major),
            "files": lambda: files(args.folder, args.major, args.only)}[args.what]()
    rows = []
    for recipe, fill in todo:
        key = (recipe.name, args.major, program, recipe.digest())
        row = done.get(key)
        if row is None or args.again:
            row = {"name": recipe.name, "extension": recipe.extension, "major": args.major, "program": program, "recipe": recipe.digest(), "says": recipe.says}
            row.update(one(mill, recipe, fill, args.drills))
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        # What was done before may have been judged by an older rule.
        row["wrong"] = judge.wrong(row)
        rows.append(row)
        word = f"  <== {row['wrong']}" if row["wrong"] else f"  {row['message']}" if row["verdict"] == "NotUsed" else ""
        print(f"{args.major} {row['name']:34} {row['verdict']:13} stock: {row['stock']:17} {row['seconds']:6} s{word}", flush=True)
    false = [row for row in rows if row["wrong"].startswith("false")]
    print(f"{len(rows)} databases, {sum(row['verdict'] == judge.PROVEN for row in rows)} proven, {len(false)} verdicts are false")
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
