"""Three hosts with PostgreSQL, Patroni and etcd, each a network namespace, with the files of deploy/patroni.

A process keeps each namespace. It ends with this program, and the namespace with it.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import urllib.error
import urllib.request

from harness.postgres import SCHEMA, SERVER_USER, find_programs
from harness.process import Process, run
from harness.text import replace_all
from harness.wait import wait_until

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "deploy/patroni"
# The addresses of the shipped files: the host of the API, and those of the database.
CLIENT, ADDRESSES = "10.0.0.1", ("10.0.0.11", "10.0.0.12", "10.0.0.13")
NETWORK = "aponta0"
REST_PORT = 8008
START_TIMEOUT = 90
PASSWORDS = {"PATRONI_REPLICATION_PASSWORD": "senha-da-replica", "PATRONI_REWIND_PASSWORD": "senha-do-rewind",
             "PATRONI_RESTAPI_PASSWORD": "senha-do-patroni"}


def replace_shipped(text, replacements):
    missing = [old for old in replacements if old not in text]
    assert not missing, f"the files of deploy/patroni lack {missing}"
    return replace_all(text, replacements)


def read_environment(name):
    lines = (SHIPPED / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def network_of(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/net")
    return None


class Node:
    """One host. Each of its programs has the shipped settings, in which only paths, addresses and passwords are replaced."""

    def __init__(self, base, number):
        self.name, self.address = f"db{number + 1}", ADDRESSES[number]
        self.directory = base / self.name
        for directory in (self.directory, self.directory / "socket", self.directory / "etcd"):
            directory.mkdir(mode=0o700)
            shutil.chown(directory, SERVER_USER, SERVER_USER)
        self.programs = find_programs()
        self.config = self.directory / "config.yml"
        self.config.write_text(replace_shipped((SHIPPED / "config.yml").read_text(), {
            "/usr/lib/postgresql/15/bin": str(self.programs), "/var/lib/postgresql/15/patroni": str(self.directory / "data"),
            "/var/lib/postgresql/patroni.pgpass": str(self.directory / "pgpass"), "/run/postgresql": str(self.directory / "socket")}))
        self.config.chmod(0o644)
        self.host = Process(self.name, ["unshare", "--net", "sleep", "infinity"], self.directory / "host.log")
        wait_until(f"the namespace of {self.name}", lambda: network_of(self.host.pid) != network_of("self"), 10)
        self.network = network_of(self.host.pid)
        self.connect(number)
        self.etcd = self.patroni = None

    def connect(self, number):
        """Connects the host to the bridge of this namespace."""
        port = f"{NETWORK}-{number}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(self.host.pid))
        run("ip", "link", "set", port, "master", NETWORK, "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            self.run("ip", "link", "set", link, "up")

    def inside(self, *command, user=None):
        identity = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "TERM"] if user else []
        return ["nsenter", f"--net=/proc/{self.host.pid}/ns/net", *identity, *command]

    def run(self, *command, **options):
        return run(*self.inside(*command), **options)

    def environment(self, name):
        """The variables of a shipped file, those of its own host for this one."""
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8"}
        for key, value in read_environment(name).items():
            is_common = key == "ETCD_INITIAL_CLUSTER"
            variables[key] = value if is_common else value.replace("db1", self.name).replace(ADDRESSES[0], self.address)
        return variables

    def start(self):
        """Starts what does not run, as systemd does after a boot."""
        if self.etcd is None or not self.etcd.is_running():
            environment = self.environment("etcd.conf") | {"ETCD_DATA_DIR": str(self.directory / "etcd")}
            self.etcd = Process("etcd", self.inside("etcd", user=SERVER_USER), self.directory / "etcd.log", env=environment,
                                cwd=self.directory)
        if self.patroni is None or not self.patroni.is_running():
            environment = self.environment("patroni_env.conf") | PASSWORDS
            self.patroni = Process("Patroni", self.inside("patroni", self.config, user=SERVER_USER), self.directory / "patroni.log",
                                   env=environment, cwd=self.directory)

    def pids(self):
        """The processes of the host: Patroni's servers are not its children."""
        found = [int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")]
        return [pid for pid in found if pid != self.host.pid and network_of(pid) == self.network]

    def kill(self, *kept):
        """Kills the processes of the host at once, as a power failure does, except those `kept`."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            # A stopped process starts no other one.
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    if pid not in kept:
                        os.kill(pid, number)
        for process in (self.etcd, self.patroni):
            if process and process.pid not in kept:
                process.wait("SIGKILL")

    def cut(self, *addresses):
        """Drops all packets from and to these addresses; no side is told."""
        for address in addresses:
            self.run("iptables", "-w", "-A", "INPUT", "-s", address, "-j", "DROP")
            self.run("iptables", "-w", "-A", "OUTPUT", "-d", address, "-j", "DROP")

    def heal(self):
        self.run("iptables", "-w", "-F")

    def status(self, path):
        """The status and JSON of Patroni's REST interface, or None for both."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"http://{self.address}:{REST_PORT}/{path}", timeout=2) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, None
        except (OSError, ValueError):
            return None, None

    def sql(self, text, database="postgres"):
        """Runs statements as the superuser, by the socket. Returns what the last one printed, columns parted by tabs."""
        options = f"-csearch_path={SCHEMA},public"
        environment = {"PATH": os.environ["PATH"], "PGOPTIONS": options, "PGCONNECT_TIMEOUT": "5"}
        return run(self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-f", "-", "-h", self.directory / "socket", "-U",
                   "postgres", "-d", database, input=text, seconds=60, user=SERVER_USER, cwd=self.directory, env=environment).stdout

    def log(self):
        return f"{self.name}: {self.patroni.log()[-1500:]}" if self.patroni else ""

    def close(self):
        self.kill()
        self.host.stop(signal.SIGKILL)


class PatroniCluster:
    """Runs in a network namespace of its own, in which it is the host of the API."""

    def __init__(self, base):
        run("ip", "link", "add", NETWORK, "type", "bridge")
        run("ip", "address", "add", f"{CLIENT}/24", "dev", NETWORK)
        run("ip", "link", "set", NETWORK, "up")
        self.nodes = []
        try:
            for number in range(len(ADDRESSES)):
                self.nodes.append(Node(base, number))
        except BaseException:
            self.close()
            raise

    def start(self):
        """Starts all hosts, and waits for the primary. The standbys are made from it."""
        for node in self.nodes:
            node.start()
        wait_until("the first primary", self.primary, START_TIMEOUT, log=self.log, interval=0.2)

    def wait_healthy(self, seconds=START_TIMEOUT):
        """Waits until all members run, one of them as the primary and one as its synchronous standby."""
        wait_until("three healthy members", self.is_healthy, seconds, log=self.log, interval=0.2)

    def is_healthy(self):
        for node in self.nodes:
            if node.patroni and not node.patroni.is_running():
                raise RuntimeError(f"Patroni of {node.name} ended with {node.patroni.returncode}")
        views = [node.status("cluster")[1] for node in self.nodes]
        return all(views) and all(self.is_complete(view["members"]) for view in views)

    @staticmethod
    def is_complete(members):
        roles = sorted(member["role"] for member in members)
        follow = all(member["state"] == "running" and member.get("lag", 0) == 0 for member in members)
        return roles == ["leader", "replica", "sync_standby"] and follow and len({member.get("timeline") for member in members}) == 1

    def primary(self):
        """The node that holds the lock, or None."""
        return next((node for node in self.nodes if node.status("primary")[0] == 200), None)

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def rows(self, text):
        return [line.split("\t") for line in self.primary().sql(text, "aponta").splitlines()]

    def patronictl(self, *arguments):
        """Runs patronictl on the first host."""
        node = self.nodes[0]
        environment = node.environment("patroni_env.conf") | PASSWORDS
        return node.run("patronictl", "-c", node.config, *arguments, env=environment, seconds=60).stdout

    def log(self):
        return "\n".join(node.log() for node in self.nodes)

    def close(self):
        for node in self.nodes:
            node.close()
        run("ip", "link", "delete", NETWORK, check=False)
