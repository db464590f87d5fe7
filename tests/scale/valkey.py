"""Replicas that share identities and rates in Valkey: after deploys, and while Valkey is dead, hangs, is full, lies or is slow."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import statistics
import time

from azure_stub import AzureStub, identity
from environment import Replica, high_priority, logs
from harness.postgres import Cluster
from harness.wait import wait_until_async, within
from http_client import Client
from tcp_proxy import TcpProxy
from valkey_server import PASSWORD, Error, Valkey

ME, RATE, BURST = "/api/v1/user", 10, 20
KEY = "uma-chave-de-32-bytes-ou-um-pouco-mais"
OPERATIONS = re.compile(r'^aponta_shared_memory_operations_total\{use="(\w+)",outcome="(\w+)"\} (\d+)', re.MULTILINE)
ENTRIES = "aponta:1:*:bearer:*"


class Stack:
    """The database, a stand-in for Azure DevOps, Valkey, and the replicas that a test starts."""

    def __init__(self, programs, base, cleanup):
        self.programs, self.base, self.cleanup, self.count = programs, base, cleanup, 0
        self.cluster = Cluster(base, settings={"fsync": "off", "max_connections": 60})
        self.cluster.give_to_server(base)
        self.cluster.initialize()
        self.cluster.start()
        cleanup.callback(self.cluster.stop, signal.SIGQUIT)
        self.cluster.sql("CREATE DATABASE aponta")
        self.valkey = Valkey(programs["valkey"], base)
        cleanup.callback(self.valkey.stop)
        self.azure = AzureStub()

    async def open(self):
        await self.azure.open()
        self.cleanup.callback(self.azure.close)

    async def replicas(self, number, **settings):
        """Starts replicas and waits until they serve."""
        shared = {"REDIS_URL": self.valkey.url, "SHARED_KEY": KEY}
        of_all = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": self.azure.url, "AUTH_CACHE_TTL": "600", "RATE_PER_PERSON": f"{RATE}/s;{BURST}",
                  "DATABASE_POOL_SIZE": "2"}
        started = []
        for _ in range(number):
            self.count += 1
            started.append(Replica(self.programs["binary"], self.base, self.cluster.url("aponta"), f"api-{self.count}", **of_all | shared | settings))
            self.cleanup.callback(started[-1].stop, signal.SIGKILL)
        for replica in started:
            await replica.wait_ready()
        return started


def stop(replicas):
    for replica in replicas:
        assert replica.stop() == 0, replica.log()


class Person:
    """Sends requests with a token of their own, and knows whose identity every response must have."""

    def __init__(self, number, replicas):
        self.token = f"conhecido-{number}"
        self.id = json.loads(identity(self.token))["authenticatedUser"]["id"]
        self.clients = [Client(replica.port) for replica in replicas]

    async def send(self, client):
        """Returns the status. Any identity but the person's own is an error."""
        response = await client.request("GET", ME, headers={"Authorization": f"Bearer {self.token}"}, timeout=20)
        if response.status == 200:
            found = json.loads(response.body)["id"]
            assert found == self.id, f"{self.token} is taken for {found}"
        return response.status

    def close(self):
        for client in self.clients:
            client.disconnect()


async def operations(replicas):
    """Returns the operations of all replicas, by use and outcome."""
    found = {}
    for replica in replicas:
        async with Client(int(replica.settings["METRICS_PORT"])) as client:
            text = (await client.request("GET", "/metrics")).body.decode()
        for use, outcome, count in OPERATIONS.findall(text):
            found[use, outcome] = found.get((use, outcome), 0) + int(count)
    return found


async def visit(replicas, people, at_once=False):
    """Every person sends a request to every replica: one after the other, in an order of their own, or all at once."""
    left = list(range(1, people + 1))

    async def work():
        while left:
            person = Person(left.pop(), replicas)
            if at_once:
                statuses = await asyncio.gather(*map(person.send, person.clients))
            else:
                random.Random(person.token).shuffle(person.clients)
                statuses = [await person.send(client) for client in person.clients]
            assert set(statuses) == {200}, statuses
            person.close()
    await asyncio.gather(*(work() for _ in range(8)))


def alone(found, use):
    """What replicas did alone, because a busy machine made Valkey late. Each may cost a call to Azure DevOps, or a quota."""
    return found[use, "failed"] + found[use, "skipped"]


async def deploys(stack, people):
    """Returns the calls to Azure DevOps of a deploy of 4 replicas, of the next one, and of one without Valkey."""
    calls, late, replicas = {}, {}, []
    for name, settings in (("first deploy", {}), ("next deploy", {}), ("a deploy of another tenant", {"DATABASE_SCHEMA": "outro"}),
                           ("without Valkey", {"REDIS_URL": ""})):
        stop(replicas)
        replicas, before = await stack.replicas(4, **settings), stack.azure.count
        await visit(replicas, people)
        calls[name] = stack.azure.count - before
        late[name] = alone(await operations(replicas), "identities") if "REDIS_URL" not in settings else 0
    stop(replicas)
    stack.valkey.command("FLUSHALL")
    replicas, before = await stack.replicas(4), stack.azure.count
    await visit(replicas, people, at_once=True)
    calls["first deploy, requests to all replicas at once"] = stack.azure.count - before
    # The last one shows that the checks would see a memory that shares nothing.
    for name, expected in (("first deploy", people), ("next deploy", 0), ("a deploy of another tenant", people), ("without Valkey", 4 * people)):
        assert expected <= calls[name] <= expected + late[name], (name, calls, late)
    return calls, sum(late.values()), replicas


async def one_person(replicas, seconds):
    """A person sends through three replicas as fast as they respond. Returns the allowed requests per second after the burst."""
    person, before = Person(1, replicas[:3]), alone(await operations(replicas), "rates")
    statuses, started = [], time.monotonic()

    async def work(client):
        while time.monotonic() - started < seconds:
            statuses.append(await person.send(client))
            # Three times as fast as the limit.
            await asyncio.sleep(0.03)
    await asyncio.gather(*map(work, person.clients))
    elapsed = time.monotonic() - started
    late = alone(await operations(replicas), "rates") - before
    allowed = statuses.count(200)
    assert set(statuses) == {200, 429}, set(statuses)
    assert (RATE - 1) * elapsed <= allowed <= BURST + 1 + (RATE + 1) * elapsed + late, (allowed, elapsed, late)
    return f"{(allowed - BURST - 1) / elapsed:.1f}", late


async def many_people(replicas, people, seconds):
    """Each sends one request per second. Returns the number of requests, none of which may be refused."""
    persons = [Person(number, [random.choice(replicas)]) for number in range(1, people + 1)]
    started = time.monotonic()

    async def work(person):
        await asyncio.sleep(random.random())
        sent = []
        while time.monotonic() - started < seconds:
            sent.append(await person.send(person.clients[0]))
            await asyncio.sleep(1)
        return sent
    statuses = [status for sent in await asyncio.gather(*map(work, persons)) for status in sent]
    refused = sum(status != 200 for status in statuses)
    assert refused == 0, f"{refused} of {len(statuses)} refused"
    return len(statuses)


class Attack:
    """Writes what it likes to the entries of identities, as fast as it can: those of other persons, old ones, and noise."""

    def __init__(self, valkey):
        self.valkey, self.old, self.written = valkey, [], 0

    async def run(self):
        while True:
            names = await asyncio.to_thread(self.valkey.command, "KEYS", ENTRIES)
            contents = [content for name in names if (content := await asyncio.to_thread(self.valkey.command, "GET", name))]
            self.old = (self.old + contents)[-100:]
            for name in names:
                forged = random.choice([random.choice(self.old or [b""]), os.urandom(150), b"", b'{"id": "x"}'])
                # An entry of another version has another name, which nothing reads.
                for of_version in (name, name.replace(b":1:", b":2:", 1)):
                    await asyncio.to_thread(self.valkey.command, "SET", of_version, forged, "PX", 5000)
                    self.written += 1
            await asyncio.sleep(0.02)


class Traffic:
    """Twelve people who send five requests per second, to any replica."""

    def __init__(self, replicas):
        self.persons = [Person(number, replicas) for number in range(101, 113)]
        self.durations, self.failures, self.phase = {}, [], None

    async def run(self):
        await asyncio.gather(*map(self._work, self.persons))

    async def _work(self, person):
        while True:
            phase, started = self.phase, time.monotonic()
            try:
                status = await person.send(random.choice(person.clients))
                assert status == 200, status
            except (OSError, EOFError, ValueError, AssertionError, TimeoutError) as error:
                self.failures.append((phase, repr(error)))
            self.durations.setdefault(phase, []).append(time.monotonic() - started)
            await asyncio.sleep(0.2)

    def p99(self, phase):
        return 1000 * statistics.quantiles(self.durations[phase], n=100, method="inclusive")[98]


async def faults(stack, seconds):
    """Returns the 99th percentile of each fault in milliseconds, and how many requests were sent."""
    valkey = stack.valkey
    # Each identity is read from Valkey again and again.
    replicas = await stack.replicas(3, AUTH_CACHE_TTL="1")
    traffic, attack = Traffic(replicas), Attack(valkey)

    async def until_used(what):
        async def is_used():
            before = (await operations(replicas))["rates", "ok"]
            await asyncio.sleep(0.2)
            return (await operations(replicas))["rates", "ok"] > before
        await wait_until_async(f"the use of Valkey after {what}", is_used, 20, log=logs(*replicas, valkey))

    async def phase(name):
        traffic.phase = name
        await asyncio.sleep(seconds)
        traffic.phase = "afterwards"

    async def count(outcome):
        return (await operations(replicas))["identities", outcome]

    async with asyncio.TaskGroup() as group:
        traffic.phase = "start"
        background = [group.create_task(traffic.run())]
        await until_used("the start")
        await phase("calm")
        background.append(group.create_task(attack.run()))
        before = await count("invalid")
        await phase("forged and swapped entries")
        background.pop().cancel()
        assert await count("invalid") > before, "no replica read a forged entry"
        before = await count("failed")
        valkey.command("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
        await phase("full")
        assert await count("failed") > before, "the server was not full"
        valkey.command("CONFIG", "SET", "maxmemory", "64mb", "maxmemory-policy", "allkeys-lru")
        await until_used("a full server")
        for _ in range(5):
            valkey.command("FLUSHALL")
            await phase("flushed")
        valkey.process.send_signal(signal.SIGSTOP)
        await phase("hangs")
        valkey.process.send_signal(signal.SIGCONT)
        await until_used("the hang")
        valkey.kill()
        await phase("killed")
        valkey.start()
        await until_used("the kill")
        # The server wants another password, and ends the connections that know the former one.
        valkey.command("CONFIG", "SET", "requirepass", "outraSenha1")
        with contextlib.suppress(Error):
            valkey.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", password="outraSenha1")
        await phase("wrong password")
        valkey.command("CONFIG", "SET", "requirepass", PASSWORD, password="outraSenha1")
        await until_used("the wrong password")
        for task in background:
            task.cancel()
    assert not traffic.failures, f"{len(traffic.failures)} failed: {traffic.failures[:3]}\n{logs(*replicas)()}"
    sent = sum(map(len, traffic.durations.values()))
    p99 = {name: round(traffic.p99(name)) for name in traffic.durations if name not in ("start", "afterwards")}
    stop(replicas)
    return p99, sent, attack.written


async def slow(stack, seconds):
    """Behind a proxy that delays each direction by 100 ms, Valkey is not used. Returns the 99th percentile and the number of requests."""
    proxy = TcpProxy(stack.valkey.port)
    await proxy.open()
    stack.cleanup.callback(proxy.close)
    replicas = await stack.replicas(1, REDIS_URL=stack.valkey.url.replace(f"127.0.0.1:{stack.valkey.port}", f"127.0.0.1:{proxy.port}"))
    traffic = Traffic(replicas)
    async with asyncio.TaskGroup() as group:
        traffic.phase = "direct"
        task = group.create_task(traffic.run())
        await asyncio.sleep(1)
        proxy.delay, traffic.phase = 0.1, "slow"
        # Long enough for an attempt to connect.
        await asyncio.sleep(max(seconds, 3))
        task.cancel()
    found = await operations(replicas)
    assert not traffic.failures, f"{len(traffic.failures)} failed: {traffic.failures[:3]}\n{logs(*replicas)()}"
    # Only the requests of the moment at which it becomes slow wait for it.
    assert proxy.delayed > 0 and found["rates", "skipped"] > found["rates", "failed"], found
    return round(traffic.p99("slow")), len(traffic.durations["slow"])


async def run(programs, base, *, people, rate_seconds, crowd, fault_seconds):
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(high_priority())
        stack = Stack(programs, base, cleanup)
        await stack.open()
        async with within("the deploys", 300, logs(stack.valkey)):
            calls, late_identities, replicas = await deploys(stack, people)
        rate, late_rates = await one_person(replicas, rate_seconds)
        requests = await many_people(replicas, crowd, rate_seconds)
        stop(replicas)
        async with within("the faults", 240, logs(stack.valkey)):
            p99, sent, written = await faults(stack, fault_seconds)
            slow_p99, slow_sent = await slow(stack, fault_seconds)
        return {
            "people": people, "calls to Azure DevOps": calls, "allowed per second of one person through three replicas": rate,
            "identities and rates without Valkey because it was late": (late_identities, late_rates), "refused of a crowd": f"0 of {requests}",
            "requests during the faults": sent + slow_sent, "wrong or failed": 0, "forged entries": written,
            "ms p99": p99 | {"slow": slow_p99}}
