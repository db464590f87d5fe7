"""A mixed load for some time, of users who come and go: memory, descriptors and connections do not creep."""

import asyncio
import json
import random
import statistics

from illness import Organisation
from world import POOL, Api, Client, Cluster

LIST = "/api/v1/atividades"
CLIENTS = 32
# For how many seconds an identity is remembered, after how many requests a client is somebody else, what it keeps.
REMEMBERED, REQUESTS, KEPT = 5, 40, 20


class Load:
    """One client, who deletes as much as it creates, so that the data does not grow."""

    def __init__(self, port, number, projeto, counts):
        self.choose, self.number, self.projeto, self.counts = random.Random(number), number, projeto, counts
        self.own, self.sent, self.mine = Client(port), 0, []

    async def ask(self, method, path, body=None, **headers):
        self.sent += 1
        whom = "estranho" if self.choose.random() < 0.02 else "conhecido"
        token = f"{whom}-{self.number * 1_000_000 + self.sent // REQUESTS}"
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": f"Bearer {token}"}
        if whom == "estranho":
            # Each from an address of its own: what fails is limited by address.
            headers["X-Forwarded-For"] = f"10.{self.number % 256}.{self.sent // 256 % 256}.{self.sent % 256}"
        answer = await self.own.ask(method, path, body and json.dumps(body).encode(), headers)
        assert answer.status < 500 and (answer.status != 401 or whom == "estranho"), (answer.status, answer.body)
        self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
        return answer

    async def step(self):
        body = {"nome": "Revisão", "descricao": "x" * 500, "id_projeto": self.projeto}
        kind = self.choose.randrange(12)
        if kind < 2 or not self.mine:
            created = await self.ask("POST", LIST, body)
            self.mine += [json.loads(created.body)["id"]] if created.status == 201 else []
        elif kind == 2:
            key = f"{self.number}-{self.sent}"
            created = await self.ask("POST", f"{LIST}/lote", {"items": [body] * 20}, Idempotency_Key=key)
            self.mine += [item["id"] for item in json.loads(created.body)["items"]] if created.status == 201 else []
        elif kind == 3:
            await self.ask("PUT", f"{LIST}/{self.choose.choice(self.mine)}", {"ativo": self.choose.random() < 0.5})
        elif kind == 4:
            while len(self.mine) > KEPT:
                if (await self.ask("DELETE", f"{LIST}/{self.mine[-1]}")).status == 204:
                    self.mine.pop()
        else:
            path = self.choose.choice([
                f"{LIST}/{self.choose.choice(self.mine)}", f"{LIST}?limit=50", f"{LIST}?limit=1000", f"{LIST}?q=revisao&apos=",
                f"{LIST}?limit=x", f"{LIST}?formato=csv&limit=200", "/api/v1/projetos", "/docs", "/openapi.json", "/nada", "/health"])
            await self.ask("GET", path, Accept_Encoding=self.choose.choice(["gzip", "identity"]))
        if self.choose.random() < 0.02:
            self.own.forget()

    async def work(self, until):
        while not until.is_set():
            await self.step()
        self.own.forget()


async def sampled(api, cluster, seconds, clients):
    """Each half second: when it was in minutes, memory, descriptors and connections to the database."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aponta'"
    samples, began = [], asyncio.get_running_loop().time()
    while (now := asyncio.get_running_loop().time() - began) < seconds:
        connections = int(await asyncio.to_thread(cluster.sql, count))
        samples.append(api.status() | {"minute": now / 60, "connections": connections})
        await asyncio.sleep(0.5)
        assert not any(each.done() for each in clients), await asyncio.gather(*clients)
    return samples


def slope(samples, key):
    """By how much it grows in a minute."""
    return statistics.linear_regression([sample["minute"] for sample in samples], [sample[key] for sample in samples]).slope


async def run(binary, base, *, seconds, growth):
    cluster, organisation = Cluster(base), Organisation()
    await organisation.open()
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": organisation.url, "AUTH_CACHE_TTL": str(REMEMBERED),
                "TRUSTED_PROXIES": "127.0.0.1"}
    api = Api(binary, base, cluster.url(), "soak", **settings)
    try:
        await api.ready()
        async with Client(api.port) as first:
            headers = {"Authorization": "Bearer conhecido-1"}
            projeto = json.loads((await first.ask("POST", "/api/v1/projetos", b'{"nome": "P"}', headers)).body)["id"]
        until, counts = asyncio.Event(), {}
        clients = [asyncio.create_task(Load(api.port, n, projeto, counts).work(until)) for n in range(CLIENTS)]
        samples = await sampled(api, cluster, seconds, clients)
        until.set()
        await asyncio.gather(*clients)
        # What is there after a third stays.
        warm = samples[len(samples) // 3:]
        grown = slope(warm, "rss")
        assert grown <= growth, f"{grown:.1f} MB more each minute: {[sample['rss'] for sample in samples]}"
        middle, last = (statistics.median(sample["descriptors"] for sample in part) for part in (warm[:len(warm) // 2], warm[len(warm) // 2:]))
        assert last <= middle + 8, (middle, last)
        connections = max(sample["connections"] for sample in samples)
        assert connections <= POOL + 1, connections
        kept = int(cluster.sql("SELECT count(*) FROM atividades"))
        assert kept < CLIENTS * 10 * KEPT, f"{kept} atividades: the load itself grows"
        return {"s": seconds, "requests": sum(counts.values()), "users": organisation.count, "MB": warm[-1]["rss"],
                "MB more each minute": f"{grown:.1f}", "descriptors": last, "connections at most": connections, "atividades in the end": kept}
    finally:
        api.end()
        organisation.server.close()
        cluster.end()
