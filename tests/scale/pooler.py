"""Ten replicas of two tenants share the few connections of PgBouncer, and what a read by id costs through it."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import statistics
import time
import urllib.parse

from environment import POOL_SIZE, Replica, logs
from harness.postgres import Cluster
from harness.process import children
from harness.process import run as run_command
from harness.wait import within
from http_client import Client
from pgbouncer import PgBouncer

REPLICAS = 10
MAX_CONNECTIONS = 40
TENANTS = ("tenant_a", "tenant_b")
# The role that deploy/pooler/start.sh names, with a password that each file and URL has to quote.
ROLE, PASSWORD, DATABASE = "aponta_api", "s3nha%com\"aspas':/ ção", "aponta"
CLIENTS = 4
# The pools open their connections one after the other: a password costs CPU on both sides.
RAMP = 0.15
# `query_wait_timeout` and a retry of PgBouncer, on a busy machine.
RECOVERY_BOUND = 14
PROJETOS, ATIVIDADES = "/api/v1/projetos", "/api/v1/atividades"


async def request(client, method, path, body=None):
    response = await client.request(method, path, body and json.dumps(body).encode())
    assert response.status in (200, 201), (method, path, response.status, response.body)
    return json.loads(response.body)


class Tenant:
    """A project and an activity whose names are that of the tenant, as the names of all its rows."""

    def __init__(self, name, replicas):
        self.name, self.replicas = name, replicas

    async def fill(self):
        async with Client(self.replicas[0].port) as client:
            self.projeto = (await request(client, "POST", PROJETOS, {"nome": self.name}))["id"]
            self.atividade = (await self.create(client))["id"]

    async def create(self, client):
        return await request(client, "POST", ATIVIDADES, {"nome": self.name, "id_projeto": self.projeto})

    async def send(self, client, number):
        """Sends one request of a mix. Returns the names of the rows in its response."""
        match number % 4:
            case 0:
                rows = (await request(client, "GET", f"{ATIVIDADES}?limit=20"))["items"]
            case 1:
                rows = [await request(client, "GET", f"{ATIVIDADES}/{self.atividade}")]
            case 2:
                rows = [await self.create(client)]
            case _:
                rows = await request(client, "GET", PROJETOS)
        return [row[field] for row in rows for field in ("nome", "nome_projeto") if field in row]


class Counts:
    def __init__(self):
        self.requests, self.wrong, self.failures = 0, [], []
        self.clients = self.connections = 0


async def load(tenant, replica, counts, delay, end):
    await asyncio.sleep(delay)
    number = 0
    async with Client(replica.port) as client:
        while time.monotonic() < end:
            number += 1
            try:
                names = await tenant.send(client, number)
            except (OSError, EOFError, AssertionError) as error:
                counts.failures.append(repr(error))
                continue
            counts.requests += 1
            if not names or set(names) != {tenant.name}:
                counts.wrong.append((tenant.name, names))


async def watch(cluster, pooler, counts, end):
    """Records the largest numbers of connections."""
    count = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    while time.monotonic() < end:
        counts.connections = max(counts.connections, int(await asyncio.to_thread(cluster.sql, count)))
        counts.clients = max(counts.clients, pooler.clients())
        await asyncio.sleep(0.5)


async def share(cluster, pooler, tenants, seconds):
    """All replicas of all tenants under load at the same time."""
    replicas = [(tenant, replica) for tenant in tenants for replica in tenant.replicas] * CLIENTS
    seconds += len(replicas) * RAMP
    counts, end = Counts(), time.monotonic() + seconds
    tasks = [load(tenant, replica, counts, number * RAMP, end) for number, (tenant, replica) in enumerate(replicas)]
    async with within("the requests of all replicas", seconds + 90, logs(cluster, pooler)):
        await asyncio.gather(*tasks, watch(cluster, pooler, counts, end))
    assert not counts.failures, f"{len(counts.failures)}: {counts.failures[:3]}\n{logs(*tenants[0].replicas, pooler)()}"
    assert not counts.wrong, (len(counts.wrong), counts.wrong[:5])
    assert 0 < counts.connections <= pooler.pool_size(), counts.connections
    assert counts.clients > MAX_CONNECTIONS, f"{counts.clients} clients would not have needed a pooler"
    return counts


def cpu_seconds(*pids):
    """The CPU that these processes have used."""
    ticks = 0
    for pid in pids:
        # A worker of PostgreSQL may end.
        with contextlib.suppress(OSError):
            # After the name, which may contain anything, the 12th and 13th field: in user mode and in the kernel.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(replica, path, clients, seconds, pids):
    """Returns the median seconds of a request, and the CPU seconds of `pids` for one."""
    end, times, before = time.monotonic() + seconds, [], cpu_seconds(*pids)

    async def one():
        async with Client(replica.port) as client:
            while (started := time.monotonic()) < end:
                await request(client, "GET", path)
                times.append(time.monotonic() - started)

    await asyncio.gather(*(one() for _ in range(clients)))
    return statistics.median(times), (cpu_seconds(*pids) - before) / len(times)


async def compare(cluster, pooler, pooled, direct, path, rounds):
    """Returns what a read by id costs through the pooler / directly: time with one client, time and CPU with 16 clients. The CPU
    is that of PostgreSQL and PgBouncer."""
    ratios = []
    for replica in (pooled, direct):
        # All connections of the pool are open afterwards.
        await measure(replica, path, 16, 6, [])
    for number in range(rounds):
        # Alternately, so that a trend of the machine's load favours none.
        order = [pooled, direct][:: 1 if number % 2 else -1]
        pids = [cluster.process.pid, pooler.process.pid, *children(cluster.process.pid)]
        alone = {replica: await measure(replica, path, 1, 1, pids) for replica in order}
        pids = [cluster.process.pid, pooler.process.pid, *children(cluster.process.pid)]
        many = {replica: await measure(replica, path, 16, 2, pids) for replica in order}
        values = (alone[pooled][0] / alone[direct][0], many[pooled][0] / many[direct][0], many[pooled][1] / many[direct][1])
        ratios.append(values)
    return [statistics.median(column) for column in zip(*ratios, strict=True)]


async def recover(cluster, replica, path):
    """Restarts PostgreSQL. Returns the seconds from then until a request succeeds."""
    cluster.stop()
    async with Client(replica.port) as client:
        response = await client.request("GET", path)
        assert response.status == 503 and "retry-after" in response.headers, response.status
        cluster.start()
        started = time.monotonic()
        while (response := await client.request("GET", path)).status != 200:
            assert response.status == 503, response.status
            assert time.monotonic() - started < RECOVERY_BOUND, f"no recovery: {replica.log()[-2000:]}"
            await asyncio.sleep(0.2)
        return time.monotonic() - started


def connections_line(replica, url):
    """What `aponta doctor` says about the connections of all replicas."""
    done = run_command(replica.binary, "doctor", "--replicas", str(REPLICAS), env=replica.settings | {"DATABASE_URL": url}, check=False,
                       cwd=replica.directory)
    return next(line for line in done.stdout.splitlines() if " connections " in line)


async def run(programs, base, *, seconds, rounds):
    (base / "postgres").mkdir()
    cluster = Cluster(base / "postgres", settings={"max_connections": MAX_CONNECTIONS}, password="outra-senha")
    cluster.give_to_server(base / "postgres")
    replicas = []
    with contextlib.ExitStack() as cleanup:
        cluster.initialize()
        cluster.start()
        cleanup.callback(cluster.stop, signal.SIGQUIT)
        quoted = PASSWORD.replace("'", "''")
        cluster.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{quoted}'")
        cluster.sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        pooler = PgBouncer(programs["pgbouncer"], base, cluster, PASSWORD)
        cleanup.callback(pooler.stop)

        def url(port):
            return f"postgresql://{ROLE}:{urllib.parse.quote(PASSWORD, safe='')}@127.0.0.1:{port}/{DATABASE}"

        # Without the password, which comes from the other URL.
        direct_url = f"postgresql://{ROLE}@127.0.0.1:{cluster.port}/{DATABASE}"

        def start(name, **settings):
            replica = Replica(programs["binary"], base, url(pooler.port), name, **settings)
            cleanup.callback(replica.stop, signal.SIGKILL)
            replicas.append(replica)
            return replica

        tenants = []
        for name in TENANTS:
            settings = {"DATABASE_SCHEMA": name, "DATABASE_DIRECT_URL": direct_url}
            tenants.append(Tenant(name, [start(f"{name}-{n}", **settings) for n in range(REPLICAS // len(TENANTS))]))
        await asyncio.gather(*(replica.wait_ready() for replica in replicas))
        for tenant in tenants:
            await tenant.fill()
        assert connections_line(replicas[0], url(cluster.port)).startswith("WRONG"), "directly, they would fit"
        assert connections_line(replicas[0], url(pooler.port)).startswith("--"), "the pooler limits them"
        counts = await share(cluster, pooler, tenants, seconds)
        # Not one left the pooled mode, and not one was restarted.
        for replica in replicas:
            replica.process.check_running()
        direct = start("direct", DATABASE_SCHEMA=TENANTS[0], DATABASE_URL=url(cluster.port))
        await direct.wait_ready()
        pooled, *others = replicas[:REPLICAS]
        exit_codes = await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in others))
        assert set(exit_codes) == {0}, exit_codes
        path = f"{ATIVIDADES}/{tenants[0].atividade}"
        alone, many, cpu = await compare(cluster, pooler, pooled, direct, path, rounds)
        recovery = await recover(cluster, pooled, path)
        return {
            "replicas": REPLICAS, "tenants": len(TENANTS), "requests": counts.requests, "failed": len(counts.failures),
            "with rows of the other tenant": len(counts.wrong), "clients of PgBouncer at most": counts.clients,
            f"connections to PostgreSQL at most (its max_connections is {MAX_CONNECTIONS}, without PgBouncer up to "
            f"{REPLICAS * (POOL_SIZE + 1)})": counts.connections,
            "times the direct time of a read by id with one client": f"{alone:.2f}", "times with 16 clients": f"{many:.2f}",
            "times the CPU of PostgreSQL": f"{cpu:.2f}", "s from the start of PostgreSQL to a response": f"{recovery:.1f}"}
