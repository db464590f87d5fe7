"""Ten times what the database can serve: what is served goes on as fast, the rest is told to come back, soon."""

import asyncio
import statistics
import time

from world import POOL, Api, Client, Cluster, Line

PATH = "/api/v1/projetos"
# How long one may wait for a connection, and some time for a busy machine.
PATIENCE = 5 + 15


def each_second(times, first, last):
    """How many a second, in the middle one of those seconds: a machine that stands still for one tells nothing."""
    return statistics.median(sum(second <= at < second + 1 for at in times) for second in range(first, last))


async def serve_for(port, clients, seconds):
    """How many a second are served to so many, one after the other."""
    began, served = time.monotonic(), []

    async def client():
        async with Client(port) as own:
            while time.monotonic() < began + seconds:
                answer = await own.ask("GET", PATH)
                assert answer.status == 200, answer.status
                served.append(time.monotonic() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return each_second(served, 0, seconds)


async def run(binary, base, *, seconds):
    cluster = Cluster(base)
    line = Line(cluster.port)
    await line.open()
    api = Api(binary, base, cluster.url(line.port), "overload")
    try:
        await api.ready()
        # A database that is as slow on every machine, and so slow that ten times what it serves keeps none of them busy.
        line.delay = 0.15
        await serve_for(api.port, POOL, 2)
        capacity = await serve_for(api.port, POOL, 5)
        at_rest = api.status()
        began, rate, answers = time.monotonic(), 10 * capacity, []

        async def one():
            asked = time.monotonic()
            async with Client(api.port) as client:
                answer = await client.ask("GET", PATH)
            answers.append((time.monotonic() - asked, time.monotonic() - began, answer))

        pending = set()
        while (now := time.monotonic() - began) < seconds:
            while len(pending) < now * rate:
                pending.add(asyncio.create_task(one()))
            await asyncio.sleep(0.01)
        loaded = api.status()
        await asyncio.gather(*pending)

        served = [at for _, at, answer in answers if answer.status == 200]
        refused = [answer for _, _, answer in answers if answer.status != 200]
        assert all(answer.status == 503 and "retry-after" in answer.headers for answer in refused), {a.status for a in refused}
        assert refused, "nobody was told to come back"
        longest = max(took for took, _, _ in answers)
        assert longest < PATIENCE, longest
        throughput = each_second(served, 2, seconds)
        assert throughput >= 0.9 * capacity, (throughput, capacity)
        assert loaded["peak"] < at_rest["rss"] + 150, (loaded, at_rest)
        line.delay = 0
        assert await serve_for(api.port, POOL, 2) > capacity, "it does not recover"
        return {"requests": len(answers), "refused": len(refused), "of its capacity served": f"{throughput / capacity:.2f}",
                "s for an answer, at most": round(longest, 1), "MB at most": loaded["peak"]}
    finally:
        line.close()
        api.end()
        cluster.end()
