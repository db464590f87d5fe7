"""The drill: a real PostgreSQL is backed up by the scripts of deploy/backup, destroyed and put back, and what is then
found is compared with what had been written.

usage: drill.py
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BACKUP = REPOSITORY / "deploy/backup"
BINARIES = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
BASE = pathlib.Path(tempfile.mkdtemp(prefix="aponta-backup-"))
DATA, REPO1, REPO2, METRICS = BASE / "data", BASE / "repo1", BASE / "repo2", BASE / "backup.prom"
# Seconds after which WAL is archived at the latest; a minute in the overlay.
ARCHIVE_TIMEOUT = 3

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = str(free.getsockname()[1])

ENVIRONMENT = {
    "PATH": f"{BASE}/bin:{BINARIES}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGHOST": str(BASE), "PGPORT": PORT, "PGTZ": "UTC",
    "PGDATABASE": "postgres", "PGCONNECT_TIMEOUT": "5", "BACKUP_METRICS": str(METRICS),
    # The values that are others than in the container; all else comes from pgbackrest.conf.
    "PGBACKREST_CONFIG_PATH": f"{BASE}/etc", "PGBACKREST_LOCK_PATH": f"{BASE}/lock", "PGBACKREST_REPO1_PATH": str(REPO1),
    "PGBACKREST_PG1_PATH": str(DATA), "PGBACKREST_PG1_PORT": PORT, "PGBACKREST_PG1_SOCKET_PATH": str(BASE),
}


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=ENVIRONMENT, user="postgres",
                          group="postgres", extra_groups=[], cwd=BASE)
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def sql(text):
    return run("psql", "-XAtqc", text).stdout.strip()


def write_secret(passphrase):
    file = BASE / "etc/conf.d/backup.conf"
    file.write_text(f"[global]\nrepo1-cipher-pass={passphrase}\nrepo2-path={REPO2}\nrepo2-cipher-type=aes-256-cbc\n"
                    "repo2-cipher-pass=outra-frase\nrepo2-retention-full-type=time\nrepo2-retention-full=28\n")
    shutil.chown(file, "postgres", "postgres")
    file.chmod(0o400)


def prepare():
    """What the image has, in directories of our own."""
    for directory in ("etc/conf.d", "repo1", "repo2", "lock", "data"):
        (BASE / directory).mkdir(parents=True)
    shutil.copytree(BACKUP / "bin", BASE / "bin")
    shutil.copy(BACKUP / "pgbackrest.conf", BASE / "etc/pgbackrest.conf")
    for directory in (BASE, *BASE.rglob("*")):
        shutil.chown(directory, "postgres", "postgres")
    DATA.chmod(0o700)
    write_secret("uma-frase-longa")
    run("initdb", "--pgdata", str(DATA), "--auth", "trust", "--locale=C.UTF-8", "--encoding=UTF8")


class Server:
    """PostgreSQL with the archive settings of the overlay."""

    def __init__(self):
        overlay = (BACKUP / "compose.yml").read_text()
        settings = [argument for value in re.findall(r"- -c\n +- (.*)", overlay) for argument in ("-c", value)]
        assert len(settings) == 6, settings
        started = time.monotonic()
        self.process = subprocess.Popen(
            [BINARIES / "postgres", "-D", DATA, *settings, "-c", f"archive_timeout={ARCHIVE_TIMEOUT}", "-c", f"port={PORT}",
             "-c", f"unix_socket_directories={BASE}", "-c", "listen_addresses=", "-c", "track_commit_timestamp=on"],
            env=ENVIRONMENT, user="postgres", group="postgres", extra_groups=[], cwd=BASE, start_new_session=True,
            stdout=(BASE / "postgres.log").open("ab"), stderr=subprocess.STDOUT)
        while run("psql", "-XAtqc", "SELECT pg_is_in_recovery()", check=False).stdout.strip() != "f":
            if self.process.poll() is not None or time.monotonic() - started > 120:
                sys.exit((BASE / "postgres.log").read_text()[-3000:])
            time.sleep(0.1)
        self.recovery = time.monotonic() - started

    def destroy(self):
        """As when the disk dies: everybody is killed at once, and nothing is left."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(DATA)
        DATA.mkdir(mode=0o700)
        shutil.chown(DATA, "postgres", "postgres")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


class Writer(threading.Thread):
    """Writes rows one after the other until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.start()

    def run(self):
        psql = subprocess.Popen(["psql", "-Xqf", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
                                user="postgres", group="postgres", extra_groups=[], bufsize=0)
        # It ends with the server, which may be at any moment.
        with contextlib.suppress(BrokenPipeError):
            while not self.stopping.is_set():
                psql.stdin.write(b"INSERT INTO registro DEFAULT VALUES;\n")
                time.sleep(0.005)
        psql.stdin.close()
        psql.wait()

    def stop(self):
        self.stopping.set()
        self.join()


def rows():
    """Each row and when it was committed."""
    lines = sql("SELECT n, pg_xact_commit_timestamp(xmin) FROM registro ORDER BY n").splitlines()
    return dict(line.split("|") for line in lines)


def numbers():
    return set(sql("SELECT n FROM registro").split())


def metric(name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", METRICS.read_text(), re.MULTILINE)[1])


def until_archived():
    """Waits until what was written so far is in the archive."""
    segment = sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    deadline = time.monotonic() + 60
    while sql("SELECT COALESCE(last_archived_wal, '') FROM pg_stat_archiver") < segment:
        assert time.monotonic() < deadline, sql("SELECT * FROM pg_stat_archiver")
        time.sleep(0.1)


def full_backups(repository):
    info = json.loads(run("pgbackrest", "--stanza=aponta", f"--repo={repository}", "--output=json", "info").stdout)
    return [backup["label"] for backup in info[0]["backup"] if backup["type"] == "full"]


def timed(*command):
    started = time.monotonic()
    run(*command)
    return time.monotonic() - started


def start_over(server, *arguments):
    """Restores as restore.sh does: what runs is stopped, and a full backup follows."""
    server.stop()
    restore = timed("aponta-restore", *arguments)
    server = Server()
    run("aponta-backup", "full")
    return server, restore


def goes_back_after_two_wrong_guesses():
    """Somebody deletes everything, and nobody knows when: the backups made after each guess push out none that is needed."""
    server = Server()
    sql("CREATE TABLE palpite (n int PRIMARY KEY)")
    run("aponta-backup")
    moments = []
    for n in range(3):
        sql(f"INSERT INTO palpite VALUES ({n})")
        moments.append(sql("SELECT clock_timestamp()"))
        time.sleep(1)
    sql("DELETE FROM palpite")
    until_archived()
    for wrong in (moments[0], moments[1]):
        server, _ = start_over(server, "--to", wrong, "--timeline", "1")
    assert len(full_backups(1)) == len(full_backups(2)) == 3, full_backups(1)
    server, _ = start_over(server, "--to", moments[2], "--timeline", "1")
    assert sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM palpite") == "0,1,2", sql("TABLE palpite")
    print("ok back to a moment at the third guess", flush=True)
    return server


def goes_back_to_a_moment(server):
    """The day on which somebody deletes everything, and then the disk dies."""
    sql("CREATE TABLE registro (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    writer = Writer()
    time.sleep(1)
    full = timed("aponta-backup", "full")
    assert metric('aponta_backup_last_success_timestamp_seconds{type="full"}') > time.time() - 60, METRICS.read_text()
    time.sleep(1)
    incremental = timed("aponta-backup", "incr")
    assert metric("aponta_backup_check_success") == 1 and metric("aponta_backup_size_bytes") > 1e5, METRICS.read_text()
    time.sleep(2)
    moment = sql("SELECT clock_timestamp()")
    time.sleep(1)
    written = rows()
    sql("DELETE FROM registro")
    writer.stop()
    until_archived()
    expected = {n for n, committed in written.items() if committed <= moment}
    assert 100 < len(expected) < len(written), (len(expected), len(written))
    server.destroy()

    restore = timed("aponta-restore", "--to", moment)
    server = Server()
    found = numbers()
    assert found == expected, f"{len(found - expected)} too many, {len(expected - found)} too few"
    print(f"ok back to a moment: exactly its {len(found)} rows; backup {full:.1f} s full, {incremental:.1f} s incremental; "
          f"restore {restore:.1f} s, recovery {server.recovery:.1f} s", flush=True)
    return server


def comes_back_as_new_as_can_be(server):
    run("aponta-backup", "full")
    writer = Writer()
    time.sleep(ARCHIVE_TIMEOUT * 2)
    written = rows()
    age = float(sql("SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver"))
    now = sql("SELECT clock_timestamp()")
    server.destroy()
    writer.stop()

    restore = timed("aponta-restore")
    server = Server()
    found = numbers()
    kept = sorted(map(int, found & written.keys()))
    lost = written.keys() - found
    assert kept == sorted(map(int, written))[: len(kept)], "a hole"
    bound = sql(f"SELECT timestamptz '{now}' - interval '{ARCHIVE_TIMEOUT + 2} s'")
    assert not [n for n in lost if written[n] < bound], "older ones are lost than may be"
    print(f"ok back to the latest state: {len(lost)} of {len(written)} rows lost, those of the last {age:.1f} s; "
          f"at most those of {ARCHIVE_TIMEOUT} s (60 s in the overlay); restore {restore:.1f} s, recovery {server.recovery:.1f} s",
          flush=True)
    return server, found


def comes_back_on_a_new_host(server, expected, *, refused):
    """The disk died. As the runbook says: deploy.sh makes an empty database there, restore.sh takes the second place."""
    server.destroy()
    shutil.rmtree(REPO1)
    METRICS.unlink()
    REPO1.mkdir()
    shutil.chown(REPO1, "postgres", "postgres")
    run("initdb", "--pgdata", str(DATA), "--auth", "trust", "--locale=C.UTF-8", "--encoding=UTF8")
    server = Server()
    if refused:
        done = run("aponta-backup", check=False)
        assert done.returncode == 1 and "restore.sh --repository 2 first" in done.stderr, done
        assert metric("aponta_backup_check_success") == 0 and not list(REPO1.glob("backup/aponta")), "the empty one was backed up"
    else:
        # Somebody put the second place into the settings too late: the first one has the empty database already.
        secret = (BASE / "etc/conf.d/backup.conf").read_text()
        (BASE / "etc/conf.d/backup.conf").write_text(secret.split("repo2")[0])
        run("aponta-backup")
        (BASE / "etc/conf.d/backup.conf").write_text(secret)
    # Nor does it end as it should.
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert (DATA / "postmaster.pid").exists()
    restore = timed("aponta-restore", "--repository", "2")
    server = Server()
    assert numbers() == expected, "the second place has something else"
    run("aponta-backup", "full")
    sql("SELECT pg_stat_reset_shared('archiver')")
    sql("CREATE TABLE IF NOT EXISTS depois (n int)")
    sql("INSERT INTO depois VALUES (1)")
    until_archived()
    assert sql("SELECT failed_count FROM pg_stat_archiver") == "0", sql("TABLE pg_stat_archiver")
    assert full_backups(1) and metric("aponta_backup_check_success") == 1
    print(f"ok back on a new host from the second place: restore {restore:.1f} s", flush=True)
    return server


def refuses_to_restore_under_a_database_that_runs():
    done = run("aponta-restore", check=False)
    assert done.returncode == 1 and "the database runs" in done.stderr and (DATA / "postmaster.pid").exists(), done


def begins_when_it_is_told():
    """What the schedule sleeps, at every way to write a time."""
    (BASE / "sleeps").mkdir()
    stub = BASE / "sleeps/sleep"
    stub.write_text('#!/bin/sh\necho "$1 $(date +%s)" >"$SLEPT"\nkill "$PPID"\nexec /bin/sleep 5\n')
    stub.chmod(0o755)
    for told, at in (("03:00", 3 * 3600), ("0:30", 1800), ("00:00", 0), ("8:09", 8 * 3600 + 9 * 60), ("23:59", 86340)):
        environment = {**ENVIRONMENT, "PATH": f"{BASE}/sleeps:{ENVIRONMENT['PATH']}", "BACKUP_TIME": told, "SLEPT": str(BASE / "slept")}
        done = subprocess.run(["aponta-backup-schedule"], capture_output=True, text=True, check=False, env=environment, timeout=10)
        assert done.returncode == 0, (told, done)
        begins = sum(map(int, (BASE / "slept").read_text().split())) % 86400
        assert min(abs(begins - at), 86400 - abs(begins - at)) < 10, (told, begins)
    print("ok the schedule understands every time of day", flush=True)


def refuses_a_wrong_passphrase():
    write_secret("uma-frase-errada")
    failed = run("aponta-restore", "--repository", "1", check=False)
    assert failed.returncode != 0 and "unable to load info file" in failed.stdout + failed.stderr, failed
    print("ok a wrong passphrase is told", flush=True)


def tells_of_failures():
    # What is to be kept is said in days, in both places, and understood so.
    said = run("pgbackrest", "--stanza=aponta", "--log-level-console=detail", "--repo=1", "expire").stdout
    assert "--repo1-retention-full=14" in said and "--repo1-retention-full-type=time" in said, said
    good = metric('aponta_backup_last_success_timestamp_seconds{type="full"}')
    time.sleep(1)
    backups = REPO1 / "backup/aponta"
    backups.chmod(0o500)
    failed = run("aponta-backup", "full", check=False)
    backups.chmod(0o750)
    assert failed.returncode == 1 and "Permission denied" in failed.stdout + failed.stderr, failed
    assert metric("aponta_backup_check_success") == 0, METRICS.read_text()
    assert metric('aponta_backup_last_success_timestamp_seconds{type="full"}') == good, "a failure counts as a success"
    print("ok a failure shows", flush=True)


def main():
    prepare()
    server = goes_back_to_a_moment(goes_back_after_two_wrong_guesses())
    server, found = comes_back_as_new_as_can_be(server)
    refuses_to_restore_under_a_database_that_runs()
    server = comes_back_on_a_new_host(server, found, refused=True)
    server = comes_back_on_a_new_host(server, found, refused=False)
    tells_of_failures()
    begins_when_it_is_told()
    server.stop()
    refuses_a_wrong_passphrase()
    print("backup: all checks passed")


try:
    main()
finally:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((DATA / "postmaster.pid").read_text().split("\n")[0]), signal.SIGQUIT)
        time.sleep(1)
    shutil.rmtree(BASE, ignore_errors=True)
