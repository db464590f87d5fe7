"""A private PostgreSQL on a disk that can be filled, replicas of the service, and the line between them that can be cut."""

import asyncio
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BINARIES = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
SCHEMA = "api_aponta"
POOL = 10
MAX_CONNECTIONS = 40


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Cluster:
    """Durable, as in production, on a file system of its own of a few hundred megabytes."""

    def __init__(self, base):
        self.base, self.port, self.process = base / "postgres", free_port(), None
        # Not on that file system: that it is full should be found in there.
        self.log_file = base / "postgres.log"
        self.base.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "tmpfs", self.base], check=True)
        shutil.chown(self.base, "postgres", "postgres")
        self.run("initdb", "-D", self.base / "data", "-U", "postgres", "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8")
        self.start()

    def run(self, program, *arguments, check=True, stdin=None):
        done = subprocess.run([BINARIES / program, *arguments], user="postgres", group="postgres", extra_groups=[], check=False,
                              cwd=self.base, capture_output=True, text=True, input=stdin)
        if check and done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "max_connections": MAX_CONNECTIONS,
                    "superuser_reserved_connections": 3, "max_wal_size": "96MB", "min_wal_size": "32MB", "wal_keep_size": 0}
        command = [BINARIES / "postgres", "-D", self.base / "data"]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(command, user="postgres", group="postgres", extra_groups=[], cwd=self.base,
                                        start_new_session=True, stdout=self.log_file.open("ab"), stderr=subprocess.STDOUT)
        state = self.base / "data/postmaster.pid"
        deadline = time.monotonic() + 60
        while not (state.exists() and "".join(state.read_text().splitlines()[7:8]).startswith("ready")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log()[-3000:])
            time.sleep(0.02)

    def log_size(self):
        return self.log_file.stat().st_size

    def log(self, since=0):
        """What was logged after the first `since` bytes."""
        with self.log_file.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def is_up(self):
        return self.process.poll() is None

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def kill(self):
        """As when the machine loses its power: everybody at once, and nothing is written any more."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        # Those whom the postmaster started may need a moment to be gone, and it does not start beside them.
        time.sleep(0.2)

    def url(self, port=None, user="postgres", database="postgres"):
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, text, check=True):
        settings = f"options=-csearch_path%3D{SCHEMA}"
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-f", "-", f"{self.url()}?{settings}", check=check, stdin=text)

    def end(self):
        if self.is_up():
            self.stop(signal.SIGQUIT)
        subprocess.run(["umount", "-l", self.base], check=False)


class Api:
    """A replica on a fixed port, which comes back where it was."""

    def __init__(self, binary, base, database, label, **settings):
        self.binary, self.port, self.label, self.process = binary, free_port(), label, None
        self.directory = base / label
        self.directory.mkdir()
        self.settings = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "ENVIRONMENT": "development", "AUTH_ENABLED": "false",
            "API_HOST": "127.0.0.1", "API_PORT": str(self.port), "DATABASE_URL": database, "DATABASE_POOL_SIZE": str(POOL),
            "LOG": "warn", "METRICS_PORT": str(free_port())} | settings
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.binary, "serve"], env=self.settings, cwd=self.directory,
                                        stdout=subprocess.DEVNULL, stderr=(self.directory / "log").open("ab"))

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"{self.label} did not end within 60 s of {how.name}: {self.log()[-2000:]}") from None

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def status(self):
        """Resident memory and its peak in MB, and open descriptors."""
        lines = dict(line.split(":", 1) for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"))
        return {"rss": int(lines["VmRSS"].split()[0]) // 1024, "peak": int(lines["VmHWM"].split()[0]) // 1024,
                "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd"))}

    async def ready(self, seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.label} ended: {self.log()[-2000:]}")
            with contextlib.suppress(OSError, asyncio.TimeoutError, EOFError, ValueError):
                async with Client(self.port) as client:
                    if (await client.ask("GET", "/health", timeout=5)).status == 200:
                        return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"{self.label} is not ready: {self.log()[-2000:]}")

    def end(self):
        if self.process.poll() is None:
            self.kill()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Client:
    """One connection that is kept. Whatever goes wrong with it is an exception, and it connects anew."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.forget()

    def forget(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def ask(self, method, path, body=None, headers=None, timeout=60):
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(method, path, body, headers or {})
        except BaseException:
            self.forget()
            raise

    async def _ask(self, method, path, body, headers):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        body = body or b""
        head = {"Host": "localhost", "Content-Length": str(len(body))} | ({"Content-Type": "application/json"} if body else {}) | headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        await self.writer.drain()
        answer = await read_answer(self.reader, method)
        if answer.headers.get("connection") == "close":
            self.forget()
        return answer


async def read_answer(reader, method="GET"):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        length = 0 if method == "HEAD" or status in (204, 304) else int(headers.get("content-length", 0))
        body = await reader.readexactly(length)
    return Answer(status, headers, body)


class Line:
    """A line of TCP to the database that can be cut, silent or slow."""

    def __init__(self, target):
        self.target, self.port, self.delay, self.server, self.pairs = target, free_port(), 0.0, None, set()
        # How many connections were cut, and how many pieces had to wait for the line.
        self.broken = self.held = self.delayed = 0
        self.passing = asyncio.Event()
        self.passing.set()

    async def open(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def cut(self):
        """Breaks all connections; new ones are made at once."""
        self.broken += len(self.pairs)
        for writer in list(self.pairs):
            writer.transport.abort()

    async def _connected(self, reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.pairs |= {writer, there_writer}
        # The loop ends under those that are still open, which is nothing to tell of.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        self.pairs -= {writer, there_writer}

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.held += not self.passing.is_set()
                await self.passing.wait()
                if self.delay:
                    self.delayed += 1
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def close(self):
        self.server.close()
        self.cut()


@contextlib.contextmanager
def before_others():
    """What is measured is the service, and not what else this machine has to do."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


@contextlib.contextmanager
def workplace():
    """A directory that every user may enter, gone at the end."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="aponta-faults-"))
    base.chmod(0o755)
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)
