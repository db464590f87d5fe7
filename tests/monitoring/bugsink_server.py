"""Bugsink, a server with Sentry's protocol, on SQLite. It runs in the Python that has its packages."""

import contextlib
import os
import pathlib
import sqlite3
import sys
import urllib.request

from harness.process import Process, free_port, run
from harness.wait import wait_until

CONFIGURATION = """
from bugsink.settings.default import *

SECRET_KEY = "a key for a test on this machine only, which protects nothing"
DATABASES["default"]["NAME"] = "{directory}/db.sqlite3"
DATABASES["snappea"]["NAME"] = "{directory}/snappea.sqlite3"
# Tasks run within the request.
SNAPPEA = {{"TASK_ALWAYS_EAGER": True}}
BUGSINK = {{"BASE_URL": "http://127.0.0.1:{port}", "SINGLE_USER": True, "SINGLE_TEAM": True, "USER_REGISTRATION": "CB_NOBODY", "PHONEHOME": False}}
"""


class Bugsink:
    """A server with one project, whose DSN is `dsn`."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory, self.port, programs = directory, free_port(), pathlib.Path(sys.executable).parent
        (directory / "bugsink_conf.py").write_text(CONFIGURATION.format(directory=directory, port=self.port))
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(directory), "DJANGO_SETTINGS_MODULE": "bugsink_conf"}

        def manage(*arguments):
            return run(programs / "bugsink-manage", *arguments, env=environment, cwd=directory).stdout

        manage("migrate", "--verbosity=0")
        manage("migrate", "--verbosity=0", "--database=snappea")
        project = "from projects.models import Project; project = Project.objects.create(name='aponta'); print(project.dsn)"
        self.dsn = manage("shell", "--command", project).split()[-1]
        server = [programs / "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--threads", "4", "--access-logfile", "-", "bugsink.wsgi"]
        self.process = Process("Bugsink", server, directory / "log", env=environment, cwd=directory)
        wait_until("the start of Bugsink", self._is_ready, 60, log=self.process.log)

    def _is_ready(self):
        self.process.check_running()
        with contextlib.suppress(OSError), urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as response:
            return response.status == 200
        return False

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.directory}/db.sqlite3?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(sql).fetchall()

    def issues(self):
        """The number of events of each issue, by kind, text and place."""
        rows = self.query('SELECT calculated_type, calculated_value, "transaction", digested_event_count FROM issues_issue')
        return {tuple(row[:3]): row[3] for row in rows}

    def events(self):
        """The JSON of all events."""
        return [row[0] for row in self.query("SELECT data FROM events_event")]

    def stored_bytes(self):
        """Everything that it keeps in its directory, with what is not in the database yet."""
        return b"".join(path.read_bytes() for path in self.directory.rglob("*") if path.is_file() and path.name != "bugsink_conf.py")

    def stop(self):
        self.process.stop()
