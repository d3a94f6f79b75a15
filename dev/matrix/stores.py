"""The measuring half of dev/matrix/stores: each server in turn, each check against it, each outcome as it was seen."""

import argparse
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import page
from wire import Wire

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from bench import BIN, Server, free_port, quiet  # noqa: E402  (its folder is known only now)

BUCKET = "shop"
# Letters that a key may hold and that somebody may encode wrongly. As it is written in a location, so encoded.
ODD = urllib.parse.quote("od d+%xé'()!*~&=?#b@:,;$", safe="")
# Rows of random bytes in the large database, which make a backup of two parts.
LARGE_ROWS = 190
# For one program.
SECONDS = 180


class Recipe:
    """What dev/matrix/servers/<name>.bash says in its head."""

    def __init__(self, path):
        self.name = path.stem
        head = page.heads()[self.name]
        self.keys = head.get("key", ["matrix-key"])[0], head.get("secret", ["matrix-secret-key"])[0]

    def run(self, what, **more):
        """dev/matrix/recipe, to its end."""
        return subprocess.run([HERE / "recipe", self.name, what], text=True, errors="replace", capture_output=True, timeout=1800, check=False, **more)


def recipes():
    """All of them, by name."""
    return {path.stem: Recipe(path) for path in sorted((HERE / "servers").glob("*.bash"))}


class Store:
    """A server that runs, with its bucket."""

    def __init__(self, recipe, folder):
        self.recipe, self.port = recipe, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        data = folder / "store"
        data.mkdir()
        self.log = folder / "store.log"
        (key, secret) = recipe.keys
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [HERE / "recipe", recipe.name, "start"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "PORT": str(self.port), "DATA": str(data), "KEY": key, "SECRET": secret, "BUCKET": BUCKET})
        self.client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30, response_checksum_validation="when_required",
                          s3={"addressing_style": "path"}))

    def ready(self):
        """Waits until the bucket takes an object."""
        end, error = time.monotonic() + 90, None
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.bucket()
                self.client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
                return
            except (BotoCoreError, ClientError) as refused:
                error = refused
                time.sleep(0.2)
        log = self.log.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(log[-1] if log else f"it did not start: {error}")

    def bucket(self):
        """Makes it, where it is not there."""
        try:
            self.client.head_bucket(Bucket=BUCKET)
        except ClientError:
            self.client.create_bucket(Bucket=BUCKET)

    def location(self, prefix, endpoint=None):
        """As `--to` and `--from` take it."""
        return f"s3://{BUCKET}/{prefix}?endpoint={endpoint or self.endpoint}"

    def stop(self):
        """Ends it and all that it started. Some of that has made itself a session of its own (Swift), so each is ended by its number."""
        started = family(self.process.pid)
        for ask in (signal.SIGTERM, signal.SIGKILL):
            for pid in started:
                try:
                    os.kill(pid, ask)
                except ProcessLookupError:
                    pass
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


def family(pid):
    """A process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of a program may hold anything, but ends with the last bracket.
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            pass
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


class Ended:
    """How a program ended."""

    def __init__(self, process, out, err):
        self.code, self.out = process.returncode, out
        lines = [line for line in err.strip().splitlines() if not re.search(r"B/s\s*$", line)]
        self.said = "\n".join(lines)

    def json(self):
        """What it printed, if that is JSON."""
        try:
            return json.loads(self.out[self.out.index("{"):])
        except ValueError:
            return {}

    def why(self):
        """The sentence of a failure."""
        lines = [line for line in self.said.splitlines() if line.startswith("lifeboat: ")] or self.said.splitlines()[-1:]
        return lines[0].removeprefix("lifeboat: ") if lines else f"exit code {self.code}"


class NotSo(Exception):
    """The outcome of a check that did not go as promised, and what was said."""

    def __init__(self, said, outcome="no"):
        super().__init__(said)
        self.outcome, self.said = outcome, said


class Case:
    """One server, one source, and the checks. Each check returns (outcome, what was said)."""

    def __init__(self, store, source, folder, lifeboat):
        self.store, self.source, self.folder, self.lifeboat, self.small = store, source, folder, lifeboat, []
        made = quiet("age-keygen").stdout
        self.recipient = re.search(r"public key: (age1\w+)", made)[1]
        self.identity = folder / "identity.txt"
        self.identity.write_text(made)
        key, secret = store.recipe.keys
        self.environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "TMPDIR": str(folder), "AWS_ACCESS_KEY_ID": key,
                            "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}

    # How the program is run.

    def begin(self, *arguments, **environment):
        """Starts lifeboat."""
        return subprocess.Popen([self.lifeboat, *map(str, arguments)], env={**self.environment, **environment}, cwd=self.folder, text=True,
                                errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process):
        """Waits for it."""
        try:
            return Ended(process, *process.communicate(timeout=SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise NotSo(f"still at work after {SECONDS} s") from None

    def run(self, *arguments, **environment):
        """lifeboat, to its end."""
        return self.end(self.begin(*arguments, **environment))

    def uri(self, database):
        """A database of the source."""
        return f"postgresql://postgres@/{database}?host={self.source.folder}&sslmode=disable"

    def backup_arguments(self, database, to):
        return ["backup", "--database", self.uri(database), "--to", to, "--recipient", self.recipient, "--postgres-bin", BIN, "--json"]

    def backup(self, database, to):
        """The manifest of a backup that was made."""
        ended = self.run(*self.backup_arguments(database, to))
        if ended.code:
            raise NotSo(ended.why())
        return ended.json()

    def drill(self, at, prefix, *more):
        """The proof."""
        ended = self.run("drill", "--from", at, prefix, "--identity", self.identity, "--postgres-bin", BIN, "--json", *more)
        return ended.json() or {"result": "no proof", "reason": "", "message": ended.why()}, ended

    def proven(self, at, prefix, *more):
        """The same, where it has to be proven."""
        proof, ended = self.drill(at, prefix, *more)
        if not proof.get("proves"):
            raise NotSo(f"{proof['result']} {proof['reason']}: {proof['message']}")
        return ended

    def probe(self, **differently):
        """What a worker's probe says: its result, as the operator reads it."""
        key, secret = differently.pop("keys", self.store.recipe.keys)
        keys = Path(tempfile.mkdtemp(dir=self.folder))
        (keys / "access-key-id").write_text(key)
        (keys / "secret-access-key").write_text(secret)
        store = {"bucket": BUCKET, "prefix": "probe", "region": None, "endpoint": self.store.endpoint, "addressing": "Auto", "ca": None,
                 "secretName": "matrix", "dir": str(keys), "encryption": "None", "recipients": [], **differently}
        task = {"version": 1, "deadlineSeconds": SECONDS, "work": {"kind": "probe", "store": store}}
        result = keys / "result"
        ended = self.run("work", "--result", result, LIFEBOAT_TASK=json.dumps(task), POD_UID="0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
        if not result.exists():
            raise NotSo(ended.why())
        return json.loads(result.read_text())

    # The checks.

    def two(self):
        """Two backups of a small database."""
        self.small = [self.backup("small", self.store.location("one"))["prefix"] for _ in range(2)]
        return "yes", ""

    def needs_a_backup(self):
        """What is not there cannot be looked at."""
        if not self.small:
            raise NotSo("there is no backup", "–")

    def look(self):
        """list has both, inspect reads both."""
        self.needs_a_backup()
        at = self.store.location("one")
        ended = self.run("list", "--from", at, "--json")
        missing = [prefix for prefix in self.small if prefix not in ended.out]
        if ended.code or missing:
            raise NotSo(ended.why() if ended.code else f"list does not show {missing}")
        for prefix in self.small:
            ended = self.run("inspect", "--from", at, prefix, "--identity", self.identity, "--json")
            if ended.code:
                raise NotSo(ended.why())
        return "yes", ""

    def prove(self):
        """A drill, whose proof is kept and read again."""
        self.needs_a_backup()
        at = self.store.location("one")
        ended = self.proven(at, self.small[0], "--keep-proof")
        report = self.run("report", "--from", at, self.small[0], "--format", "json")
        if report.code or not report.json().get("proves"):
            raise NotSo(report.why() if report.code else f"the report does not say so: {ended.why()}")
        return "yes", ""

    def back(self):
        """A restore, which compares everything by itself."""
        self.needs_a_backup()
        self.source.sql("drop database if exists back", "create database back")
        ended = self.run("restore", "--from", self.store.location("one"), self.small[1], "--identity", self.identity, "--into", self.uri("back"),
                         "--postgres-bin", BIN)
        if ended.code:
            raise NotSo(ended.why())
        return "yes", ""

    def parts(self):
        """A backup in several parts, and its drill."""
        at = self.store.location("large")
        self.proven(at, self.backup("large", at)["prefix"])
        return "yes", ""

    def odd(self):
        """A prefix of odd letters."""
        at = self.store.location(ODD)
        prefix = self.backup("small", at)["prefix"]
        listed = self.run("list", "--from", at, "--json")
        if prefix not in listed.out:
            raise NotSo(f"list does not show it: {listed.why() if listed.code else listed.out[:200]}")
        self.proven(at, prefix)
        return "yes", ""

    def many(self):
        """More attempts in a directory than a page of the listing holds."""
        runs = [f"many.db/20260101T{n // 60 % 24:02}{n % 60:02}{n // 1440:02}Z-{n:012x}" for n in range(1050)]
        with ThreadPoolExecutor(4) as puts:
            list(puts.map(lambda run: self.store.client.put_object(Bucket=BUCKET, Key=f"many/{run}/dump.pgc", Body=b"x"), runs))
        ended = self.run("list", "--from", self.store.location("many"), "--limit", "5000", "--json")
        found = sum(run in ended.out for run in runs)
        if found != len(runs):
            raise NotSo(ended.why() if ended.code else f"{found} of {len(runs)} are listed")
        return "yes", ""

    def told(self):
        """What Lifeboat says of conditional writes."""
        result = self.probe()
        said = (result.get("probe") or {}).get("conditionalWrites")
        word = {True: "yes", False: "no", None: "unknown"}[said]
        return word, "" if result["reason"] == "Succeeded" else f"{result['reason']}: {result['message']}"

    def put_twice(self):
        """What is true of them: two puts, and what is there afterwards."""
        client, key = self.store.client, "twice"
        client.delete_object(Bucket=BUCKET, Key=key)
        client.put_object(Bucket=BUCKET, Key=key, Body=b"1", IfNoneMatch="*")
        said = self.refusal(lambda: client.put_object(Bucket=BUCKET, Key=key, Body=b"2", IfNoneMatch="*"))
        return self.kept(key, said)

    def complete_twice(self):
        """The same where an upload in parts is completed. Lifeboat does not rely on it."""
        client, key = self.store.client, "completed twice"
        client.put_object(Bucket=BUCKET, Key=key, Body=b"1")
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        tag = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"2")["ETag"]
        said = self.refusal(lambda: client.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload, IfNoneMatch="*", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}))
        return self.kept(key, said)

    def kept(self, key, said):
        """Whether the first of two is still there."""
        is_first = self.store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"1"
        if said and is_first:
            return "yes", said
        return ("no", f"refused ({said}), and overwritten") if said else ("no", "overwritten in silence" if not is_first else "accepted, and not written")

    @staticmethod
    def refusal(request):
        """The code of a refusal; empty if there was none."""
        try:
            request()
            return ""
        except ClientError as error:
            return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error'].get('Code', '')}".strip()

    def checksum(self):
        """A checksum that does not belong to the body."""
        said = self.refusal(lambda: self.store.client.put_object(Bucket=BUCKET, Key="sum", Body=b"body", ChecksumCRC32="AAAAAA=="))
        return ("yes", said) if said else ("no", "accepted")

    def flip(self):
        """A bit of the first part is another when it arrives."""
        wire = Wire(self.store.port, lambda number: "flip" if number == 1 else None)
        try:
            to = self.store.location("flip", wire.endpoint)
            ended = self.run(*self.backup_arguments("large", to))
            if not wire.large:
                raise NotSo("there is no backup", "–")
            status = wire.answers[0] if wire.answers else None
            if ended.code:
                return "no", f"answered {status}, and the backup failed: {ended.why()}"
            proof, _ = self.drill(self.store.location("flip"), ended.json()["prefix"])
        finally:
            wire.stop()
        verdict = "proven" if proof.get("proves") else f"{proof['result']} {proof['reason']}"
        if status and status >= 400 and proof.get("proves"):
            return "yes", f"{status}, and the part is sent again"
        return "no", f"stored ({status}); a drill says {verdict}"

    def stopped(self):
        """Told to stop while a part is on its way: what stays."""
        wire = Wire(self.store.port, lambda number: "hold" if number == 2 else None)
        try:
            process = self.begin(*self.backup_arguments("large", self.store.location("stopped", wire.endpoint)))
            end = time.monotonic() + SECONDS
            while not wire.holds.wait(0.2) and process.poll() is None and time.monotonic() < end:
                pass
            process.send_signal(signal.SIGTERM)
            ended = self.end(process)
            if not wire.holds.is_set():
                raise NotSo("there is no backup", "–")
        finally:
            wire.stop()
        key = urllib.parse.unquote(wire.paths[0].split("?")[0]).split("/", 2)[2]
        there = [item["Key"] for item in self.store.client.list_objects_v2(Bucket=BUCKET, Prefix="stopped/").get("Contents", [])]
        untold = ""
        try:
            uploads = [item["Key"] for item in self.store.client.list_multipart_uploads(Bucket=BUCKET, Prefix=key).get("Uploads") or []]
        except ClientError as error:
            uploads, untold = [], error.response["Error"].get("Code")
        if ended.code == 0 or any(item.endswith("manifest.json") for item in there):
            raise NotSo(f"a backup was committed: {there}")
        if there or uploads:
            return "no", f"stays: {len(there)} objects, open uploads: {', '.join(uploads) or 'none'}"
        return ("unknown", f"no object; of open uploads it does not tell ({untold})") if untold else ("yes", "")

    def refused(self, **differently):
        """The reason of a probe that should not succeed."""
        result = self.probe(**differently)
        # What fails later, fails with the right ones too.
        if result["reason"] == "Succeeded" or (result.get("probe") or {}).get("credentialsValid"):
            return "accepted", ""
        return result["reason"], result["message"]

    def wrong_secret(self):
        return self.refused(keys=(self.store.recipe.keys[0], "another-secret-key"))

    def wrong_key(self):
        return self.refused(keys=("another-key", self.store.recipe.keys[1]))

    def no_bucket(self):
        return self.refused(bucket="shop-gone")

    def wrong_region(self):
        return self.refused(region="eu-central-1")


CHECKS = ["two", "look", "prove", "back", "parts", "odd", "many", "told", "put_twice", "complete_twice", "checksum", "flip", "stopped",
          "wrong_secret", "wrong_key", "no_bucket", "wrong_region"]


def measure(recipe, source, lifeboat, only):
    """All checks of one server: rows of the table."""
    version = recipe.run("version").stdout.strip()
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()

    def row(check, outcome, said):
        print(f"  {recipe.name:16} {check:15} {outcome:24} {said}", flush=True)
        return {"server": recipe.name, "version": version, "date": today, "check": check, "outcome": outcome, "said": page.clean(said)}

    installed = recipe.run("install")
    if installed.returncode:
        lines = [line for line in (installed.stderr or installed.stdout).strip().splitlines() if line.strip()]
        return [row("install", "no", next((line for line in lines if re.search("error", line, flags=re.I)), lines[-1] if lines else ""))]
    folder = Path(tempfile.mkdtemp(prefix="lifeboat-matrix-"))
    folder.chmod(0o777)
    store, rows = Store(recipe, folder), []
    try:
        store.ready()
        case = Case(store, source, folder, lifeboat)
        for check in CHECKS:
            if only and check not in only:
                continue
            try:
                outcome, said = getattr(case, check)()
            except NotSo as error:
                outcome, said = error.outcome, error.said
            except (BotoCoreError, ClientError) as error:
                outcome, said = "no", str(error)
            rows.append(row(check, outcome, without_places(said, store, folder)))
    except RuntimeError as error:
        rows.append(row("start", "no", without_places(str(error), store, folder)))
    finally:
        store.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def without_places(text, store, folder):
    """Ports and folders are others each time."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text.replace(str(folder), "…").replace(str(store.port), "…"))


def fill(source):
    """A small database, and one whose backup takes several parts."""
    source.sql("create database small", "create database large")

    def sql(database, text):
        quiet(BIN / "psql", "-XAtq", "-h", source.folder, "-U", "postgres", "-d", database, "-c", text, cwd=source.folder)

    sql("small", "create table orders (id int generated always as identity primary key, at timestamptz default now(), note text unique);"
        "insert into orders (note) select 'order ' || n from generate_series(1, 2000) n;"
        "create view latest as select * from orders order by id desc limit 10; create index on orders (at)")
    sql("large", "create table noise as select n, (select string_agg(uuid_send(gen_random_uuid()), ''::bytea) from generate_series(1, 6400 + n * 0)) as bytes "
        f"from generate_series(1, {LARGE_ROWS}) n")


def main():
    """Measures, keeps the results, draws the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--checks", nargs="*", default=[])
    parser.add_argument("--no-page", action="store_true")
    args = parser.parse_args()
    known = recipes()
    strangers = [name for name in args.only if name not in known] + [check for check in args.checks if check not in CHECKS]
    if strangers:
        sys.exit(f"matrix: unknown: {', '.join(strangers)}")
    # Asked to stop, it ends its servers first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("matrix: stopped"))
    folder = Path(tempfile.mkdtemp(prefix="lifeboat-matrix-source-"))
    folder.chmod(0o777)
    source = Server(folder, 1)
    try:
        fill(source)
        for name in args.only or known:
            rows = measure(known[name], source, os.environ["LIFEBOAT"], args.checks)
            if not args.no_page:
                page.keep(rows, whole=not args.checks)
    finally:
        source.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if not args.no_page:
        page.write()


if __name__ == "__main__":
    main()
