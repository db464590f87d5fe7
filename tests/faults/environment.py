"""What the chapters run on: a durable PostgreSQL on a disk that can be filled, and replicas of the service."""

import contextlib
import os
import pathlib
import shutil
import signal
import tempfile

from harness.postgres import Cluster
from harness.process import Process, free_port, run
from harness.wait import wait_until_async
from http_client import Client

POOL_SIZE = 10
MAX_CONNECTIONS = 40
READY_TIMEOUT = 90


class LimitedCluster(Cluster):
    """A running cluster with few connections on a file system of 400 MB. Durable, as in production."""

    SETTINGS = {"max_connections": MAX_CONNECTIONS, "superuser_reserved_connections": 3, "max_wal_size": "96MB",
                "min_wal_size": "32MB", "wal_keep_size": 0}

    def __init__(self, base):
        self.disk = base / "postgres"
        self.disk.mkdir()
        # The log is on another file system: it has to show that this one is full.
        super().__init__(self.disk, log=base / "postgres.log", settings=self.SETTINGS)
        run("mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "tmpfs", self.disk)
        self.give_to_server(self.disk)
        self.initialize()
        self.start()

    def close(self):
        try:
            self.stop(signal.SIGQUIT)
        finally:
            run("umount", "-l", self.disk, check=False)


class Replica:
    """`aponta serve` on a fixed port, so that it can be stopped and started again."""

    def __init__(self, binary, base, database_url, name, **settings):
        self.binary, self.port, self.name, self.process = binary, free_port(), name, None
        self.directory = base / name
        self.directory.mkdir()
        self.settings = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "ENVIRONMENT": "development", "AUTH_ENABLED": "false",
            # Few persons send all requests.
            "RATE_PER_PERSON": "off",
            "API_HOST": "127.0.0.1", "API_PORT": str(self.port), "DATABASE_URL": database_url, "DATABASE_POOL_SIZE": str(POOL_SIZE),
            "LOG": "warn", "METRICS_PORT": str(free_port())} | settings
        self.start()

    def start(self):
        self.process = Process(self.name, [self.binary, "serve"], self.directory / "log", env=self.settings, cwd=self.directory)

    def stop(self, number=signal.SIGTERM):
        """Sends a signal and waits for the end. Returns the exit code."""
        return self.process.stop(number)

    def log(self):
        return self.process.log()

    def usage(self):
        """Resident memory and its peak in MB, and open descriptors."""
        return {"rss": round(self.process.memory_mb("VmRSS")), "peak": round(self.process.memory_mb("VmHWM")),
                "descriptors": self.process.open_descriptors()}

    async def wait_ready(self):
        await wait_until_async(f"the start of {self.name}", self._is_ready, READY_TIMEOUT, log=self.log)

    async def _is_ready(self):
        self.process.check_running()
        with contextlib.suppress(OSError, EOFError, ValueError):
            async with Client(self.port) as client:
                return (await client.request("GET", "/health", timeout=5)).status == 200
        return False


def logs(*sources):
    """Returns a function for the ends of their logs, which errors quote."""
    return lambda: "\n".join(f"--- {type(source).__name__}: {source.log()[-1000:]}" for source in sources)


@contextlib.contextmanager
def high_priority():
    """Measures the service and not what else this machine has to do."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


@contextlib.contextmanager
def work_directory():
    """A directory that every user may enter, removed at the end."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="aponta-faults-"))
    base.chmod(0o755)
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)
