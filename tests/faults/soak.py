"""A mixed load for some time: memory, descriptors and connections do not creep."""

import asyncio
import json
import random
import statistics
import time

from world import POOL, Api, Client, Cluster

LIST = "/api/v1/atividades"
CLIENTS = 32


async def client(port, number, projeto, until, counts):
    choose, mine = random.Random(number), []
    body = {"nome": "Revisão", "descricao": "x" * 500, "id_projeto": projeto}
    async with Client(port) as own:
        while not until.is_set():
            kind = choose.randrange(12)
            if kind < 2 or not mine:
                answer = await own.ask("POST", LIST, json.dumps(body).encode())
                mine.append(json.loads(answer.body)["id"])
            elif kind == 2:
                answer = await own.ask("POST", f"{LIST}/lote", json.dumps({"items": [body] * 20}).encode(), {"Idempotency-Key": f"{number}-{time.monotonic_ns()}"})
                mine += [item["id"] for item in json.loads(answer.body)["items"]]
            elif kind == 3:
                answer = await own.ask("PUT", f"{LIST}/{choose.choice(mine)}", json.dumps({"ativo": choose.random() < 0.5}).encode())
            elif kind == 4:
                # As many go as come, so that the data does not grow.
                for _ in range(min(8, len(mine))):
                    answer = await own.ask("DELETE", f"{LIST}/{mine.pop()}")
            else:
                path = choose.choice([f"{LIST}/{choose.choice(mine)}", f"{LIST}?limit=50", f"{LIST}?limit=1000", f"{LIST}?q=revisao&apos=", f"{LIST}?limit=x",
                                      f"{LIST}?formato=csv&limit=200", "/api/v1/projetos", "/docs", "/openapi.json", "/nada", "/health"])
                answer = await own.ask("GET", path, headers={"Accept-Encoding": choose.choice(["gzip", "identity"])})
            assert answer.status < 500, (answer.status, answer.body)
            counts[answer.status] = counts.get(answer.status, 0) + 1
            if choose.random() < 0.02:
                own.forget()


async def run(binary, base, *, seconds):
    cluster = Cluster(base)
    api = Api(binary, base, cluster.url(), "soak")
    try:
        await api.ready()
        async with Client(api.port) as first:
            projeto = json.loads((await first.ask("POST", "/api/v1/projetos", b'{"nome": "P"}')).body)["id"]
        until, counts, samples = asyncio.Event(), {}, []
        clients = [asyncio.create_task(client(api.port, n, projeto, until, counts)) for n in range(CLIENTS)]
        for _ in range(seconds * 2):
            await asyncio.sleep(0.5)
            samples.append(api.status())
            assert not any(each.done() for each in clients), await asyncio.gather(*clients)
        until.set()
        await asyncio.gather(*clients)
        connections = int(cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aponta'"))
        # What is there after a third is what there should be at the end.
        third = len(samples) // 3
        early, late = samples[third:2 * third], samples[-third:]
        middle = {key: (statistics.median(s[key] for s in early), statistics.median(s[key] for s in late)) for key in ("rss", "descriptors")}
        assert middle["rss"][1] <= middle["rss"][0] * 1.15 + 8, middle
        assert middle["descriptors"][1] <= middle["descriptors"][0] + 8, middle
        assert connections <= POOL + 1, connections
        return {"s": seconds, "requests": sum(counts.values()), "MB in the middle third and the last": middle["rss"],
                "descriptors": middle["descriptors"], "connections": connections}
    finally:
        api.end()
        cluster.end()
