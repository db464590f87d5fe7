"""WAL while it cannot be archived: it may take a part of the disk only, and what is lost by that is reported."""

from environment import (
    BASE, DATA, METRICS, REPO1, REPO2, Server, archived_since_a_reset, metric, run, sql, write_secret)
from harness.wait import wait_until

# Of 16 MB each.
QUEUE, SEGMENTS = 4, 12
DROPPED = "aponta_backup_wal_dropped_timestamp_seconds"


def waiting():
    return len(list((DATA / "pg_wal/archive_status").glob("*.ready")))


def switch_segments(count):
    for _ in range(count):
        sql("CREATE TABLE IF NOT EXISTS volume (n int)")
        sql("INSERT INTO volume VALUES (1)")
        sql("SELECT pg_switch_wal()")


def dropped():
    """The time of the last segment that was dropped; 0 without one."""
    file = METRICS.with_name("archive.prom")
    if not file.exists():
        return 0
    assert file.stat().st_mode & 0o004, "node exporter is another user"
    return float(file.read_text().split(f"\n{DROPPED} ")[1])


def unarchived_wal_is_bounded(server):
    """The repositories refuse WAL for a while. The operator has chosen a small queue in the secret."""
    assert "archive-push-queue-max=2GB\n" in (BASE / "etc/pgbackrest.conf").read_text()
    write_secret("uma-frase-longa", f"archive-push-queue-max={QUEUE * 16}MB\nrepo1-retention-full=30\n")
    shipped = (BASE / "etc/pgbackrest.conf").read_text()
    assert "archive-push-queue-max" not in shipped and "repo1-retention-full=" not in shipped and "repo1-retention-full-type=time" in shipped, shipped
    archives = [REPO1 / "archive", REPO2 / "archive"]
    for archive in archives:
        archive.rename(archive.with_name("away"))
    sql("SELECT pg_stat_reset_shared('archiver')")
    switch_segments(1)
    wait_until("a failure of the archiving", lambda: int(sql("SELECT failed_count FROM pg_stat_archiver")) > 0, 60, log=server.log)
    assert not dropped(), "WAL was dropped below the bound"
    switch_segments(SEGMENTS)
    # PostgreSQL tries a segment three times and then waits for up to a minute.
    wait_until("a dropped segment", dropped, 120, log=server.log)
    wait_until("a bounded queue", lambda: waiting() <= QUEUE, 120, log=lambda: str(waiting()))
    assert "because archive queue exceeded" in server.log()
    for archive in archives:
        archive.with_name("away").rename(archive)
    before = max(metric(f'aponta_backup_last_success_timestamp_seconds{{type="{kind}"}}') for kind in ("full", "incr"))
    assert dropped() > before, "the alert compares both times"
    # A backup ends the gap: the database can be restored again.
    wait_until("the end of the queue", lambda: waiting() == 0, 120, log=server.log)
    run("aponta-backup", "full")
    assert metric('aponta_backup_last_success_timestamp_seconds{type="full"}') >= dropped()
    sql("CREATE TABLE lacuna AS SELECT 7 AS n")
    assert archived_since_a_reset(), sql("TABLE pg_stat_archiver")
    server.destroy()
    run("aponta-restore")
    server = Server.started()
    assert sql("TABLE lacuna") == "7"
    print(f"ok unarchived WAL is bounded: at most {QUEUE} segments wait, and a backup ends the gap", flush=True)
    return server
