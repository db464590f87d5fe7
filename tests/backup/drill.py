"""The restore drill: backs up a PostgreSQL with the scripts of deploy/backup, destroys it, restores it and compares the rows.

usage: drill.py
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import wal  # noqa: E402
from environment import (  # noqa: E402
    ARCHIVE_TIMEOUT, BASE, DATA, ENVIRONMENT, METRICS, REPO1, Server, archived_since_a_reset, directory_of_the_drill, full_backups, metric,
    prepare, run, sql, timed, wait_archived, write_secret)
from harness import process  # noqa: E402
from harness.process import Process  # noqa: E402
from harness.wait import StepTimeout  # noqa: E402


class Writer(threading.Thread):
    """Inserts one row after the other until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.start()

    def run(self):
        psql = Process("psql of the writer", ["psql", "-Xqf", "-"], BASE / "writer.log", user="postgres", env=ENVIRONMENT,
                       stdin=subprocess.PIPE, bufsize=0)
        # psql ends with the server, at any moment.
        with contextlib.suppress(BrokenPipeError):
            while not self.stopping.is_set():
                psql.child.stdin.write(b"INSERT INTO registro DEFAULT VALUES;\n")
                time.sleep(0.005)
        psql.child.stdin.close()
        psql.wait("the end of its input")

    def stop(self):
        self.stopping.set()
        self.join(timeout=90)
        if self.is_alive():
            raise StepTimeout("the writer", 90, (BASE / "postgres.log").read_text(errors="replace"))


def rows():
    """Returns the time of commit of each row."""
    lines = sql("SELECT n, pg_xact_commit_timestamp(xmin) FROM registro ORDER BY n").splitlines()
    return dict(line.split("|") for line in lines)


def numbers():
    return set(sql("SELECT n FROM registro").split())


def restore(server, *arguments):
    """Restores as restore.sh does: stops the server, restores, starts it and makes a full backup."""
    server.stop()
    run("aponta-restore", *arguments)
    server = Server.started()
    run("aponta-backup", "full")
    return server


def restores_after_two_wrong_moments():
    """The backups made after each wrong restore do not expire the one that the right restore needs."""
    server = Server.created()
    sql("CREATE TABLE palpite (n int PRIMARY KEY)")
    run("aponta-backup")
    moments = []
    for n in range(3):
        sql(f"INSERT INTO palpite VALUES ({n})")
        moments.append(sql("SELECT clock_timestamp()"))
        time.sleep(1)
    sql("DELETE FROM palpite")
    wait_archived()
    for wrong in (moments[0], moments[1]):
        server = restore(server, "--to", wrong, "--timeline", "1")
    assert len(full_backups(1)) == len(full_backups(2)) == 3, full_backups(1)
    server = restore(server, "--to", moments[2], "--timeline", "1")
    assert sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM palpite") == "0,1,2", sql("TABLE palpite")
    print("ok restored to a moment at the third attempt", flush=True)
    return server


def restores_to_a_moment(server):
    """All rows are deleted by mistake, and then the disk breaks."""
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
    wait_archived()
    expected = {n for n, committed in written.items() if committed <= moment}
    assert 100 < len(expected) < len(written), (len(expected), len(written))
    server.destroy()

    seconds = timed("aponta-restore", "--to", moment)
    server = Server.started()
    found = numbers()
    assert found == expected, f"{len(found - expected)} too many, {len(expected - found)} too few"
    print(f"ok restored to a moment: exactly its {len(found)} rows; backup {full:.1f} s full, {incremental:.1f} s incremental; "
          f"restore {seconds:.1f} s, recovery {server.recovery:.1f} s", flush=True)
    return server


def restores_the_latest_state(server):
    run("aponta-backup", "full")
    writer = Writer()
    time.sleep(ARCHIVE_TIMEOUT * 2)
    written = rows()
    age = float(sql("SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver"))
    now = sql("SELECT clock_timestamp()")
    server.destroy()
    writer.stop()

    seconds = timed("aponta-restore")
    server = Server.started()
    found = numbers()
    kept = sorted(map(int, found & written.keys()))
    lost = written.keys() - found
    assert kept == sorted(map(int, written))[: len(kept)], "a row between others is lost"
    bound = sql(f"SELECT timestamptz '{now}' - interval '{ARCHIVE_TIMEOUT + 2} s'")
    assert not [n for n in lost if written[n] < bound], "rows are lost that were committed before the archive timeout"
    print(f"ok restored to the latest state: {len(lost)} of {len(written)} rows lost, those of the last {age:.1f} s; "
          f"at most those of {ARCHIVE_TIMEOUT} s (60 s in the overlay); restore {seconds:.1f} s, recovery {server.recovery:.1f} s",
          flush=True)
    return server, found


def restores_on_a_new_host(server, expected, *, refused):
    """The disk is lost. As in the runbook: deploy.sh creates an empty database, restore.sh restores the second repository.

    With `refused` the backup of the empty database is refused. Otherwise it exists in the first repository.
    """
    server.destroy()
    shutil.rmtree(REPO1)
    METRICS.unlink()
    REPO1.mkdir()
    shutil.chown(REPO1, "postgres", "postgres")
    server = Server.created()
    if refused:
        done = run("aponta-backup", check=False)
        assert done.returncode == 1 and "restore.sh --repository 2 first" in done.stderr, done
        assert metric("aponta_backup_check_success") == 0 and not list(REPO1.glob("backup/aponta")), "the empty database was backed up"
    else:
        # The second repository is added to the settings too late, after a backup of the empty database to the first.
        secret = (BASE / "etc/conf.d/backup.conf").read_text()
        (BASE / "etc/conf.d/backup.conf").write_text(secret.split("repo2")[0])
        run("aponta-backup")
        (BASE / "etc/conf.d/backup.conf").write_text(secret)
    # A crash leaves the file of the lock.
    server.kill()
    assert (DATA / "postmaster.pid").exists()
    seconds = timed("aponta-restore", "--repository", "2")
    server = Server.started()
    assert numbers() == expected, "the second repository has other rows"
    run("aponta-backup", "full")
    assert archived_since_a_reset(), sql("TABLE pg_stat_archiver")
    assert full_backups(1) and metric("aponta_backup_check_success") == 1
    print(f"ok restored on a new host from the second repository: restore {seconds:.1f} s", flush=True)
    return server


def refuses_to_restore_while_the_database_runs():
    done = run("aponta-restore", check=False)
    assert done.returncode == 1 and "the database runs" in done.stderr and (DATA / "postmaster.pid").exists(), done


def schedule_understands_every_time_of_day():
    """Checks the duration of its sleep for each notation of a time."""
    (BASE / "sleeps").mkdir()
    stub = BASE / "sleeps/sleep"
    stub.write_text('#!/bin/sh\necho "$1 $(date +%s)" >"$SLEPT"\nkill "$PPID"\nexec /bin/sleep 5\n')
    stub.chmod(0o755)
    for setting, expected in (("03:00", 3 * 3600), ("0:30", 1800), ("00:00", 0), ("8:09", 8 * 3600 + 9 * 60), ("23:59", 86340)):
        environment = {**ENVIRONMENT, "PATH": f"{BASE}/sleeps:{ENVIRONMENT['PATH']}", "BACKUP_TIME": setting, "SLEPT": str(BASE / "slept")}
        done = process.run("aponta-backup-schedule", check=False, env=environment, seconds=10)
        assert done.returncode == 0, (setting, done)
        begins = sum(map(int, (BASE / "slept").read_text().split())) % 86400
        assert min(abs(begins - expected), 86400 - abs(begins - expected)) < 10, (setting, begins)
    print("ok the schedule understands every time of day", flush=True)


def refuses_a_wrong_passphrase():
    write_secret("uma-frase-errada")
    failed = run("aponta-restore", "--repository", "1", check=False)
    assert failed.returncode != 0 and "unable to load info file" in failed.stdout + failed.stderr, failed
    print("ok a wrong passphrase is an error", flush=True)


def reports_failures():
    # The retention is in days, in both repositories.
    log = run("pgbackrest", "--stanza=aponta", "--log-level-console=detail", "--repo=1", "expire").stdout
    assert "--repo1-retention-full=14" in log and "--repo1-retention-full-type=time" in log, log
    last_success = metric('aponta_backup_last_success_timestamp_seconds{type="full"}')
    time.sleep(1)
    backups = REPO1 / "backup/aponta"
    backups.chmod(0o500)
    failed = run("aponta-backup", "full", check=False)
    backups.chmod(0o750)
    assert failed.returncode == 1 and "Permission denied" in failed.stdout + failed.stderr, failed
    assert metric("aponta_backup_check_success") == 0, METRICS.read_text()
    assert metric('aponta_backup_last_success_timestamp_seconds{type="full"}') == last_success, "a failure counts as a success"
    print("ok a failure is reported", flush=True)


def main():
    prepare()
    server = restores_to_a_moment(restores_after_two_wrong_moments())
    server, found = restores_the_latest_state(server)
    refuses_to_restore_while_the_database_runs()
    server = restores_on_a_new_host(server, found, refused=True)
    server = restores_on_a_new_host(server, found, refused=False)
    reports_failures()
    server = wal.unarchived_wal_is_bounded(server)
    schedule_understands_every_time_of_day()
    server.stop()
    refuses_a_wrong_passphrase()
    print("backup: all checks passed")


with directory_of_the_drill():
    main()
