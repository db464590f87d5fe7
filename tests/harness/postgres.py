"""A private PostgreSQL cluster on a port of its own."""

import os
import re
import shutil
import signal
from pathlib import Path

from harness.process import Process, free_port, run
from harness.wait import wait_until

# The schema of the service.
SCHEMA = "api_aponta"
# The server refuses to run as root.
SERVER_USER = "postgres" if os.geteuid() == 0 else None
START_TIMEOUT = 60


def find_programs():
    """Returns the directory of the programs: PostgreSQL 15, which production runs, else the newest that is 15 or later.

    APONTA_TEST_POSTGRES names that of another one.
    """
    if named := os.environ.get("APONTA_TEST_POSTGRES"):
        return Path(named)
    candidates = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if in_path := shutil.which("initdb"):
        candidates.append(Path(in_path).parent)
    found = {}
    for programs in candidates:
        if all((programs / name).exists() for name in ("initdb", "postgres", "psql")):
            version = run(programs / "postgres", "--version").stdout
            found.setdefault(int(re.search(r"\d+", version)[0]), programs)
    usable = sorted((version for version in found if version >= 15), key=lambda version: (version != 15, -version))
    if not usable:
        raise SystemExit("no PostgreSQL 15 or later here; ./tests/run.sh installs it")
    return found[usable[0]]


class Cluster:
    """Data in `directory`/data, log in `directory`/postgres.log unless `log` is given. Listens on 127.0.0.1 alone.

    `settings` are parameters of the server, and `environment` is that of the programs. Without `password` every local
    connection is trusted.
    """

    def __init__(self, directory, *, log=None, settings=None, superuser="postgres", password=None, port=None, environment=None):
        self.directory, self.data = Path(directory), Path(directory) / "data"
        self.log_file = log or self.directory / "postgres.log"
        self.programs, self.port = find_programs(), port or free_port()
        self.superuser, self.password, self.environment = superuser, password, environment or dict(os.environ)
        # The path of a socket file could be too long.
        self.settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""} | (settings or {})
        self.process = None

    def give_to_server(self, path):
        if SERVER_USER:
            shutil.chown(path, SERVER_USER, SERVER_USER)

    def initialize(self):
        """Creates an empty cluster."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.give_to_server(self.data)
        authentication = ["--auth=trust"]
        if self.password:
            file = self.directory / "password"
            file.write_text(self.password + "\n")
            self.give_to_server(file)
            authentication = ["--auth=scram-sha-256", f"--pwfile={file}"]
        self.run("initdb", "-D", self.data, "-U", self.superuser, "--encoding=UTF8", "--locale=C.UTF-8", *authentication)

    def run(self, program, *arguments, **options):
        """Runs a program of PostgreSQL as the user of the server."""
        return run(self.programs / program, *arguments, user=SERVER_USER, cwd=self.directory, env=self.environment, **options)

    def start(self, seconds=START_TIMEOUT):
        """Starts the server and waits until it accepts connections."""
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port)]
        command += [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        self.process = Process("postgres", command, self.log_file, user=SERVER_USER, cwd=self.directory, env=self.environment,
                               death_signal="INT")
        wait_until("the start of PostgreSQL", self._is_ready, seconds, log=self.log, interval=0.02)

    def _is_ready(self):
        self.process.check_running()
        file = self.data / "postmaster.pid"
        lines = file.read_text().splitlines() if file.exists() else []
        # The first line tells a file that a crash left behind; the server writes its state to the eighth.
        return lines[:1] == [str(self.process.pid)] and "".join(lines[7:8]).startswith("ready")

    def is_running(self):
        return self.process is not None and self.process.is_running()

    def stop(self, how=signal.SIGINT):
        """Stops the server: SIGINT is a fast shutdown, SIGQUIT an immediate one that leaves a recovery to the next start."""
        if self.process:
            self.process.stop(how)

    def kill(self):
        """Kills the server and its backends at once, as a power failure does."""
        self.process.kill_tree()

    def log(self, since=0):
        return self.process.log(since)

    def log_size(self):
        return self.process.log_size()

    def url(self, database="postgres", *, user=None, port=None):
        password = f":{self.password}" if self.password else ""
        return f"postgresql://{user or self.superuser}{password}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, text, database="postgres", seconds=60):
        """Runs statements in the schema of the service. Returns what the last one printed, columns parted by tabs."""
        options = f"options=-csearch_path%3D{SCHEMA},public"
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-f", "-", f"{self.url(database)}?{options}",
                        input=text, seconds=seconds).stdout

    def rows(self, text, database="postgres"):
        return [line.split("\t") for line in self.sql(text, database).splitlines()]
