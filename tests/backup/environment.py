"""PostgreSQL with the scripts and settings of deploy/backup, without Docker, under a directory of its own."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness import process  # noqa: E402
from harness.postgres import Cluster, find_programs  # noqa: E402
from harness.process import free_port  # noqa: E402
from harness.wait import wait_until  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BACKUP = REPOSITORY / "deploy/backup"
BASE = pathlib.Path(tempfile.mkdtemp(prefix="aponta-backup-"))
DATA, REPO1, REPO2, METRICS = BASE / "data", BASE / "repo1", BASE / "repo2", BASE / "backup.prom"
# Seconds after which WAL is archived at the latest; a minute in the overlay.
ARCHIVE_TIMEOUT = 3
RECOVERY_TIMEOUT = 120
PORT = free_port()

ENVIRONMENT = {
    "PATH": f"{BASE}/bin:{find_programs()}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGHOST": str(BASE), "PGPORT": str(PORT), "PGTZ": "UTC",
    "PGDATABASE": "postgres", "PGCONNECT_TIMEOUT": "5", "BACKUP_METRICS": str(METRICS),
    # The values that differ from those in the container. All others come from pgbackrest.conf.
    "PGBACKREST_CONFIG_PATH": f"{BASE}/etc", "PGBACKREST_LOCK_PATH": f"{BASE}/lock", "PGBACKREST_REPO1_PATH": str(REPO1),
    "PGBACKREST_PG1_PATH": str(DATA), "PGBACKREST_PG1_PORT": str(PORT), "PGBACKREST_PG1_SOCKET_PATH": str(BASE),
}


def run(*command, check=True):
    """Runs a command as the user of the server."""
    return process.run(*command, check=check, user="postgres", env=ENVIRONMENT, cwd=BASE)


def sql(text):
    return run("psql", "-XAtqc", text).stdout.strip()


def write_configuration(secret):
    """Writes secrets/backup.conf, and the configuration from it as aponta-as-postgres does."""
    (BASE / "backup.conf").write_text(secret)
    process.run(BASE / "bin/aponta-configure", BACKUP / "pgbackrest.conf", BASE / "backup.conf", BASE / "etc")


def write_secret(passphrase, more=""):
    write_configuration(f"[global]\nrepo1-cipher-pass={passphrase}\nrepo2-path={REPO2}\nrepo2-cipher-type=aes-256-cbc\n"
                        f"repo2-cipher-pass={passphrase}-2\nrepo2-retention-full-type=time\nrepo2-retention-full=28\n{more}")


def prepare():
    """Lays out the files of the image under `BASE`."""
    for directory in ("etc", "repo1", "repo2", "lock"):
        (BASE / directory).mkdir(parents=True)
    shutil.copytree(BACKUP / "bin", BASE / "bin")
    write_secret("uma-frase-longa")
    for directory in (BASE, *BASE.rglob("*")):
        shutil.chown(directory, "postgres", "postgres")


class Server(Cluster):
    """PostgreSQL with the settings of the overlay, on the data that is there. `recovery` is the seconds of its start."""

    def __init__(self):
        overlay = (BACKUP / "compose.yml").read_text()
        settings = dict(value.split("=", 1) for value in re.findall(r"- -c\n +- (.*)", overlay))
        assert {"archive_mode", "archive_command", "archive_timeout", "shared_preload_libraries"} <= settings.keys(), settings
        settings |= {"archive_timeout": ARCHIVE_TIMEOUT, "unix_socket_directories": BASE, "listen_addresses": "", "track_commit_timestamp": "on"}
        super().__init__(BASE, settings=settings, port=PORT, environment=ENVIRONMENT)

    @classmethod
    def started(cls):
        server = cls()
        begin = time.monotonic()
        server.start(RECOVERY_TIMEOUT)
        # A server that accepts reads may still be in recovery.
        wait_until("the end of the recovery", lambda: sql("SELECT pg_is_in_recovery()") == "f", RECOVERY_TIMEOUT, log=server.log)
        server.recovery = time.monotonic() - begin
        return server

    @classmethod
    def created(cls):
        """An empty cluster that runs."""
        cls().initialize()
        return cls.started()

    def destroy(self):
        """Kills all processes at once and deletes the data, as a broken disk does."""
        self.kill()
        shutil.rmtree(DATA)
        DATA.mkdir(mode=0o700)
        shutil.chown(DATA, "postgres", "postgres")


def metric(name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", METRICS.read_text(), re.MULTILINE)[1])


def wait_archived():
    """Waits until all WAL up to now is in the archive."""
    segment = sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    wait_until(f"the archiving of {segment}", lambda: sql("SELECT COALESCE(last_archived_wal, '') FROM pg_stat_archiver") >= segment, 60,
               log=lambda: sql("SELECT * FROM pg_stat_archiver"), interval=0.1)


def full_backups(repository):
    info = json.loads(run("pgbackrest", "--stanza=aponta", f"--repo={repository}", "--output=json", "info").stdout)
    return [backup["label"] for backup in info[0]["backup"] if backup["type"] == "full"]


def timed(*command):
    started = time.monotonic()
    run(*command)
    return time.monotonic() - started


def archived_since_a_reset():
    """Forgets former failures, writes, and returns whether all was archived."""
    sql("SELECT pg_stat_reset_shared('archiver')")
    sql("CREATE TABLE IF NOT EXISTS depois (n int)")
    sql("INSERT INTO depois VALUES (1)")
    wait_archived()
    return sql("SELECT failed_count FROM pg_stat_archiver") == "0"


@contextlib.contextmanager
def directory_of_the_drill():
    """Deletes the directory at the end, and prints the log of PostgreSQL after an error."""
    try:
        yield
    except BaseException:
        if (BASE / "postgres.log").exists():
            print("--- postgres.log", (BASE / "postgres.log").read_text(errors="replace")[-6000:], sep="\n", file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((DATA / "postmaster.pid").read_text().split("\n")[0]), signal.SIGQUIT)
            time.sleep(1)
        shutil.rmtree(BASE, ignore_errors=True)
