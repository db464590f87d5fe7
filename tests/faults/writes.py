"""No acknowledged write is lost, none is applied in part, and a refused one is not applied, whatever fails meanwhile."""

import asyncio
import json
import random
import signal
import time

from environment import LimitedCluster, Replica, logs
from fault_injection import FaultInjector
from harness.wait import Deadline, within
from http_client import Client
from tcp_proxy import TcpProxy

LIST = "/api/v1/atividades"
WRITERS = 24
BULK_SIZE = 5
# After a response with one of these the write was applied or was not, but never in part.
UNKNOWN_OUTCOME = (500, 502, 503, 504)
# How long the service may take to serve writes again after a fault, and a write to succeed while faults follow each other.
RECOVERY_TIMEOUT, RETRY_TIMEOUT = 90, 180


class Ledger:
    """The possible final states: for each name the set of descriptions, with None for an absent atividade."""

    def __init__(self):
        self.possible, self.refused, self.bulks, self.keyed = {}, set(), [], set()
        self.acknowledged = self.unknown = 0


class Writer:
    """Writes atividades of its own, so that it knows the state of each."""

    def __init__(self, number, replicas, projeto, ledger):
        self.random, self.number, self.count, self.log = random.Random(number), number, 0, logs(*replicas)
        self.clients = [Client(replica.port) for replica in replicas]
        self.projeto, self.ledger, self.own = projeto, ledger, {}

    def new_name(self, kind):
        self.count += 1
        return f"{kind}-{self.number}-{self.count}"

    async def send(self, method, path, body=None, headers=None):
        """Returns status and body, or None for both where the outcome is unknown."""
        try:
            client = self.random.choice(self.clients)
            response = await client.request(method, path, body and json.dumps(body).encode(), headers, timeout=40)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            # The replica is gone, or the proxy.
            await asyncio.sleep(0.02)
            return None, None
        if response.status in UNKNOWN_OUTCOME:
            assert response.status == 503 and "retry-after" in response.headers, (response.status, response.body)
            await asyncio.sleep(0.05)
            return None, None
        return response.status, response.body and json.loads(response.body)

    def count_outcome(self, status):
        if status is None:
            self.ledger.unknown += 1
        else:
            self.ledger.acknowledged += 1

    async def create(self):
        name = self.new_name("create")
        status, body = await self.send("POST", LIST, {"nome": name, "descricao": "0", "id_projeto": self.projeto})
        assert status in (201, None), (status, body)
        self.count_outcome(status)
        self.ledger.possible[name] = {"0"} if status else {"0", None}
        if status:
            self.own[name] = body["id"]

    async def create_idempotent(self):
        """Retries with the same key until the outcome is known."""
        name = self.new_name("once")
        headers = {"Idempotency-Key": name}
        status, deadline = None, Deadline(f"the create with the key {name}", RETRY_TIMEOUT, self.log)
        while status is None:
            deadline.check()
            status, body = await self.send("POST", LIST, {"nome": name, "descricao": "0", "id_projeto": self.projeto}, headers)
            assert status in (201, None), (status, body)
        self.count_outcome(status)
        self.ledger.possible[name] = {"0"}
        self.ledger.keyed.add(name)

    async def create_bulk(self):
        names = [self.new_name("bulk") for _ in range(BULK_SIZE)]
        items = [{"nome": name, "descricao": "0", "id_projeto": self.projeto} for name in names]
        status, body = await self.send("POST", f"{LIST}/lote", {"items": items})
        assert status in (201, None), (status, body)
        self.count_outcome(status)
        self.ledger.possible |= dict.fromkeys(names, {"0"} if status else {"0", None})
        self.ledger.bulks.append(names)

    async def create_invalid(self):
        """Sends an unknown projeto, a wrong type, and a bulk with one invalid item."""
        name = self.new_name("refused")
        unknown_projeto = "00000000-0000-7000-8000-00000000dead"
        path, body, expected = self.random.choice([
            (LIST, {"nome": name, "id_projeto": unknown_projeto}, 400),
            (LIST, {"nome": name, "id_projeto": self.projeto, "ativo": "talvez"}, 422),
            (f"{LIST}/lote", {"items": [{"nome": name, "id_projeto": self.projeto}, {"nome": "", "id_projeto": self.projeto}]}, 422),
            (f"{LIST}/lote", {"items": [{"nome": name, "id_projeto": self.projeto}, {"nome": "x", "id_projeto": unknown_projeto}]}, 400),
        ])
        status, body = await self.send("POST", path, body)
        assert status in (expected, None), (status, body)
        self.ledger.refused.add(name)

    async def update(self):
        if not self.own:
            return await self.create()
        name = self.random.choice(list(self.own))
        descricao = str(self.count)
        self.count += 1
        status, body = await self.send("PUT", f"{LIST}/{self.own[name]}", {"descricao": descricao})
        if status == 404:
            # An earlier deletion with an unknown outcome was applied.
            assert None in self.ledger.possible[name], name
            self.ledger.possible[name] = {None}
            del self.own[name]
            return None
        assert status in (200, None), (status, body)
        self.count_outcome(status)
        self.ledger.possible[name] = {descricao} if status else self.ledger.possible[name] | {descricao}

    async def delete(self):
        if not self.own:
            return await self.create()
        name = self.random.choice(list(self.own))
        status, body = await self.send("DELETE", f"{LIST}/{self.own[name]}")
        if status is None:
            self.ledger.possible[name] = self.ledger.possible[name] | {None}
            self.count_outcome(status)
            return None
        assert status == 204 or (status == 404 and None in self.ledger.possible[name]), (status, body, name)
        self.count_outcome(status)
        self.ledger.possible[name] = {None}
        del self.own[name]

    def kinds(self):
        return [self.create, self.create_idempotent, self.create_bulk, self.update, self.update, self.delete, self.create_invalid]

    async def work(self, until):
        while not until.is_set():
            await self.random.choice(self.kinds())()
        for client in self.clients:
            client.disconnect()


def check_ledger(cluster, ledger):
    """Compares the database with the ledger."""
    rows = cluster.rows("SELECT nome, descricao FROM atividades")
    found = dict(rows)
    assert len(found) == len(rows), f"{len(rows) - len(found)} exist twice"
    lost = [name for name, possible in ledger.possible.items() if found.get(name) not in possible]
    assert not lost, [(name, found.get(name), ledger.possible[name]) for name in lost[:10]]
    assert not ledger.refused & found.keys(), "a refused write was applied"
    assert not found.keys() - ledger.possible.keys(), "there are rows that no client sent"
    assert all(len({name in found for name in names}) == 1 for names in ledger.bulks), "a bulk was applied in part"
    assert ledger.keyed <= found.keys(), "an acknowledged write with a key is missing"


async def raise_failures(writers):
    failed = [writer for writer in writers if writer.done()]
    if failed:
        await asyncio.gather(*failed)


async def run(binary, base, *, faults, writes):
    cluster = LimitedCluster(base)
    proxy = TcpProxy(cluster.port)
    await proxy.open()
    replicas = [Replica(binary, base, cluster.url(port=proxy.port), f"writes-{number}") for number in range(2)]
    try:
        for replica in replicas:
            await replica.wait_ready()
        async with Client(replicas[0].port) as client:
            response = await client.request("POST", "/api/v1/projetos", b'{"nome": "P"}')
        projeto = json.loads(response.body)["id"]
        ledger, until, injector = Ledger(), asyncio.Event(), FaultInjector(cluster, replicas, proxy)
        writers = [asyncio.create_task(Writer(n, replicas, projeto, ledger).work(until)) for n in range(WRITERS)]
        started, injected, kinds = time.monotonic(), 0, injector.all()
        while injected < faults or ledger.acknowledged < writes:
            await raise_failures(writers)
            if injected < faults:
                await injector.inject(kinds[injected % len(kinds)])
                injected += 1
            before = ledger.acknowledged
            last_fault = kinds[(injected - 1) % len(kinds)].__name__
            deadline = Deadline(f"100 writes after {last_fault}", RECOVERY_TIMEOUT, logs(cluster, *replicas))
            # The service recovers without help before the next fault.
            while ledger.acknowledged < before + 100:
                deadline.check()
                await asyncio.sleep(0.02)
                await raise_failures(writers)
        until.set()
        async with within("the last write of each writer", RETRY_TIMEOUT + 60, logs(cluster, *replicas)):
            await asyncio.gather(*writers)
        check_ledger(cluster, ledger)
        without_effect = [kind for kind in injector.injected if not injector.effective[kind]]
        assert not without_effect, f"these faults had no effect: {without_effect}"
        return {"faults": injected, "with an effect": injector.effective.total(), "connections held at once": injector.connections_held,
                "acknowledged": ledger.acknowledged, "unknown": ledger.unknown, "refused": len(ledger.refused), "lost": 0,
                "seconds": round(time.monotonic() - started)}
    finally:
        proxy.close()
        for replica in replicas:
            replica.stop(signal.SIGKILL)
        cluster.close()
