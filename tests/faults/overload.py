"""Ten times the capacity of the database: throughput holds, and every other request gets a 503 soon."""

import asyncio
import signal
import statistics
import time

from environment import POOL_SIZE, LimitedCluster, Replica
from harness.wait import within
from http_client import Client
from tcp_proxy import TcpProxy

PATH = "/api/v1/projetos"
# The bound of a response: `acquire_timeout` of the pool, and some time for a busy machine.
RESPONSE_BOUND = 5 + 15
MEMORY_BOUND_MB = 128


def median_rate(times, first, last):
    """Returns the median count per second, which one second without progress does not change."""
    return statistics.median(sum(second <= at < second + 1 for at in times) for second in range(first, last))


async def serve_for(port, clients, seconds):
    """Returns the throughput of so many clients, each of which sends one request after the other."""
    started, served = time.monotonic(), []

    async def client():
        async with Client(port) as connection:
            while time.monotonic() < started + seconds:
                response = await connection.request("GET", PATH)
                assert response.status == 200, response.status
                served.append(time.monotonic() - started)

    await asyncio.gather(*(client() for _ in range(clients)))
    return median_rate(served, 0, seconds)


async def run(binary, base, *, seconds):
    cluster = LimitedCluster(base)
    proxy = TcpProxy(cluster.port)
    await proxy.open()
    replica = Replica(binary, base, cluster.url(port=proxy.port), "overload")
    try:
        await replica.wait_ready()
        # The delay makes the capacity the same on every machine, and ten times the capacity a small load for it.
        proxy.delay = 0.15
        await serve_for(replica.port, POOL_SIZE, 2)
        capacity = await serve_for(replica.port, POOL_SIZE, 5)
        at_rest = replica.usage()
        started, rate, responses = time.monotonic(), 10 * capacity, []

        async def one():
            sent = time.monotonic()
            async with Client(replica.port) as client:
                response = await client.request("GET", PATH)
            responses.append((time.monotonic() - sent, time.monotonic() - started, response))

        pending = set()
        while (now := time.monotonic() - started) < seconds:
            while len(pending) < now * rate:
                pending.add(asyncio.create_task(one()))
            await asyncio.sleep(0.01)
        loaded = replica.usage()
        async with within("the responses after the overload", 90, replica.log):
            await asyncio.gather(*pending)

        served = [at for _, at, response in responses if response.status == 200]
        refused = [response for _, _, response in responses if response.status != 200]
        assert all(response.status == 503 and "retry-after" in response.headers for response in refused), {a.status for a in refused}
        assert refused, "no request was refused"
        slowest = max(took for took, _, _ in responses)
        assert slowest < RESPONSE_BOUND, slowest
        throughput = median_rate(served, 2, seconds)
        assert throughput >= 0.9 * capacity, (throughput, capacity)
        assert loaded["peak"] < MEMORY_BOUND_MB, (loaded, at_rest)
        proxy.delay = 0
        assert await serve_for(replica.port, POOL_SIZE, 2) > capacity, "it does not recover"
        return {"requests": len(responses), "refused": len(refused), "of its capacity served": f"{throughput / capacity:.2f}",
                "s for a response, at most": round(slowest, 1), "MB at most": loaded["peak"]}
    finally:
        proxy.close()
        replica.stop(signal.SIGKILL)
        cluster.close()
