"""What a restore gave back, held against the source, and the program's verdict held against that."""

import re
from collections import Counter

# What `lifeboat` said of a database.
PROVEN, UNPROVEN, FAILED, INCONCLUSIVE, REFUSED, TIMED_OUT = "Proven", "Unproven", "Failed", "Inconclusive", "NoBackup", "TimedOut"
# The source's own server ended while it was read, by whatever tool: no verdict.
ENDED = "ServerEnded"


def differences(before, after):
    """(what is lost or other, what is only printed otherwise, what is there besides), each a sorted list of sentences."""
    lost, printed, more = [], [], []
    gone = {key[:2] for key in before if key[2] == "exists"} - {key[:2] for key in after}
    new = {key[:2] for key in after if key[2] == "exists"} - {key[:2] for key in before}
    for key in sorted(set(before) | set(after)):
        kind, name, what = key
        was, now = before.get(key, []), after.get(key, [])
        if was == now:
            continue
        if key[:2] in gone:
            if what == "exists":
                lost.append(f"{kind} {name}: not there")
        elif key[:2] in new:
            if what == "exists":
                more.append(f"{kind} {name}: there only after the restore")
        else:
            a, b = list((Counter(was) - Counter(now)).elements()), list((Counter(now) - Counter(was)).elements())
            line = f"{kind} {name}: {what}: {' | '.join(a) or 'nothing'} -> {' | '.join(b) or 'nothing'}"[:600]
            (printed if what.startswith("text of") else lost).append(line)
    return lost, printed, more


def text_differences(before, after):
    """Lines of two plain dumps that the other has not, at most twenty of each."""
    gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [f"- {line[:300]}" for line in list(gone)[:20]] + [f"+ {line[:300]}" for line in list(new)[:20]]


def stock_state(errors, lost, printed, more, dump):
    """One word for what stock tools did."""
    if errors:
        return "errors"
    if lost or more:
        return "loses"
    return "prints otherwise" if printed or dump else "equal"


def untold(row):
    """What a restore lost and the backup did not say that it leaves out."""
    told = [note.split(" is not in the backup")[0] for note in row.get("notes") or [] if " is not in the backup" in note]
    heads = {line: line.split(": ")[0] for line in row.get("restoreLost") or []}
    # A table is told by its name, everything else with its kind.
    return [line for line, head in heads.items() if head not in told and head.split(" ", 1)[-1] not in told]


def wrong(row):
    """What is wrong with the verdict, in one word, or nothing."""
    verdict, state = row["verdict"], row["stock"]
    same = state in ("equal", "prints otherwise")
    # What is in no dump is to be told at backup; the drill of a backup that came back as the dump says has not failed.
    if verdict == FAILED and (same or state == "loses" and not row.get("dump")):
        return "false Failed"
    if verdict == PROVEN and not same and (untold(row) or row.get("restoreSaid")):
        return "false Passed"
    if verdict == REFUSED and same:
        return "no backup"
    if verdict in (INCONCLUSIVE, UNPROVEN, TIMED_OUT) and same:
        return "not proven"
    return ""


def sentence(row):
    """What any dump loses of this database, for people."""
    errors, lost = row.get("stockErrors", []), row.get("lost", []) + row.get("more", [])
    parts = []
    if lost:
        rows = [re.sub(r"^table (\S+): rows: .*", r"\1", line) for line in lost if ": rows: " in line]
        stands = [line for line in lost if ": stands at: " in line]
        rest = [line for line in lost if ": rows: " not in line and ": stands at: " not in line]
        if rows:
            parts.append(f"rows of {and_more(rows)}")
        if stands:
            parts.append(f"the position of {and_more([line.split(': ')[0] for line in stands])}")
        if rest:
            parts.append(and_more([describe(line) for line in rest], "; "))
    if errors:
        first = re.sub(r"^could not execute query: ERROR:\s*", "", errors[0].splitlines()[0])
        parts.append(f"pg_restore ends with {len(errors)} error{'s' if len(errors) > 1 else ''}, the first: {first[:160]}")
    return "; ".join(parts)


def describe(line):
    """`kind name: property: old -> new`, short."""
    what, _, change = line.partition(": ")
    if change in ("not there", "there only after the restore"):
        return f"{what} {'(lost)' if change == 'not there' else '(made anew)'}"
    return f"{change.partition(': ')[0]} of {what}"


def and_more(names, between=", "):
    """The first three, and how many more."""
    return between.join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
