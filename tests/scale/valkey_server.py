"""Valkey with the files of deploy/valkey, in which only addresses and paths are replaced."""

import os
import pathlib
import signal
import socket

from harness.process import Process, free_port
from harness.text import replace_all
from harness.wait import wait_until

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "deploy/valkey"
PASSWORD = "senhaDoValkey1"


class Error(Exception):
    """An error that the server returned."""


class Valkey:
    """A process. `root` has its packages, which are newer than this system: it brings its loader."""

    def __init__(self, root, base):
        self.port, self.directory, self.process = free_port(), base / "valkey", None
        self.directory.mkdir()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}"
        secret = self.directory / "redis_url"
        secret.write_text(self.url + "\n")
        replacements = {"/run/secrets/redis_url": str(secret), "/etc/aponta/valkey": str(self.directory), "/run/valkey/": f"{self.directory}/run/",
                        "dir /run/valkey": f"dir {self.directory}", "bind 0.0.0.0": "bind 127.0.0.1", "port 6379": f"port {self.port}"}
        (self.directory / "run").mkdir()
        shipped = {name: (SHIPPED / name).read_text() for name in ("valkey.conf", "start.sh")}
        unknown = [old for old in replacements if not any(old in text for text in shipped.values())]
        assert not unknown, f"the files of deploy/valkey lack {unknown}"
        for name, text in shipped.items():
            (self.directory / name).write_text(replace_all(text, replacements))
        programs = self.directory / "bin"
        programs.mkdir()
        libraries = next((root / "usr/lib").glob("*-linux-gnu"))
        loader = next(libraries.glob("ld-linux-*"))
        program = programs / "valkey-server"
        # The program looks at its name.
        program.write_text(f'#!/bin/sh\nexec {loader} --argv0 valkey-server --library-path {libraries} {root}/usr/bin/valkey-server "$@"\n')
        program.chmod(0o755)
        self.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self.start()

    def start(self):
        self.process = Process("Valkey", ["sh", self.directory / "start.sh"], self.directory / "log", env=self.environment, cwd=self.directory)
        wait_until("the start of Valkey", self._is_ready, 20, log=self.log)

    def _is_ready(self):
        self.process.check_running()
        try:
            return self.command("PING") == b"PONG"
        except OSError:
            return False

    def command(self, *words, password=PASSWORD):
        """Sends a command of an operator, or of an attacker. Returns bytes, an integer, a list or None."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection, connection.makefile("rb") as responses:
            connection.sendall(encode("AUTH", password) + encode(*words))
            read(responses)
            return read(responses)

    def log(self):
        return self.process.log()

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def stop(self):
        # A stopped process ends only when it continues.
        self.process.send_signal(signal.SIGCONT)
        self.process.stop()


def encode(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def read(responses):
    line = responses.readline().rstrip(b"\r\n")
    if not line:
        raise ConnectionError("the server closed the connection")
    kind, text = line[:1], line[1:]
    match kind:
        case b"+":
            return text
        case b"-":
            raise Error(text.decode())
        case b":":
            return int(text)
        case b"$":
            return None if int(text) < 0 else responses.read(int(text) + 2)[:-2]
        case _:
            return [read(responses) for _ in range(int(text))]
