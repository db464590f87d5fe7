"""No acknowledged write is lost while the primary of a Patroni cluster is killed, cut off, and replaced as planned."""

import asyncio
import base64
import bisect
import collections
import contextlib
import datetime
import hashlib
import hmac
import itertools
import json
import os
import re
import signal
import time

from azure_work_items import WorkItemsStub
from environment import Replica, logs
from harness.wait import Deadline, wait_until, wait_until_async, within
from http_client import Client
from patroni_cluster import ADDRESSES, CLIENT, PatroniCluster
from writes import UNKNOWN_OUTCOME, WRITERS, Ledger, Writer, check_ledger, raise_failures

PROCESSES, DATABASE, ROLE, PASSWORD = 2, "aponta", "aponta_api", "senha"
ENTRIES, FIRST_DAY, DAYS = "/api/v1/apontamentos", datetime.date(2024, 1, 1), 300
# The service bounds each statement, and so each response, while the database is silent.
RESPONSE_TIMEOUT = 40
# How long the service may take to serve writes again after a fault, and the cluster to have three healthy members after its end.
RECOVERY_TIMEOUT, HEAL_TIMEOUT = 90, 120
# How long two servers accept writes, of which one cannot acknowledge any.
TWO_PRIMARIES = 10
# The pause of a writer between two writes: this machine also runs the database three times.
PAUSE = 0.05


class Entries(Ledger):
    """With the possible minutes of each entry, by its comment, and the lists that lacked an acknowledged one."""

    def __init__(self):
        super().__init__()
        self.entries, self.reads, self.stale = {}, 0, 0


class Person(Writer):
    """Writes atividades and entries, and lists entries. Every request gets a response: success, a refusal, or 503."""

    def __init__(self, number, processes, projeto, atividade, ledger, acknowledged_at):
        super().__init__(number, processes, projeto, ledger)
        self.atividade, self.acknowledged_at, self.days = atividade, acknowledged_at, {}

    async def send(self, method, path, body=None, headers=None):
        client = self.random.choice(self.clients)
        headers = {"Authorization": f"Bearer conhecido-{self.number + 1}"} | (headers or {})
        response = await client.request(method, path, body and json.dumps(body).encode(), headers, timeout=RESPONSE_TIMEOUT)
        if response.status in UNKNOWN_OUTCOME:
            assert response.status == 503 and "retry-after" in response.headers, (method, path, response.status, response.body)
            await asyncio.sleep(PAUSE)
            return None, None
        await asyncio.sleep(PAUSE)
        if response.status < 300 and method != "GET":
            self.acknowledged_at.append(time.monotonic())
        return response.status, response.body and json.loads(response.body)

    async def create_entry(self):
        name, day = self.new_name("entry"), self.random_day()
        status, body = await self.send("POST", ENTRIES, self.entry(name, "00:01", day))
        assert status in (201, None), (status, body)
        self.count_outcome(status)
        self.ledger.entries[name] = {"1"} if status else {"1", None}
        if status:
            self.days.setdefault(day, set()).add(name)

    async def create_invalid_entry(self):
        name = self.new_name("refused-entry")
        status, body = await self.send("POST", ENTRIES, self.entry(name, "25:00", self.random_day()))
        assert status in (422, None), (status, body)

    async def list_entries(self):
        """A day of the person, by the primary or a standby. Every acknowledged entry is in it."""
        day, expected = self.random.choice([*self.days.items(), (FIRST_DAY, set())])
        expected = set(expected)
        status, body = await self.send("GET", f"{ENTRIES}?usuario=eu&limit=100&de={day}&ate={day}")
        assert status in (200, None), (status, body)
        if status:
            self.ledger.reads += 1
            self.ledger.stale += not expected <= {item["comentario"] for item in body["items"]}

    def random_day(self):
        return FIRST_DAY + datetime.timedelta(days=self.random.randrange(DAYS))

    def entry(self, name, duration, day):
        return {"work_item_id": self.number + 1, "duracao": duration, "data_apontamento": str(day), "id_atividade": self.atividade,
                "organization_name": "exemplo", "project_id": self.projeto, "comentario": name}

    def kinds(self):
        return [*super().kinds(), *[self.create_entry] * 6, self.create_invalid_entry, *[self.list_entries] * 3]


def check_entries(cluster, ledger):
    rows = cluster.rows("SELECT comentario, minutos FROM apontamentos")
    found = dict(rows)
    assert len(found) == len(rows), f"{len(rows) - len(found)} entries exist twice"
    lost = [name for name, possible in ledger.entries.items() if found.get(name) not in possible]
    assert not lost, f"{len(lost)} acknowledged entries are lost: {lost[:10]}"
    assert not found.keys() - ledger.entries.keys(), "there are entries that were refused, or that no client sent"


class Faults:
    """Each takes the primary away, and returns the function that repairs it."""

    def __init__(self, cluster):
        self.cluster = cluster

    def kill(self, primary):
        """Patroni and PostgreSQL end at once; etcd runs on."""
        primary.kill(primary.etcd.pid)
        return primary.start

    def power_failure(self, primary):
        """Everything on the host ends at once."""
        primary.kill()
        return primary.start

    def cut_off(self, primary):
        """Neither the other hosts nor the service reach it any more, and no packet says so."""
        primary.cut(CLIENT, *(other.address for other in self.cluster.others(primary)))
        return primary.heal

    def cut_off_from_standbys(self, primary):
        """The service still reaches it, and sends its writes there."""
        primary.cut(*(other.address for other in self.cluster.others(primary)))
        return primary.heal

    def hang_of_patroni(self, primary):
        """Patroni stands still until another member has been the primary for some time. Its server runs on and accepts writes."""
        primary.patroni.send_signal(signal.SIGSTOP)
        wait_until("another primary", lambda: self.cluster.primary() not in (None, primary), RECOVERY_TIMEOUT, log=self.cluster.log)
        time.sleep(TWO_PRIMARIES)
        primary.patroni.send_signal(signal.SIGCONT)
        return primary.start

    def switchover(self, primary):
        self.cluster.patronictl("switchover", "--force", "--master", primary.name, "aponta")
        return primary.start


async def health(processes):
    """The statuses of /health of each process."""
    statuses = []
    for process in processes:
        process.process.check_running()
        async with Client(process.port) as client:
            statuses.append((await client.request("GET", "/health", timeout=10)).status)
    return statuses


async def break_and_repair(fault, cluster, processes, writers, acknowledged_at):
    """Returns the seconds without writes, and those until three members are healthy after the repair."""
    name, primary = fault.__name__, await asyncio.to_thread(cluster.primary)
    sources = logs(cluster, *processes)

    def written(since):
        return acknowledged_at[bisect.bisect_left(acknowledged_at, since):]

    async def serves(since):
        await raise_failures(writers)
        return len(written(since)) >= 100 and await health(processes) == [200] * len(processes)

    # The writers are at work.
    started = time.monotonic()
    await wait_until_async(f"100 writes before {name}", lambda: serves(started), RECOVERY_TIMEOUT, log=sources, interval=0.2)
    since = time.monotonic()
    repair = await asyncio.to_thread(fault, primary)
    broken = time.monotonic()
    await wait_until_async(f"100 writes after {name}", lambda: serves(broken), RECOVERY_TIMEOUT, log=sources, interval=0.2)
    outage = max(after - before for before, after in itertools.pairwise([since, *written(since)]))
    assert await asyncio.to_thread(cluster.primary) not in (None, primary), f"{name} did not change the primary"
    repaired = time.monotonic()
    await asyncio.to_thread(repair)
    await asyncio.to_thread(cluster.wait_healthy, HEAL_TIMEOUT)
    await raise_failures(writers)
    return outage, time.monotonic() - repaired


async def reads_by_target(processes):
    found = collections.Counter()
    for process in processes:
        async with Client(int(process.settings["METRICS_PORT"])) as client:
            text = (await client.request("GET", "/metrics")).body.decode()
        for target, count in re.findall(r'^aponta_database_reads_total\{target="(\w+)"\} (\d+)', text, re.MULTILINE):
            found[target] += int(count)
    return dict(found)


def scram_secret(password):
    """What PostgreSQL stores of a password, with few rounds of hashing: 4,096 take a debug build so long that a busy machine has
    no time for /health to connect."""
    salt, rounds = os.urandom(16), 16
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    encoded = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)]
    return f"SCRAM-SHA-256${rounds}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def setup(process):
    """Creates a projeto and an atividade. Returns the id of each."""
    headers = {"Authorization": "Bearer conhecido-1"}
    async with Client(process.port) as client:
        projeto = json.loads((await client.request("POST", "/api/v1/projetos", b'{"nome": "Portal"}', headers)).body)["id"]
        body = json.dumps({"nome": "Desenvolver", "id_projeto": projeto}).encode()
        return projeto, json.loads((await client.request("POST", "/api/v1/atividades", body, headers)).body)["id"]


async def run(programs, base, *, faults, writes):
    cluster, azure = PatroniCluster(base), WorkItemsStub(WRITERS)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(cluster.close)
        await asyncio.to_thread(cluster.start)
        cluster.primary().sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{scram_secret(PASSWORD)}'")
        cluster.primary().sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        await azure.open()
        cleanup.callback(azure.close)
        settings = {"DATABASE_HOST": ",".join(ADDRESSES), "DATABASE_NAME": DATABASE, "DATABASE_USER": ROLE, "DATABASE_PASSWORD": PASSWORD,
                    "DATABASE_REPLICA_URLS": ",".join(f"postgresql://{ROLE}@{address}/{DATABASE}" for address in ADDRESSES),
                    "AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url}
        processes = []
        for number in range(PROCESSES):
            processes.append(Replica(programs["binary"], base, "", f"api-{number}", **settings))
            cleanup.callback(processes[-1].stop, signal.SIGKILL)
        for process in processes:
            await process.wait_ready()
        await asyncio.to_thread(cluster.wait_healthy)
        projeto, atividade = await setup(processes[0])
        ledger, until, acknowledged_at = Entries(), asyncio.Event(), []
        # psql prints nothing for the description that it lacks.
        ledger.possible["Desenvolver"] = {""}
        persons = [Person(number, processes, projeto, atividade, ledger, acknowledged_at) for number in range(WRITERS)]
        writers = [asyncio.create_task(person.work(until)) for person in persons]
        outages, slowest = {}, 0
        for name in faults:
            stale = ledger.stale
            outage, healing = await break_and_repair(getattr(Faults(cluster), name), cluster, processes, writers, acknowledged_at)
            outages.setdefault(f"s without writes ({name})", []).append(round(outage, 1))
            slowest = max(slowest, healing)
            # Patroni cannot demote its server while it hangs, and processes of the API may be connected to either.
            assert name == "hang_of_patroni" or ledger.stale == stale, f"{ledger.stale - stale} lists lacked an entry: {name}"
        deadline = Deadline("the writes", RECOVERY_TIMEOUT + writes / 20, logs(cluster, *processes))
        while ledger.acknowledged < writes:
            deadline.check()
            await raise_failures(writers)
            await asyncio.sleep(0.1)
        until.set()
        async with within("the last write of each writer", RECOVERY_TIMEOUT, logs(cluster, *processes)):
            await asyncio.gather(*writers)
        check_ledger(cluster, ledger)
        check_entries(cluster, ledger)
        return {"acknowledged writes": ledger.acknowledged, "lost": 0, "of unknown outcome": ledger.unknown,
                "refused": len(ledger.refused), "lists": ledger.reads, "stale": ledger.stale,
                "by server": await reads_by_target(processes)} | outages | {"s from a repair to three members, at most": round(slowest, 1)}
