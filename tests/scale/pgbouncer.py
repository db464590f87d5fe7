"""PgBouncer with the files of deploy/pooler, in which only addresses and paths are replaced."""

import os
import pathlib
import shutil

from harness.postgres import SERVER_USER
from harness.process import Process, free_port
from harness.text import replace_all
from harness.wait import wait_until

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "deploy/pooler"


class PgBouncer:
    """A process in front of `cluster`. `root` has its packages, which are newer than this system: it brings its loader."""

    def __init__(self, root, base, cluster, password):
        self.port, self.directory = free_port(), base / "pooler"
        self.directory.mkdir()
        # Whoever runs the server may not be able to enter the work tree.
        shutil.copytree(root, self.directory / "root", symlinks=True)
        secret = self.directory / "password"
        secret.write_text(password + "\n")
        for path in (self.directory, secret):
            cluster.give_to_server(path)
        replacements = {
            "/run/secrets/database_password": str(secret), "/etc/aponta/pooler": str(self.directory), "/run/pgbouncer": str(self.directory),
            "host=postgres port=5432": f"host=127.0.0.1 port={cluster.port}", "listen_addr = 0.0.0.0": "listen_addr = 127.0.0.1",
            "listen_port = 6432": f"listen_port = {self.port}"}
        shipped = {name: (SHIPPED / name).read_text() for name in ("pgbouncer.ini", "start.sh")}
        unknown = [old for old in replacements if not any(old in text for text in shipped.values())]
        assert not unknown, f"the files of deploy/pooler lack {unknown}"
        for name, text in shipped.items():
            (self.directory / name).write_text(replace_all(text, replacements))
        programs = self.directory / "bin"
        programs.mkdir()
        libraries = next((self.directory / "root/usr/lib").glob("*-linux-gnu"))
        loader = next(libraries.glob("ld-linux-*"))
        program = programs / "pgbouncer"
        program.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} {self.directory}/root/usr/sbin/pgbouncer "$@"\n')
        program.chmod(0o755)
        environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self.process = Process("PgBouncer", ["sh", self.directory / "start.sh"], base / "pgbouncer.log", user=SERVER_USER,
                               env=environment, cwd=self.directory)
        wait_until("the start of PgBouncer", self._is_ready, 20, log=self.process.log)

    def _is_ready(self):
        self.process.check_running()
        return "process up" in self.process.log()

    def log(self):
        return self.process.log()

    def clients(self):
        """How many clients are connected."""
        lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        # Local address and state; 01 is established.
        return sum(line[1].endswith(f":{self.port:04X}") and line[3] == "01" for line in lines)

    def pool_size(self):
        settings = (SHIPPED / "pgbouncer.ini").read_text().splitlines()
        return next(int(line.partition("=")[2]) for line in settings if line.startswith("default_pool_size"))

    def stop(self):
        self.process.stop()
