"""Two hosts with nginx and two processes of the API each, and PostgreSQL on a third: each host is deployed under load, and one is cut off.

The hosts are network namespaces. nginx runs with the files of deploy/nginx, and a deploy with the functions of deploy/scripts. CloudFlare
is a stand-in, see load_balancer.py. Needs root, and namespaces for network and mounts of its own.
"""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import time
from pathlib import Path

import namespaces
from azure_with_tls import AzureWithTls
from environment import Replica, logs
from harness.postgres import SERVER_USER, Cluster
from harness.process import Process, run as run_command
from harness.wait import wait_until, wait_until_async, within
from load_balancer import Connections, LoadBalancer
from namespaces import Namespace
from writes import LIST, Ledger, Writer, check_ledger, raise_failures

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CLOUDFLARE, NAME = "173.245.48.7", "api.exemplo"
HOSTS, DATABASE_ADDRESS = {"um": "10.0.0.11", "dois": "10.0.0.12"}, "10.0.0.20"
ROLE, PASSWORD, DATABASE = "aponta_api", "senha", "aponta"
REPLICAS, WRITERS = 2, 8
# Between two requests of a writer: this machine also runs both hosts and the database.
PAUSE = 0.05
# Its statements create the role and the database.
RUNBOOK = (DEPLOY / "README.md").read_text()

# The functions of deploy.sh, with this host's nginx instead of a container.
ROLLOUT = """
set -euo pipefail
source {scripts}/lib.sh
source {scripts}/nginx.sh
rollout={root}/etc/nginx/rollout
containers() {{ echo nginx; }}
workers() {{ ps -o pid=,args= --ppid {pid} | awk '/nginx: worker process/ {{ print $1 }}'; }}
addresses() {{ printf '%s\\n' "$@"; }}
docker() {{ shift 2 && {enter} chroot {root} "$@"; }}
route_to {addresses} && wait_drained
"""


class RemoteCluster(Cluster):
    """PostgreSQL in a namespace."""

    def __init__(self, directory, namespace):
        # It is never killed, and a busy disk must not look like a lost request.
        super().__init__(directory, settings={"listen_addresses": namespace.address, "fsync": "off"}, password="outra-senha")
        self.namespace = namespace

    def start(self, seconds=60):
        # The user of the server may not enter a namespace, so the user changes afterwards.
        command = [*self.namespace.enter, "setpriv", "--reuid", SERVER_USER, "--regid", SERVER_USER, "--clear-groups", "--pdeathsig", "INT",
                   self.programs / "postgres", "-D", self.data, "-p", str(self.port)]
        command += [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        self.process = Process("postgres", command, self.log_file, cwd=self.directory)
        wait_until("the start of PostgreSQL", self._is_ready, seconds, log=self.log)

    def rows(self, text, database=DATABASE):
        return super().rows(text, database)

    def url(self, database="postgres", *, user=None, port=None):
        return super().url(database, user=user, port=port).replace("127.0.0.1", self.namespace.address)


class HostReplica(Replica):
    """`aponta serve` on an address of the loopback of its host, on the port of the containers."""

    def __init__(self, namespace, address, *arguments, **settings):
        self.namespace, self.address = namespace, address
        super().__init__(*arguments, API_HOST=address, API_PORT="8000", METRICS_PORT="9464", **settings)

    def start(self):
        self.process = Process(self.name, [*self.namespace.enter, self.binary, "serve"], self.directory / "log", env=self.settings, cwd=self.directory)

    async def _is_ready(self):
        self.process.check_running()
        done = await asyncio.to_thread(run_command, *self.namespace.enter, self.binary, "healthcheck", check=False, env=self.settings,
                                       cwd=self.directory)
        return done.returncode == 0


class Host:
    """A namespace with nginx in front of replicas."""

    def __init__(self, name, programs, base, settings):
        self.name, self.programs, self.base, self.settings = name, programs, base, settings
        self.namespace = Namespace(name, HOSTS[name], base)
        self.root, self.replicas, self.former, self.started = base / f"root-{name}", [], [], 0

    async def start_replicas(self):
        """Starts new replicas beside the old ones. Returns them."""
        new = []
        for _ in range(REPLICAS):
            self.started += 1
            name = f"{self.name}-{self.started}"
            new.append(HostReplica(self.namespace, f"127.0.0.{10 + self.started}", self.programs["binary"], self.base, self.settings["DATABASE_URL"],
                                   name, **self.settings))
        await asyncio.gather(*(replica.wait_ready() for replica in new))
        return new

    def start_nginx(self, certificate):
        """nginx in a root of its own, so that the paths in the files of deploy/nginx are its own."""
        shutil.copytree(self.programs["nginx"], self.root, symlinks=True)
        (self.root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        shutil.copytree(DEPLOY / "nginx", self.root / "etc/nginx", ignore=shutil.ignore_patterns("rollout"))
        upstream, servers = self.root / "etc/nginx/upstream.conf", "".join(f"server {replica.address}:8000; " for replica in self.replicas)
        text, count = re.subn(r"server api:8000 resolve", f"{servers.rpartition('; ')[0]}", upstream.read_text())
        assert count == 1, text
        upstream.write_text(text)
        aponta = self.root / "etc/aponta"
        shutil.copytree(DEPLOY / "nginx/guard/on", aponta / "guard")
        shutil.copytree(DEPLOY / "nginx/origin-pulls/off", aponta / "origin-pulls")
        shutil.copytree(certificate, aponta / "certs")
        (self.root / "var/cache/nginx").mkdir(parents=True, exist_ok=True)
        self.nginx = Process(f"nginx-{self.name}", [*self.namespace.enter, "chroot", self.root, "/etc/nginx/start.sh", "-g", "daemon off;"],
                             self.base / f"nginx-{self.name}.log", env={"PATH": "/usr/sbin:/usr/bin", "SERVER_NAME": NAME})

    def log(self):
        # nginx's log is the file /dev/stderr of its root.
        errors = self.root / "dev/stderr"
        return logs(*self.former, *self.replicas)() + (errors.read_text()[-1000:] if errors.exists() else "")

    async def deploy(self):
        """Replaces the replicas in the order of deploy/scripts/replicas.sh."""
        new = await self.start_replicas()
        script = ROLLOUT.format(scripts=DEPLOY / "scripts", root=self.root, pid=self.nginx.pid, enter=" ".join(self.namespace.enter),
                                addresses=" ".join(replica.address for replica in new))
        await asyncio.to_thread(run_command, "bash", "-c", script, seconds=90)
        self.former, self.replicas = self.replicas, new
        exit_codes = await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in self.former))
        assert set(exit_codes) == {0}, exit_codes

    def close(self):
        for replica in self.replicas:
            replica.stop(signal.SIGKILL)
        if hasattr(self, "nginx"):
            self.nginx.stop()
        self.namespace.close()


class Client(Writer):
    """A writer whose requests go through the load balancer."""

    def __init__(self, number, balancer, projeto, ledger):
        super().__init__(number, [], projeto, ledger)
        own = {"Authorization": f"Bearer conhecido-{number}", "CF-Connecting-IP": f"192.0.2.{number}"}
        # Requests on an open connection are lost with the host, others find that they cannot be sent.
        self.clients = [Connections(balancer, own, is_persistent=number % 2 == 0)]

    async def send(self, method, path, *arguments):
        await asyncio.sleep(PAUSE)
        status, body = await super().send(method, path, *arguments)
        if status is None:
            # The cut host may carry the request out when its network returns, after later requests for the same row.
            self.own = {name: row for name, row in self.own.items() if not path.endswith(row)}
        return status, body

    async def create_invalid(self):
        """Without an unknown projeto, which the service would look up in Azure DevOps."""
        name = self.new_name("refused")
        status, body = await self.send("POST", LIST, {"nome": name, "id_projeto": self.projeto, "ativo": "talvez"})
        assert status in (422, None), (status, body)
        self.ledger.refused.add(name)


async def wait_writes(ledger, number, writers, host):
    """Waits for more acknowledged writes."""
    goal = ledger.acknowledged + number

    async def reached():
        await raise_failures(writers)
        return ledger.acknowledged >= goal

    await wait_until_async(f"{number} writes", reached, 60, log=host.log)


def open_transactions(cluster, address):
    """Connections from a host that hold locks in a transaction, and all connections from it."""
    states = cluster.rows(f"SELECT state LIKE 'idle in%' FROM pg_stat_activity WHERE client_addr = '{address}'")
    return sum(state == ["t"] for state in states), len(states)


async def cut_off(host, seconds, balancer, cluster, ledger, writers):
    """Cuts a host off from the others for a time. Returns figures."""
    balancer.phase, started = "cut", time.monotonic()
    host.namespace.cut()
    await wait_until_async("the monitor", lambda: asyncio.sleep(0, host.namespace.address not in balancer.healthy), 30)
    noticed = time.monotonic() - started
    await asyncio.sleep(max(0, started + seconds - time.monotonic()))
    await wait_writes(ledger, 50, writers, host)
    held, connections = await asyncio.to_thread(open_transactions, cluster, host.namespace.address)
    # 30 s after its last packet PostgreSQL has given the host up.
    assert seconds < 40 or connections == 0, f"{connections} connections, {held} in a transaction"
    healed = time.monotonic()
    host.namespace.heal()
    await wait_until_async("the healed host", lambda: asyncio.sleep(0, host.namespace.address in balancer.healthy), 60,
                           log=lambda: f"{balancer.probes} {host.log()}")
    back = time.monotonic() - healed
    balancer.phase = "healed"
    await wait_writes(ledger, 100, writers, host)
    assert balancer.served["healed", host.namespace.address] > 20, balancer.served
    return {"s cut off": f"{healed - started:.0f}", "s until the monitor noticed": f"{noticed:.1f}",
            "requests meanwhile": balancer.sent["cut"], "failed": len(balancer.failures["cut"]),
            "sent to the other host instead": balancer.moved["cut"],
            "connections of the cut host that PostgreSQL still had": connections, "of them in a transaction": held,
            "s from the healing to requests on that host": f"{back:.1f}"}


async def run(programs, base, *, seconds):
    certificate = base / "certs"
    certificate.mkdir()
    run_command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
                "-keyout", certificate / "origin.key", "-out", certificate / "origin.pem")
    with contextlib.ExitStack() as cleanup:
        namespaces.create_bridge(f"{CLOUDFLARE}/32")
        cleanup.callback(namespaces.remove_bridge)
        azure = AzureWithTls(base, namespaces.GATEWAY)
        await azure.open()
        cleanup.callback(azure.close)
        database = Namespace("banco", DATABASE_ADDRESS, base)
        cleanup.callback(database.close)
        (base / "postgres").mkdir()
        cluster = RemoteCluster(base / "postgres", database)
        cluster.give_to_server(base / "postgres")
        cluster.initialize()
        with open(cluster.data / "pg_hba.conf", "a", encoding="utf-8") as rules:
            rules.write(f"host all all {namespaces.GATEWAY}/{namespaces.PREFIX} scram-sha-256\n")
        cluster.start()
        cleanup.callback(cluster.stop, signal.SIGQUIT)
        [statements] = re.findall(r"```sql\n(\s*CREATE ROLE aponta_api .*?)```", RUNBOOK, re.DOTALL)
        cluster.sql(statements.replace("'…'", f"'{PASSWORD}'"))
        settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "SSL_CERT_FILE": str(azure.authority), "TRUSTED_PROXIES": "127.0.0.0/8",
                    "DATABASE_URL": f"postgresql://{ROLE}:{PASSWORD}@{DATABASE_ADDRESS}:{cluster.port}/{DATABASE}"}
        hosts = [Host(name, programs, base, settings) for name in HOSTS]
        for host in hosts:
            cleanup.callback(host.close)
        for host, replicas in zip(hosts, await asyncio.gather(*(host.start_replicas() for host in hosts)), strict=True):
            host.replicas = replicas
            host.start_nginx(certificate)
        balancer = LoadBalancer(list(HOSTS.values()), CLOUDFLARE, NAME)
        monitors = [asyncio.create_task(balancer.monitor(origin)) for origin in balancer.origins]
        for host in hosts:
            await wait_until_async(f"nginx of {host.name}", lambda address=host.namespace.address: is_served(balancer, address), 30, log=host.log)
        figures = await under_load(hosts, balancer, cluster, seconds)
        for monitor in monitors:
            monitor.cancel()
        return figures


async def is_served(balancer, origin):
    with contextlib.suppress(OSError, EOFError):
        async with balancer.connection(origin) as client:
            return (await client.request("GET", "/health", headers={"Host": NAME}, timeout=5)).status == 200
    return False


async def under_load(hosts, balancer, cluster, seconds):
    """Deploys both hosts and cuts one off while clients write. Returns figures."""
    first = Connections(balancer, {"Authorization": "Bearer conhecido-0", "CF-Connecting-IP": "192.0.2.100"})
    response = await first.request("POST", "/api/v1/projetos", b'{"nome": "P"}')
    assert response.status == 201, response.body
    first.disconnect()
    ledger, until = Ledger(), asyncio.Event()
    writers = [asyncio.create_task(Client(n, balancer, json.loads(response.body)["id"], ledger).work(until)) for n in range(WRITERS)]
    await wait_writes(ledger, 50, writers, hosts[0])
    for host in hosts:
        await host.deploy()
        await wait_writes(ledger, 50, writers, host)
    deploy = {"requests while both hosts were deployed": balancer.sent["before"], "of them failed": len(balancer.failures["before"])}
    cut = await cut_off(hosts[0], seconds, balancer, cluster, ledger, writers)
    until.set()
    async with within("the last write of each writer", 60, hosts[1].log):
        await asyncio.gather(*writers)
    check_ledger(cluster, ledger)
    unexpected = {phase: failures[:3] for phase, failures in balancer.failures.items() if failures and phase != "cut"}
    assert not unexpected, f"{unexpected}\n{hosts[0].log()}\n{hosts[1].log()}"
    assert balancer.moved["cut"], "no request was sent to the other host instead"
    # Each client had at most one request on the cut host.
    assert len(balancer.failures["cut"]) <= WRITERS, balancer.failures["cut"]
    exit_codes = await asyncio.gather(*(asyncio.to_thread(replica.stop) for host in hosts for replica in host.replicas))
    assert set(exit_codes) == {0}, exit_codes
    return deploy | cut | {"acknowledged writes": ledger.acknowledged, "lost": 0}
