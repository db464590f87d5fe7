"""Reads right after the caller's own write through another process, while the standbys lag, die and return."""

import asyncio
import contextlib
import datetime
import json
import random
import re
import signal
import statistics
import time

from azure_work_items import WorkItemsStub
from environment import Replica, logs
from harness.postgres import Cluster
from harness.wait import Deadline, wait_until_async, within
from http_client import Client
from standby import LISTS, PASSWORD, REPLICATION_ROLE, Standby

PROCESSES, PERSONS, DATABASE = 3, 12, "aponta"
ENTRIES, FIRST_DAY, DAYS = "/api/v1/apontamentos", datetime.date(2024, 1, 1), 300
PERIOD = f"de={FIRST_DAY}&ate={FIRST_DAY + datetime.timedelta(days=DAYS)}"
KINDS = ("list", "total", "week", "report", "csv")
# Without the preload there are no figures of statements. WAL of a stopped standby is kept by its slot.
SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_wal_senders": 8, "max_slot_wal_keep_size": "2GB", "max_connections": 60}
READS = re.compile(r'^aponta_database_reads_total\{target="(\w+)"\} (\d+)', re.MULTILINE)
FALLBACKS = re.compile(r'^aponta_database_replica_fallbacks_total\{reason="(\w+)"\} (\d+)', re.MULTILINE)
POSITION = re.compile(r'^db_client_operation_duration_seconds_(sum|count)\{[^}]*db_operation_name="replicas.position"[^}]*\} (\S+)', re.MULTILINE)


class Person:
    """Writes own entries through one process, and reads them through another one. Knows what they have to be."""

    def __init__(self, number, processes, atividade, projeto):
        self.random, self.number = random.Random(number), number
        self.clients = [Client(process.port) for process in processes]
        self.atividade, self.projeto, self.entries, self.writes = atividade, projeto, {}, 0
        self.durations = {kind: [] for kind in KINDS}

    async def send(self, client, method, path, body=None):
        headers = {"Authorization": f"Bearer conhecido-{self.number}"}
        response = await client.request(method, path, body and json.dumps(body).encode(), headers)
        assert response.status in (200, 201, 204), (method, path, response.status, response.body)
        return response.body

    async def write(self, client):
        """Creates, changes or deletes an entry. Returns a day of the week that changed."""
        self.writes += 1
        minutes = self.random.randint(1, 4)
        kind = self.random.choice(["create", "create", "change", "delete"]) if len(self.entries) > 3 else "create"
        if kind == "create":
            day = FIRST_DAY + datetime.timedelta(days=self.random.randrange(DAYS))
            body = {"work_item_id": self.number, "duracao": f"00:{minutes:02}", "data_apontamento": str(day), "id_atividade": self.atividade,
                    "organization_name": "exemplo", "project_id": self.projeto}
            identifier = json.loads(await self.send(client, "POST", ENTRIES, body))["id"]
            self.entries[identifier] = (day, minutes)
            return day
        identifier = self.random.choice(list(self.entries))
        day, _ = self.entries[identifier]
        if kind == "change":
            await self.send(client, "PUT", f"{ENTRIES}/{identifier}", {"duracao": f"00:{minutes:02}"})
            self.entries[identifier] = (day, minutes)
        else:
            await self.send(client, "DELETE", f"{ENTRIES}/{identifier}")
            del self.entries[identifier]
        return day

    async def read(self, client, kind, day):
        """Returns what the service says and what it must say, in minutes by entry or in all."""
        monday = day - datetime.timedelta(days=day.weekday())
        sunday = monday + datetime.timedelta(days=6)
        match kind:
            case "list":
                body = json.loads(await self.send(client, "GET", f"{ENTRIES}?usuario=eu&limit=100&de={day}&ate={day}"))
                return in_list(body), self.expected(day, day)
            case "total":
                body = json.loads(await self.send(client, "GET", f"{ENTRIES}?usuario=eu&limit=1&total=true"))
                return (body["total"], body["total_minutos"]), (len(self.entries), self.minutes())
            case "week":
                body = json.loads(await self.send(client, "GET", f"{ENTRIES}?usuario=eu&limit=1000&de={monday}&ate={sunday}"))
                return in_list(body), self.expected(monday, sunday)
            case "report":
                body = json.loads(await self.send(client, "GET", f"/api/v1/relatorios/horas?usuario=eu&{PERIOD}&agrupar=usuario"))
                return body["total_minutos"], self.minutes()
            case _:
                lines = (await self.send(client, "GET", f"{ENTRIES}?usuario=eu&formato=csv")).decode().splitlines()
                head = lines[0].split(",")
                rows = [dict(zip(head, line.split(","), strict=True)) for line in lines[1:]]
                return {row["id"]: int(row["minutos"]) for row in rows}, self.expected(datetime.date.min, datetime.date.max)

    def expected(self, first, last):
        return {identifier: minutes for identifier, (day, minutes) in self.entries.items() if first <= day <= last}

    def minutes(self):
        return sum(minutes for _, minutes in self.entries.values())

    async def write_and_read(self, number):
        """Returns what is wrong with a read after a write, or nothing."""
        writer, reader = self.random.sample(self.clients, 2)
        day, kind = await self.write(writer), KINDS[number % len(KINDS)]
        started = time.monotonic()
        found, expected = await self.read(reader, kind, day)
        self.durations[kind].append(time.monotonic() - started)
        return None if found == expected else (kind, found, expected)


def in_list(body):
    return {item["id"]: item["minutos"] for item in body["items"]}


async def work(person, left, stale, failures):
    while left:
        number = left.pop()
        try:
            if wrong := await person.write_and_read(number):
                stale.append(wrong)
        except (OSError, EOFError, ValueError, AssertionError, TimeoutError) as error:
            failures.append(repr(error))
            if len(failures) > 20:
                left.clear()


async def disturb(standby, seed, end):
    """Disturbs one standby again and again, and lets it catch up in between."""
    chance = random.Random(seed)
    while not end.is_set():
        await asyncio.sleep(chance.uniform(0.5, 3))
        if not end.is_set():
            await asyncio.to_thread(standby.disturb, chance, chance.uniform(0.2, 1.5))


async def metrics(processes):
    """Returns the reads by target, the fallbacks by reason, and the mean milliseconds of a position of the primary."""
    reads, fallbacks, position = {}, {}, {"sum": 0.0, "count": 0.0}
    for process in processes:
        async with Client(int(process.settings["METRICS_PORT"])) as client:
            text = (await client.request("GET", "/metrics")).body.decode()
        for pattern, found in ((READS, reads), (FALLBACKS, fallbacks)):
            for key, value in pattern.findall(text):
                found[key] = found.get(key, 0) + int(value)
        for key, value in POSITION.findall(text):
            position[key] += float(value)
    return reads, fallbacks, 1000 * position["sum"] / max(position["count"], 1)


async def until_usable(processes):
    """Waits until a replica has served a read of every process."""
    async def is_usable():
        for process in processes:
            async with Client(process.port) as client:
                await client.request("GET", f"{ENTRIES}?limit=1", headers={"Authorization": "Bearer conhecido-1"})
            if (await metrics([process]))[0].get("replica", 0) == 0:
                return False
        return True
    await wait_until_async("the first read of a replica by each process", is_usable, 60, log=logs(*processes), interval=0.3)


async def paused_replay_is_detected(standbys, processes, person):
    """With replay paused everywhere, the standbys lack a new entry, and the service has it."""
    for standby in standbys:
        await asyncio.to_thread(standby.pause)
    day = await person.write(person.clients[0])
    for kind in KINDS:
        found, expected = await person.read(person.clients[1], kind, day)
        assert found == expected, (kind, found, expected)
    counts = {standby.sql("SELECT count(*) FROM apontamentos", DATABASE).strip() for standby in standbys}
    assert counts == {str(len(person.entries) - 1)}, f"{counts}: the standbys had replayed the write"
    for standby in standbys:
        await asyncio.to_thread(standby.resume)
    await wait_until_async("the end of the fallbacks", lambda: serves_again(processes), 30, log=logs(*processes), interval=0.2)


async def serves_again(processes):
    before = (await metrics(processes))[0]["replica"]
    async with Client(processes[0].port) as client:
        await client.request("GET", f"{ENTRIES}?limit=1", headers={"Authorization": "Bearer conhecido-1"})
    return (await metrics(processes))[0]["replica"] > before


async def setup(process):
    headers = {"Authorization": "Bearer conhecido-1"}
    async with Client(process.port) as client:
        projeto = json.loads((await client.request("POST", "/api/v1/projetos", b'{"nome": "Portal"}', headers)).body)["id"]
        body = json.dumps({"nome": "Desenvolver", "id_projeto": projeto}).encode()
        return json.loads((await client.request("POST", "/api/v1/atividades", body, headers)).body)["id"], projeto


async def run(programs, base, *, reads, seconds):
    (base / "postgres").mkdir()
    primary = Cluster(base / "postgres", settings=SETTINGS, password="outra-senha")
    primary.give_to_server(base / "postgres")
    azure = WorkItemsStub(PERSONS + 1)
    with contextlib.ExitStack() as cleanup:
        primary.initialize()
        primary.start()
        cleanup.callback(primary.stop, signal.SIGQUIT)
        primary.sql(f"CREATE ROLE {REPLICATION_ROLE} LOGIN REPLICATION PASSWORD '{PASSWORD}'; CREATE ROLE api LOGIN PASSWORD 'senha'")
        primary.sql(f"CREATE DATABASE {DATABASE} OWNER api")
        primary.sql("CREATE EXTENSION pg_stat_statements SCHEMA public", DATABASE)
        standbys = []
        for name in ("standby_a", "standby_b"):
            standbys.append(Standby(primary, base / name, name))
            cleanup.callback(standbys[-1].stop, signal.SIGQUIT)
        await azure.open()
        cleanup.callback(azure.close)
        # Without a password, which comes from the other URL.
        urls = ",".join(f"postgresql://api@127.0.0.1:{standby.port}/{DATABASE}" for standby in standbys)
        settings = {"DATABASE_REPLICA_URLS": urls, "DATABASE_POOL_SIZE": "6", "AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url}
        processes = []
        for number in range(PROCESSES):
            url = f"postgresql://api:senha@127.0.0.1:{primary.port}/{DATABASE}"
            processes.append(Replica(programs["binary"], base, url, f"api-{number}", **settings))
            cleanup.callback(processes[-1].stop, signal.SIGKILL)
        for process in processes:
            await process.wait_ready()
        atividade, projeto = await setup(processes[0])
        await until_usable(processes)
        await paused_replay_is_detected(standbys, processes, Person(PERSONS + 1, processes, atividade, projeto))
        persons = [Person(number, processes, atividade, projeto) for number in range(1, PERSONS + 1)]
        stale, failures, end = [], [], asyncio.Event()
        before = (await metrics(processes))[0]
        calm = list(range(reads // 5))
        async with within("the reads without disturbances", seconds, logs(primary, *processes)):
            await asyncio.gather(*(work(person, calm, stale, failures) for person in persons))
        undisturbed, _, position = await metrics(processes)
        undisturbed = {target: count - before[target] for target, count in undisturbed.items()}
        left = list(range(reads - reads // 5))
        disturbances = [asyncio.create_task(disturb(standby, seed, end)) for seed, standby in enumerate(standbys)]
        started, deadline = time.monotonic(), Deadline("the reads", seconds, logs(primary, *processes))
        tasks = asyncio.gather(*(work(person, left, stale, failures) for person in persons))
        while not tasks.done():
            deadline.check()
            await asyncio.wait([tasks], timeout=1)
        await tasks
        elapsed = time.monotonic() - started
        end.set()
        async with within("the last disturbance", 90, logs(*standbys)):
            await asyncio.gather(*disturbances)
        assert not failures, f"{len(failures)} failed: {failures[:3]}\n{logs(*processes, *standbys)()}"
        assert not stale, f"{len(stale)} of {reads} reads were stale: {stale[:2]}"
        for process in processes:
            process.process.check_running()
        by_target, fallbacks, _ = await metrics(processes)
        lists = {"primary": int(primary.sql(LISTS, DATABASE))} | {standby.name: standby.count_lists() for standby in standbys}
        share = {name: f"{100 * count / sum(lists.values()):.0f} %" for name, count in lists.items()}
        assert all(standby.count_lists() > 0 for standby in standbys), lists
        assert undisturbed["replica"] > undisturbed["primary"], (undisturbed, fallbacks)
        assert sum(fallbacks.values()) == by_target["primary"], (by_target, fallbacks)
        durations = [duration for person in persons for kind in KINDS for duration in person.durations[kind]]
        return {
            "reads after an own write": reads, "stale": len(stale), "failed": len(failures), "processes": PROCESSES,
            "pauses of replay": sum(standby.pauses for standby in standbys), "kills": sum(standby.kills for standby in standbys),
            "lists and reports by server": lists, "share": share, "statements by target": by_target,
            "share of the standbys without disturbances": f"{100 * undisturbed['replica'] / sum(undisturbed.values()):.0f} %",
            "fallbacks": {reason: count for reason, count in fallbacks.items() if count},
            "ms for the position of the primary": f"{position:.2f}", "ms median of a read": f"{1000 * statistics.median(durations):.1f}",
            "s": f"{elapsed:.0f}"}
