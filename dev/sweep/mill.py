"""One database through the mill: a server of its own, a backup, a drill, and the same by stock tools.

A library of dev/sweep/run.py. Every program runs inside a root folder of Debian (dev/sweep/root) by way of dev/sweep/enter; what is
written lies in one work folder, which is /mnt/work for those programs.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from recipe import CENSUS

HERE = Path(__file__).resolve().parent
# Enough for any extension here, and little enough for two servers at a time on a small machine.
SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
autovacuum = off
jit = off
shared_buffers = 48MB
max_connections = 60
max_worker_processes = 24
max_prepared_transactions = 10
max_locks_per_transaction = 256
wal_level = logical
track_commit_timestamp = on
"""
# In the server that stock tools restore into nothing may begin to work by itself, and least of all reach the source.
STILL = """
cron.launch_active_jobs = off
pg_partman_bgw.interval = 86400
timescaledb.max_background_workers = 0
max_logical_replication_workers = 0
"""


class TimedOut(Exception):
    """The time of this database is over."""


class NotUsable(Exception):
    """The database could not be made as its recipe says: nothing is said about it."""


class Mill:
    """A root folder, a work folder, and the program under test."""

    def __init__(self, root, work, lifeboat, seconds):
        self.root, self.work, self.seconds = Path(root), Path(work), seconds
        self.work.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.work / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another run works in {self.work}") from None
        owner = (self.root / "etc/passwd").read_text().split("\npostgres:x:")[1].split(":")
        self.uid, self.gid = int(owner[0]), int(owner[1])
        os.chown(self.work, self.uid, self.gid)
        os.chmod(self.work, 0o700)
        binary = self.work / "lifeboat"
        shutil.copyfile(lifeboat, binary.with_suffix(".new"))
        os.chmod(binary.with_suffix(".new"), 0o755)
        binary.with_suffix(".new").rename(binary)
        self.deadline = time.monotonic() + seconds
        if not (self.work / "template/PG_VERSION").exists():
            shutil.rmtree(self.work / "template", ignore_errors=True)
            made = self.run(["initdb", "-D", "/mnt/work/template", "-A", "trust", "-N", "-U", "postgres", "-E", "UTF8",
                             "--locale=C.UTF-8", "--wal-segsize=1"])
            if made.returncode:
                raise SystemExit(f"initdb: {made.stderr}")

    def begin(self):
        """The clock of the next database."""
        self.deadline = time.monotonic() + self.seconds

    def run(self, command, feed=None, out=None, extra=0):
        """Runs a program in the root; when the time is over it ends with all it started. `extra`: seconds beyond the deadline."""
        left = self.deadline + extra - time.monotonic()
        if left <= 0:
            raise TimedOut(command[0])
        with subprocess.Popen([HERE / "enter", self.root, self.work, *command], text=True, errors="replace",
                              stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
                              stdout=out or subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(feed, timeout=left)
            except subprocess.TimeoutExpired as error:
                # Its process table goes with it.
                process.kill()
                process.communicate()
                raise TimedOut(command[0]) from error
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Server:
    """A fresh server; a context manager, so that it always ends."""

    def __init__(self, mill, name, settings=""):
        self.mill, self.name, self.settings = mill, name, settings
        self.data, self.socket = mill.work / name / "data", f"/mnt/work/{name}"
        self.process = None

    def __enter__(self):
        folder = self.data.parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chown(folder, self.mill.uid, self.mill.gid)
        subprocess.run(["cp", "-a", "--reflink=auto", self.mill.work / "template", self.data], check=True)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"{SETTINGS}unix_socket_directories = '{self.socket}'\n{self.settings}\n")
        self.start()
        return self

    def start(self):
        """Starts it, and waits until it answers."""
        log = open(self.data.parent / "log", "a", encoding="utf-8")
        with log:
            self.process = subprocess.Popen(
                [HERE / "enter", "--stay", self.mill.root, self.mill.work, "postgres", "-D", f"/mnt/work/{self.name}/data"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 60
        # Its own word is cheaper than asking: each question is a process in a namespace.
        while "ready to accept connections" not in (self.data.parent / "log").read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > until:
                raise NotUsable(f"the server did not start: {self.log_end()}")
            time.sleep(0.1)

    def log_end(self):
        """The last words of its log."""
        lines = (self.data.parent / "log").read_text(errors="replace").splitlines()
        return " / ".join(line for line in lines if re.search("FATAL|PANIC|ERROR", line))[-400:]

    def stop(self):
        """Ends it: asked, then made."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def psql(self, database, *arguments, feed=None):
        """psql in a database of it."""
        return self.mill.run(["psql", "-X", "-h", self.socket, "-U", "postgres", "-d", database, *arguments], feed=feed)

    def census(self, database):
        """Every fact of census.sql: (kind, name, property) → values."""
        said = self.psql(database, "-qAt0", "-f", "-", feed=CENSUS)
        facts = {}
        for record in said.stdout.split("\0"):
            fields = record.split("\x1f")
            if len(fields) == 4:
                facts.setdefault(tuple(fields[:3]), []).append(fields[3])
        if not facts:
            raise NotUsable(f"the census of {self.name} failed: {said.stderr[:300]}")
        for line in said.stderr.splitlines():
            # A table that cannot be read on one side only is a difference.
            if "ERROR:" in line:
                text = line.split("ERROR:", 1)[1].strip()
                facts.setdefault(("census", text, "exists"), []).append("")
        return {key: sorted(values) for key, values in facts.items()}

    def text_dump(self, database):
        """The lines of a plain dump that say something."""
        said = self.mill.run(["pg_dump", "-h", self.socket, "-U", "postgres", database])
        return [line for line in said.stdout.splitlines() if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))]


def crash(mill, name):
    """What a server's log says of a process of it that crashed, or nothing."""
    log = mill.work / name / "log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.split("LOG:", 1)[1].strip() for line in lines if "LOG:" in line and "was terminated by signal" in line), "")


def said_by(process):
    """What the program said, without the lines that tell how far it is."""
    lines = [line for line in (process.stderr.strip() or process.stdout.strip()).splitlines() if not re.search(r"B/s\s*$", line)]
    return "\n".join(lines)[-1500:]


def backup(mill, server, database):
    """`lifeboat backup`: (folder in the store or None, what it printed, the manifest or None)."""
    shutil.rmtree(mill.work / "store", ignore_errors=True)
    (mill.work / "store").mkdir()
    os.chown(mill.work / "store", mill.uid, mill.gid)
    host = server.socket.replace("/", "%2F")
    said = mill.run(["./lifeboat", "backup", "--database", f"postgresql://postgres@{host}/{database}",
                     "--to", "file:///mnt/work/store", "--unencrypted", "--directory", "sweep", "--json"])
    if said.returncode:
        return None, said_by(said), None
    try:
        manifest = json.loads(said.stdout[said.stdout.index("{"):])
    except ValueError:
        manifest = {}
    return manifest.get("prefix", "sweep"), "\n".join(line for line in said.stderr.splitlines() if "B/s" not in line)[-1500:], manifest


def drill(mill):
    """`lifeboat drill`: the proof, or what it said instead."""
    said = mill.run(["./lifeboat", "drill", "--from", "file:///mnt/work/store", "sweep", "--json"])
    try:
        return json.loads(said.stdout[said.stdout.index("{"):]), ""
    except ValueError:
        return None, said_by(said)


def stock(mill, source, database, target):
    """Plain pg_dump and pg_restore, the roles by pg_dumpall: the errors."""
    roles = mill.run(["pg_dumpall", "-h", source.socket, "-U", "postgres", "--globals-only"])
    made = target.psql("postgres", "-q", "-f", "-", feed=roles.stdout)
    errors = [line for line in made.stderr.splitlines() if "ERROR:" in line and 'role "postgres" already exists' not in line]
    dumped = mill.run(["pg_dump", "-h", source.socket, "-U", "postgres", "-Fc", "-f", "/mnt/work/stock.dump", database])
    errors += [line for line in dumped.stderr.splitlines() if "error:" in line]
    connect = "template1" if database == "postgres" else "postgres"
    if database == "postgres":
        target.psql("template1", "-qc", "DROP DATABASE postgres WITH (FORCE)")
    restored = mill.run(["pg_restore", "-h", target.socket, "-U", "postgres", "-C", "-d", connect, "/mnt/work/stock.dump"])
    texts = re.split(r"^pg_restore: error: ", restored.stderr, flags=re.M)[1:]
    return errors + [text.strip().split("\nCommand was:")[0][:400] for text in texts]


def give_back(mill, prefix, target, database):
    """`lifeboat restore` into an empty database: what it said if it failed, else nothing."""
    host = target.socket.replace("/", "%2F")
    connect = "template1" if database == "postgres" else "postgres"
    if database == "postgres":
        target.psql("template1", "-qc", "DROP DATABASE postgres WITH (FORCE)")
    target.psql(connect, "-qc", f'CREATE DATABASE "{database}" TEMPLATE template0')
    said = mill.run(["./lifeboat", "restore", "--from", "file:///mnt/work/store", prefix,
                     "--into", f"postgresql://postgres@{host}/{database}"])
    return "" if said.returncode == 0 else said_by(said)
