"""A private PostgreSQL as a production server is set: durable, with room in memory for the data."""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from harness.process import Process, free_port

SCHEMA = "api_aponta"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # The path of a socket file could be too long.
    "unix_socket_directories": "",
    "max_connections": "150",
    "shared_buffers": "512MB",
    # Statements are counted in the databases that ask for it: counting costs a little.
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}


class Cluster:
    """Lives as long as the `with` block; then it is stopped and its directory removed."""

    def __enter__(self):
        self.programs = find_programs()
        self.password = secrets.token_hex(12)
        self.directory = Path(tempfile.mkdtemp(prefix="aponta-bench."))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        return self

    def __exit__(self, *_):
        self.server.stop()
        shutil.rmtree(self.directory)

    def _start(self):
        (self.directory / "password").write_text(self.password + "\n")
        user = None
        if os.geteuid() == 0:
            # The server refuses to run as root.
            user = "postgres"
            shutil.chown(self.directory, user)
            shutil.chown(self.directory / "password", user)
        initdb = [self.programs / "initdb", "-D", self.directory / "data", "-U", "postgres", "--encoding=UTF8"]
        initdb += ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={self.directory / 'password'}"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, user=user, cwd=self.directory)
        self.port = free_port()
        command = [self.programs / "postgres", "-D", self.directory / "data", "-p", str(self.port)]
        command += [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self.server = Process(command, self.directory / "log", user=user, cwd=self.directory)
        state = self.directory / "data/postmaster.pid"
        # The eighth line of this file is the server's own word on its state.
        while not (state.exists() and "".join(state.read_text().splitlines()[7:8]).startswith("ready")):
            self.server.check()
            time.sleep(0.02)

    def url(self, database, port=None):
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, database, text):
        """Runs statements; the rows of the last one, each a list of texts."""
        environment = {"PGPASSWORD": self.password, "PGOPTIONS": f"-c search_path={SCHEMA},public"}
        psql = [self.programs / "psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        psql += ["-p", str(self.port), "-U", "postgres", "-d", database, "-f", "-"]
        ran = subprocess.run(psql, input=text, env=os.environ | environment, check=True, text=True, capture_output=True)
        return [line.split("\t") for line in ran.stdout.splitlines()]

    def create(self, database, template="template0"):
        self.sql("postgres", f"CREATE DATABASE {database} TEMPLATE {template}")


def find_programs():
    """The directory of a PostgreSQL that is new enough: 15, which production has, and otherwise the highest."""
    inpath = shutil.which("initdb")
    candidates = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    candidates += [Path(inpath).parent] if inpath else []
    found = {}
    for programs in candidates:
        if all((programs / name).exists() for name in ("initdb", "postgres", "psql")):
            printed = subprocess.run([programs / "postgres", "--version"], check=True, text=True, capture_output=True)
            found.setdefault(int(re.search(r"\d+", printed.stdout)[0]), programs)
    usable = sorted((version for version in found if version >= 15), key=lambda version: (version != 15, -version))
    if not usable:
        raise SystemExit("no PostgreSQL 15 or later here; ./tests/run.sh installs it")
    return found[usable[0]]
