"""The servers under test: `aponta serve` as in production, and the hand-written one."""

import http.client
import json
import os
import time
from contextlib import contextmanager

from harness.postgres import SCHEMA
from harness.process import Process, free_port
from harness.wait import wait_until

# For both servers: a default of the service.
POOL_SIZE = "10"
# From the image (deploy/Dockerfile).
IMAGE_ENVIRONMENT = {"MALLOC_TOP_PAD_": "4194304"}
TOKEN = "um-token-de-teste"


class Server:
    """Runs until `stop`. `started_ms` is the time from the start to the first response."""

    def __init__(self, command, directory, label, settings):
        self.port = free_port()
        environment = {"PATH": os.environ["PATH"], "API_HOST": "127.0.0.1", "API_PORT": str(self.port)}
        environment |= IMAGE_ENVIRONMENT | {"DATABASE_POOL_SIZE": POOL_SIZE} | settings
        started = time.perf_counter()
        # In a directory without `.env`.
        self.process = Process(label, command, directory / f"{label}.log", env=environment, cwd=directory)
        wait_until(f"the start of {label}", self._is_ready, 60, log=self.process.log, interval=0.001)
        self.started_ms = (time.perf_counter() - started) * 1000

    def _is_ready(self):
        self.process.check_running()
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None, token=None):
        """Returns status, content type and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Type": "application/json"} if body else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers["content-type"], response.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, token=None):
        status, _, response = self.request(method, path, body, token)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {response[:500]}")
        return json.loads(response)

    def stop(self):
        self.process.stop()

    def truncate_log(self):
        os.truncate(self.process.log_file, 0)


class Fleet:
    """The servers on the databases of one cluster. Stops all of them at the end."""

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
        """Without the URL of an organisation authentication is off, which only `development` allows."""
        settings = {"DATABASE_URL": self.cluster.url(database, port=port), "ENVIRONMENT": environment, "LOG": "info"}
        # One person sends all requests.
        settings |= {"RATE_PER_PERSON": "off"}
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
    def temporary(self, *arguments, **options):
        server = self.ours(*arguments, **options)
        try:
            yield server
        finally:
            self.servers.remove(server)
            server.stop()
