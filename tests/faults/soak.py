"""A mixed load of changing users: memory, descriptors and connections do not grow."""

import asyncio
import json
import random
import signal
import statistics

from azure_stub import AzureStub
from environment import POOL_SIZE, LimitedCluster, Replica
from harness.wait import within
from http_client import Client

LIST = "/api/v1/atividades"
CLIENTS = 32
# Seconds that an identity is cached, requests until a client changes its user, and atividades that a client keeps.
CACHE_TTL, REQUESTS_PER_USER, KEPT = 5, 40, 20


class Load:
    """A client that deletes as much as it creates, so that the data does not grow."""

    def __init__(self, port, number, projeto, counts):
        self.random, self.number, self.projeto, self.counts = random.Random(number), number, projeto, counts
        self.client, self.sent, self.own = Client(port), 0, []

    async def request(self, method, path, body=None, **headers):
        self.sent += 1
        user = "estranho" if self.random.random() < 0.02 else "conhecido"
        token = f"{user}-{self.number * 1_000_000 + self.sent // REQUESTS_PER_USER}"
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": f"Bearer {token}"}
        if user == "estranho":
            # Each from an address of its own, because failed authentications are limited per address.
            headers["X-Forwarded-For"] = f"10.{self.number % 256}.{self.sent // 256 % 256}.{self.sent % 256}"
        response = await self.client.request(method, path, body and json.dumps(body).encode(), headers)
        assert response.status < 500 and (response.status != 401 or user == "estranho"), (response.status, response.body)
        self.counts[response.status] = self.counts.get(response.status, 0) + 1
        return response

    async def step(self):
        body = {"nome": "Revisão", "descricao": "x" * 500, "id_projeto": self.projeto}
        kind = self.random.randrange(12)
        if kind < 2 or not self.own:
            created = await self.request("POST", LIST, body)
            self.own += [json.loads(created.body)["id"]] if created.status == 201 else []
        elif kind == 2:
            key = f"{self.number}-{self.sent}"
            created = await self.request("POST", f"{LIST}/lote", {"items": [body] * 20}, Idempotency_Key=key)
            self.own += [item["id"] for item in json.loads(created.body)["items"]] if created.status == 201 else []
        elif kind == 3:
            await self.request("PUT", f"{LIST}/{self.random.choice(self.own)}", {"ativo": self.random.random() < 0.5})
        elif kind == 4:
            # An atividade whose deletion gets a 401 stays for the next time.
            for _ in range(len(self.own) - KEPT):
                if (await self.request("DELETE", f"{LIST}/{self.own[-1]}")).status == 204:
                    self.own.pop()
        else:
            path = self.random.choice([
                f"{LIST}/{self.random.choice(self.own)}", f"{LIST}?limit=50", f"{LIST}?limit=1000", f"{LIST}?q=revisao&apos=",
                f"{LIST}?limit=x", f"{LIST}?formato=csv&limit=200", "/api/v1/projetos", "/docs", "/openapi.json", "/nada", "/health"])
            await self.request("GET", path, Accept_Encoding=self.random.choice(["gzip", "identity"]))
        if self.random.random() < 0.02:
            self.client.disconnect()

    async def work(self, until):
        while not until.is_set():
            await self.step()
        self.client.disconnect()


async def sample_usage(replica, cluster, seconds, clients):
    """Returns a sample for each half second: minute, memory, descriptors and connections to the database."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aponta'"
    samples, started = [], asyncio.get_running_loop().time()
    while (now := asyncio.get_running_loop().time() - started) < seconds:
        connections = int(await asyncio.to_thread(cluster.sql, count))
        samples.append(replica.usage() | {"minute": now / 60, "connections": connections})
        await asyncio.sleep(0.5)
        assert not any(each.done() for each in clients), await asyncio.gather(*clients)
    return samples


def slope(samples, key):
    """Returns the growth per minute."""
    return statistics.linear_regression([sample["minute"] for sample in samples], [sample[key] for sample in samples]).slope


async def run(binary, base, *, seconds, growth):
    cluster, azure = LimitedCluster(base), AzureStub()
    await azure.open()
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "AUTH_CACHE_TTL": str(CACHE_TTL),
                "TRUSTED_PROXIES": "127.0.0.1"}
    replica = Replica(binary, base, cluster.url(), "soak", **settings)
    try:
        await replica.wait_ready()
        async with Client(replica.port) as first:
            headers = {"Authorization": "Bearer conhecido-1"}
            projeto = json.loads((await first.request("POST", "/api/v1/projetos", b'{"nome": "P"}', headers)).body)["id"]
        until, counts = asyncio.Event(), {}
        clients = [asyncio.create_task(Load(replica.port, n, projeto, counts).work(until)) for n in range(CLIENTS)]
        samples = await sample_usage(replica, cluster, seconds, clients)
        until.set()
        async with within("the last request of each client", 120, replica.log):
            await asyncio.gather(*clients)
        # The first third is the warm-up.
        warm = samples[len(samples) // 3:]
        grown = slope(warm, "rss")
        assert grown <= growth, f"{grown:.1f} MB more each minute: {[sample['rss'] for sample in samples]}"
        middle, last = (statistics.median(sample["descriptors"] for sample in part) for part in (warm[:len(warm) // 2], warm[len(warm) // 2:]))
        assert last <= middle + 8, (middle, last)
        connections = max(sample["connections"] for sample in samples)
        assert connections <= POOL_SIZE + 1, connections
        kept = int(cluster.sql("SELECT count(*) FROM atividades"))
        assert kept < CLIENTS * 10 * KEPT, f"{kept} atividades: the load itself grows"
        return {"s": seconds, "requests": sum(counts.values()), "users": azure.count, "MB": warm[-1]["rss"],
                "MB more each minute": f"{grown:.1f}", "descriptors": last, "connections at most": connections, "atividades in the end": kept}
    finally:
        replica.stop(signal.SIGKILL)
        azure.close()
        cluster.close()
