"""The measuring half of dev/bench: a server, a store, three ways to back up, in turn. dev/matrix has its server from here."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import boto3

# Pairs for each size; more than one, or noise would speak.
ROUNDS = int(os.environ.get("ROUNDS", "5"))
BIN = pathlib.Path(os.environ["ROOT"]) / "host-bin"
KEYS = {"AWS_ACCESS_KEY_ID": "bench-access", "AWS_SECRET_ACCESS_KEY": "bench-secret-key", "AWS_REGION": "us-east-1"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, test, limit=60):
    end = time.monotonic() + limit
    while not test():
        if time.monotonic() > end:
            sys.exit(f"bench: {what}: not within {limit} s")
        time.sleep(0.1)


def quiet(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **more)


class Server:
    """A PostgreSQL 17 on a Unix socket, filled by pgbench."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        self.data = folder / "data"
        quiet(BIN / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", cwd=folder)
        self.process = subprocess.Popen(
            [str(BIN / "postgres"), "-D", str(self.data), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off",
             "-c", "max_wal_size=4GB", "-c", "shared_buffers=512MB"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("postgres", lambda: subprocess.run([str(BIN / "pg_isready"), "-q", "-h", str(folder)], cwd=folder).returncode == 0)
        # pgbench makes about 15 MB a unit of scale; the filler is made to look like data, not like blanks.
        scale = max(1, megabytes // 15)
        quiet(BIN / "pgbench", "-i", "-q", "-I", "dtg", "-s", scale, "-h", folder, "-U", "postgres", "postgres", cwd=folder)
        self.sql("update pgbench_accounts set filler = md5(aid::text) || md5((aid * 7)::text)", "vacuum full pgbench_accounts", "analyze")
        self.bytes = int(self.sql("select pg_database_size('postgres')").strip().splitlines()[-1])

    def sql(self, *statements):
        arguments = [a for s in statements for a in ("-c", s)]
        return quiet(BIN / "psql", "-XAtq", "-h", self.folder, "-U", "postgres", "-d", "postgres", *arguments, cwd=self.folder).stdout

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


class Store:
    """MinIO with one bucket."""

    def __init__(self, folder):
        self.endpoint = f"http://127.0.0.1:{free_port()}"
        (folder / "bench").mkdir(parents=True)
        environment = {**os.environ, "MINIO_ROOT_USER": KEYS["AWS_ACCESS_KEY_ID"], "MINIO_ROOT_PASSWORD": KEYS["AWS_SECRET_ACCESS_KEY"],
                       "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "HOME": str(folder)}
        self.process = subprocess.Popen([os.environ["MINIO"], "server", "--address", self.endpoint[7:], str(folder)],
                                        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                                   aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"])
        until("minio", self.answers)

    def answers(self):
        try:
            self.client.head_bucket(Bucket="bench")
            return True
        except Exception:
            return False

    def empty(self):
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket="bench"):
            for item in page.get("Contents", []):
                self.client.delete_object(Bucket="bench", Key=item["Key"])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def plain(server, store, recipient):
    """pg_dump -Fc | age | multipart upload: what one would write in a shell."""
    began = time.monotonic()
    dump = subprocess.Popen([str(BIN / "pg_dump"), "-Fc", "-Z", "zstd:1", "-h", str(server.folder), "-U", "postgres", "postgres"],
                            stdout=subprocess.PIPE, cwd=server.folder)
    age = subprocess.Popen(["age", "-r", recipient], stdin=dump.stdout, stdout=subprocess.PIPE)
    dump.stdout.close()
    config = boto3.s3.transfer.TransferConfig(multipart_chunksize=16 << 20, multipart_threshold=16 << 20, max_concurrency=2)
    store.client.upload_fileobj(age.stdout, "bench", "plain.age", Config=config)
    if dump.wait() or age.wait():
        sys.exit("bench: the plain dump failed")
    return time.monotonic() - began


PLAIN, COUNTED, HASHED = "pg_dump | age | upload", "lifeboat, no hashes", "lifeboat"


def peak_of(process):
    """Peak resident memory of the process alone in KiB, read until it is gone."""
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1]))
        except (OSError, TypeError):
            pass
        time.sleep(0.02)
    return peak


def ours(server, store, recipient, *more):
    began = time.monotonic()
    environment = {**KEYS, "PATH": f"{BIN}:{os.environ['PATH']}", "AWS_ENDPOINT_URL": store.endpoint, "HOME": str(server.folder)}
    with open(server.folder / "lifeboat.log", "wb") as log:
        process = subprocess.Popen(
            [os.environ["LIFEBOAT"], "backup", "--database", f"postgresql://postgres@/postgres?host={server.folder}&sslmode=disable",
             "--to", "s3://bench/ours", "--recipient", recipient, "--postgres-bin", str(BIN), *more],
            env=environment, stdout=log, stderr=log, cwd=server.folder)
        peak = peak_of(process)
    if process.returncode:
        sys.exit("bench: lifeboat backup failed\n" + (server.folder / "lifeboat.log").read_text()[-2000:])
    return time.monotonic() - began, peak


def measure(megabytes):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-bench-"))
    folder.chmod(0o777)
    key = quiet("age-keygen").stdout
    recipient = re.search(r"public key: (age1\w+)", key)[1]
    store = server = None
    try:
        store = Store(folder / "s3")
        server = Server(folder, megabytes)
        print(f"\ndatabase of {server.bytes / 1e6:.0f} MB, {ROUNDS} rounds of each, in turn; MB/s are of the database's size")
        times = {PLAIN: [], COUNTED: [], HASHED: []}
        peaks = []
        for number in range(ROUNDS):
            for name in (times if number % 2 == 0 else reversed(times)):
                store.empty()
                if name == PLAIN:
                    seconds = plain(server, store, recipient)
                else:
                    seconds, peak = ours(server, store, recipient, *(["--no-content-hash"] if name == COUNTED else []))
                    peaks.append(peak)
                times[name].append(seconds)
        medians = {name: statistics.median(list_) for name, list_ in times.items()}
        for name, list_ in times.items():
            print(f"  {name:<24} median {medians[name]:7.2f} s  (min {min(list_):.2f}, max {max(list_):.2f})  {server.bytes / 1e6 / medians[name]:7.1f} MB/s")
        print(f"  ratio of the medians     {medians[COUNTED] / medians[PLAIN]:.2f} without hashes, {medians[HASHED] / medians[PLAIN]:.2f} with; "
              f"hashing costs {100 * (medians[HASHED] / medians[COUNTED] - 1):.0f} %")
        print(f"  peak memory of lifeboat  median {statistics.median(peaks) / 1024:.0f} MiB, max {max(peaks) / 1024:.0f} MiB")
    finally:
        for part in (server, store):
            if part:
                part.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Application(threading.Thread):
    """A session that does its deeds in turn, with a pause between them, and knows how long the slowest took."""

    def __init__(self, server, *deeds):
        super().__init__(daemon=True)
        self.deeds, self.ends, self.longest = deeds, threading.Event(), 0.0
        self.psql = subprocess.Popen([str(BIN / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(server.folder), "-U", "postgres", "-d", "postgres"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=server.folder)
        self.start()

    def run(self):
        while not self.ends.is_set():
            for deed in self.deeds:
                began = time.monotonic()
                self.psql.stdin.write(f"{deed};\n\\echo done\n")
                self.psql.stdin.flush()
                while (line := self.psql.stdout.readline()) != "done\n":
                    if not line:
                        sys.exit("bench: the application's session ended")
                self.longest = max(self.longest, time.monotonic() - began)
                self.ends.wait(0.3)

    def stop(self):
        self.ends.set()
        self.join()
        self.psql.stdin.close()
        self.psql.wait(10)
        return self.longest


FILL = "insert into ledger select n, n from generate_series(1, 1000) n"
LEDGER = (f"begin; truncate ledger; {FILL}; commit", f"begin; create table coming (like ledger including all); alter table ledger rename to gone; "
          f"alter table coming rename to ledger; drop table gone; {FILL}; commit")


def measure_ledger(backups):
    """How long an application waits that truncates a table, or swaps it for another, every 0.3 s: without a dump, with pg_dump, and with ours."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-bench-"))
    folder.chmod(0o777)
    recipient = re.search(r"public key: (age1\w+)", quiet("age-keygen").stdout)[1]
    store = server = None
    try:
        store = Store(folder / "s3")
        server = Server(folder, 1)
        server.sql("create table ledger (id int primary key, amount int)", *(f"create table t{n} as select a, md5(a::text) from generate_series(1, 100) a"
                                                                             for n in range(300)))
        print(f"\na ledger that is truncated or swapped every 0.3 s, among 300 tables; {backups} dumps of each kind; the longest that a statement took")
        dump = [str(BIN / "pg_dump"), "-Fc", "-h", str(server.folder), "-U", "postgres", "-f", str(folder / "dump"), "postgres"]
        for name, run in (("no dump", lambda: time.sleep(0.5)), ("pg_dump", lambda: quiet(*dump, cwd=server.folder)),
                          ("lifeboat", lambda: ours(server, store, recipient))):
            writer, reader = Application(server, *LEDGER), Application(server, "select count(*) from ledger")
            times, good = [], 0
            for _ in range(backups):
                began = time.monotonic()
                # One may fail, pg_dump too: a table that it has listed may be gone before it is locked.
                with contextlib.suppress(subprocess.CalledProcessError, SystemExit):
                    run()
                    good += 1
                times.append(time.monotonic() - began)
            written, read = writer.stop(), reader.stop()
            print(f"  {name:<10} {good:3} of {backups}, median {statistics.median(times):6.2f} s, slowest {max(times):6.2f} s; longest write {written:5.2f} s, longest read {read:5.2f} s")
    finally:
        for part in (server, store):
            if part:
                part.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """Each argument in turn."""
    for argument in sys.argv[1:]:
        if argument == "ledger":
            measure_ledger(int(os.environ.get("BACKUPS", "50")))
        else:
            measure(int(argument))


if __name__ == "__main__":
    main()
