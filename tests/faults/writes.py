"""No write that was acknowledged is lost, none is half done, and a refused one is nowhere, whatever fails meanwhile."""

import asyncio
import json
import random
import time

from breaking import Faults
from world import Api, Client, Cluster, Line

LIST = "/api/v1/atividades"
WRITERS = 24
BULK = 5
# What may come of an answer with these: the write was done, or it was not; never a part of it.
UNKNOWN = (500, 502, 503, 504)


class Ledger:
    """What every name may be in the end: for each the set of descriptions that are possible, None where there is none."""

    def __init__(self):
        self.possible, self.refused, self.bulks, self.keyed = {}, set(), [], set()
        self.acknowledged = self.unknown = 0


class Writer:
    """Has atividades of its own, so that it knows what each of them should be."""

    def __init__(self, number, ports, projeto, ledger):
        self.random, self.number, self.count = random.Random(number), number, 0
        self.clients = [Client(port) for port in ports]
        self.projeto, self.ledger, self.mine = projeto, ledger, {}

    def new_name(self, kind):
        self.count += 1
        return f"{kind}-{self.number}-{self.count}"

    async def send(self, method, path, body=None, headers=None):
        """The status, or nothing when nobody answered."""
        try:
            answer = await self.random.choice(self.clients).ask(method, path, body and json.dumps(body).encode(), headers, timeout=40)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            # The replica is gone; others would do the same.
            await asyncio.sleep(0.02)
            return None, None
        if answer.status in UNKNOWN:
            assert answer.status == 503 and "retry-after" in answer.headers, (answer.status, answer.body)
            await asyncio.sleep(0.05)
            return None, None
        return answer.status, answer.body and json.loads(answer.body)

    def note(self, status):
        if status is None:
            self.ledger.unknown += 1
        else:
            self.ledger.acknowledged += 1

    async def create(self):
        name = self.new_name("create")
        status, body = await self.send("POST", LIST, {"nome": name, "descricao": "0", "id_projeto": self.projeto})
        assert status in (201, None), (status, body)
        self.note(status)
        self.ledger.possible[name] = {"0"} if status else {"0", None}
        if status:
            self.mine[name] = body["id"]

    async def create_once(self):
        name = self.new_name("once")
        headers = {"Idempotency-Key": name}
        status = None
        while status is None:
            status, body = await self.send("POST", LIST, {"nome": name, "descricao": "0", "id_projeto": self.projeto}, headers)
            assert status in (201, None), (status, body)
        self.note(status)
        self.ledger.possible[name] = {"0"}
        self.ledger.keyed.add(name)

    async def create_many(self):
        names = [self.new_name("bulk") for _ in range(BULK)]
        items = [{"nome": name, "descricao": "0", "id_projeto": self.projeto} for name in names]
        status, body = await self.send("POST", f"{LIST}/lote", {"items": items})
        assert status in (201, None), (status, body)
        self.note(status)
        self.ledger.possible |= dict.fromkeys(names, {"0"} if status else {"0", None})
        self.ledger.bulks.append(names)

    async def refused(self):
        """Not a name, not a projeto, and in a bulk one that spoils the others."""
        name = self.new_name("refused")
        nobody = "00000000-0000-7000-8000-00000000dead"
        path, body = self.random.choice([
            (LIST, {"nome": name, "id_projeto": nobody}),
            (LIST, {"nome": name, "id_projeto": self.projeto, "ativo": "talvez"}),
            (f"{LIST}/lote", {"items": [{"nome": name, "id_projeto": self.projeto}, {"nome": "", "id_projeto": self.projeto}]}),
            (f"{LIST}/lote", {"items": [{"nome": name, "id_projeto": self.projeto}, {"nome": "x", "id_projeto": nobody}]}),
        ])
        status, body = await self.send("POST", path, body)
        assert status in (422, None), (status, body)
        self.ledger.refused.add(name)

    async def update(self):
        if not self.mine:
            return await self.create()
        name = self.random.choice(list(self.mine))
        descricao = str(self.count)
        self.count += 1
        status, body = await self.send("PUT", f"{LIST}/{self.mine[name]}", {"descricao": descricao})
        if status == 404:
            # A deletion that nobody had confirmed was done.
            assert None in self.ledger.possible[name], name
            self.ledger.possible[name] = {None}
            del self.mine[name]
            return None
        assert status in (200, None), (status, body)
        self.note(status)
        self.ledger.possible[name] = {descricao} if status else self.ledger.possible[name] | {descricao}

    async def delete(self):
        if not self.mine:
            return await self.create()
        name = self.random.choice(list(self.mine))
        status, body = await self.send("DELETE", f"{LIST}/{self.mine[name]}")
        if status is None:
            self.ledger.possible[name] = self.ledger.possible[name] | {None}
            self.note(status)
            return None
        assert status == 204 or (status == 404 and None in self.ledger.possible[name]), (status, body, name)
        self.note(status)
        self.ledger.possible[name] = {None}
        del self.mine[name]

    async def work(self, until):
        kinds = [self.create, self.create_once, self.create_many, self.update, self.update, self.delete, self.refused]
        while not until.is_set():
            await self.random.choice(kinds)()
        for client in self.clients:
            client.forget()


def compare(cluster, ledger):
    """What is in the database against what may be there."""
    rows = [line.split("\t") for line in cluster.sql("SELECT nome, descricao FROM atividades").splitlines()]
    found = dict(rows)
    assert len(found) == len(rows), f"{len(rows) - len(found)} exist twice"
    lost = [name for name, possible in ledger.possible.items() if found.get(name) not in possible]
    assert not lost, [(name, found.get(name), ledger.possible[name]) for name in lost[:10]]
    assert not ledger.refused & found.keys(), "what was refused was done"
    assert not found.keys() - ledger.possible.keys(), "there is what nobody sent"
    assert all(len({name in found for name in names}) == 1 for names in ledger.bulks), "a bulk is half done"
    assert ledger.keyed <= found.keys(), "what was sent with a key does not exist"


async def run(binary, base, *, faults, writes):
    cluster = Cluster(base)
    line = Line(cluster.port)
    await line.open()
    apis = [Api(binary, base, cluster.url(line.port), f"writes-{number}") for number in range(2)]
    try:
        for api in apis:
            await api.ready()
        async with Client(apis[0].port) as client:
            answer = await client.ask("POST", "/api/v1/projetos", b'{"nome": "P"}')
        projeto = json.loads(answer.body)["id"]
        ledger, until, breaking = Ledger(), asyncio.Event(), Faults(cluster, apis, line)
        writers = [asyncio.create_task(Writer(n, [api.port for api in apis], projeto, ledger).work(until)) for n in range(WRITERS)]
        began, injected = time.monotonic(), 0
        kinds = breaking.all()
        while injected < faults or ledger.acknowledged < writes:
            failed = [writer for writer in writers if writer.done()]
            if failed:
                await asyncio.gather(*failed)
            if injected < faults:
                await breaking.inject(kinds[injected % len(kinds)])
                injected += 1
            before = ledger.acknowledged
            deadline = time.monotonic() + 90
            # Everything comes right by itself before the next blow.
            while ledger.acknowledged < before + 100:
                assert time.monotonic() < deadline, f"no writes after {kinds[(injected - 1) % len(kinds)].__name__}"
                await asyncio.sleep(0.02)
                failed = [writer for writer in writers if writer.done()]
                if failed:
                    await asyncio.gather(*failed)
        until.set()
        await asyncio.gather(*writers)
        compare(cluster, ledger)
        unfelt = [kind for kind in breaking.injected if not breaking.bitten[kind]]
        assert not unfelt, f"nobody felt any of these faults: {unfelt}"
        return {"faults": injected, "that left a trace": breaking.bitten.total(), "connections taken at once": breaking.held,
                "acknowledged": ledger.acknowledged, "unknown": ledger.unknown, "refused": len(ledger.refused), "lost": 0,
                "seconds": round(time.monotonic() - began)}
    finally:
        line.close()
        for api in apis:
            api.end()
        cluster.end()
