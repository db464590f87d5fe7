"""The servers that are measured: `aponta serve` as production runs it, and the hand-written one."""

import http.client
import json
import os
import time
from contextlib import contextmanager

from harness.cluster import SCHEMA
from harness.process import Process, free_port

# What both have, of the defaults of the service.
POOL = "10"
# Of the image (deploy/Dockerfile).
IMAGE = {"MALLOC_TOP_PAD_": "4194304"}
TOKEN = "um-token-de-teste"


class Server:
    """Runs until `stop`; `started_ms` is how long it took to its first answer."""

    def __init__(self, command, directory, label, settings):
        self.port = free_port()
        environment = {"PATH": os.environ["PATH"], "API_HOST": "127.0.0.1", "API_PORT": str(self.port)}
        environment |= IMAGE | {"DATABASE_POOL_SIZE": POOL} | settings
        began = time.perf_counter()
        # In a directory without `.env` and `aponta.toml`.
        self.process = Process(command, directory / f"{label}.log", env=environment, cwd=directory)
        while not self._answers():
            self.process.check()
            time.sleep(0.001)
        self.started_ms = (time.perf_counter() - began) * 1000

    def _answers(self):
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, method, path, body=None, token=None):
        """Status, content type and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Type": "application/json"} if body else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers["content-type"], answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, token=None):
        status, _, answer = self.ask(method, path, body, token)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:500]}")
        return json.loads(answer)

    def stop(self):
        self.process.stop()

    def forget_log(self):
        os.truncate(self.process.log, 0)


class Fleet:
    """Starts servers on databases of one cluster, and stops them all at the end."""

    def __init__(self, cluster, directory, aponta, hand_written):
        self.cluster, self.directory = cluster, directory
        self.aponta, self.hand_written = aponta, hand_written
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()

    def ours(self, database, label, port=None, azure=None, environment="development"):
        """Without an organisation authentication is off, which only `development` allows."""
        settings = {"DATABASE_URL": self.cluster.url(database, port), "ENVIRONMENT": environment, "LOG": "info"}
        settings |= {"AZURE_DEVOPS_ORG_URL": azure} if azure else {"AUTH_ENABLED": "false"}
        return self._start([self.aponta, "serve"], label, settings)

    def theirs(self, database, label, pipelining="on"):
        url = self.cluster.url(database) + f"?options=-csearch_path%3D{SCHEMA}"
        return self._start([self.hand_written], label, {"DATABASE_URL": url, "DATABASE_PIPELINING": pipelining})

    def _start(self, command, label, settings):
        server = Server(command, self.directory, label, settings)
        self.servers.append(server)
        return server

    @contextmanager
    def briefly(self, *arguments, **options):
        server = self.ours(*arguments, **options)
        try:
            yield server
        finally:
            self.servers.remove(server)
            server.stop()
