"""Outages of Azure DevOps: cached users notice nothing, few requests wait for Azure, and the service recovers soon after it."""

import asyncio
import signal
import time

from azure_stub import NONSENSE, AzureStub
from environment import LimitedCluster, Replica
from harness.wait import Deadline, within
from http_client import Client

CACHED_USERS, UNKNOWN_USERS = 20, 300
# `in_flight` and the open time of the circuit breaker in adapters-azure; the latter with a probe, on a busy machine.
MAX_IN_FLIGHT, BREAKER_OPEN = 64, 15 + 10
# Seconds until a cached identity expires, and how many users that is tried with.
CACHE_TTL, EXPIRING_USERS = 5, 5
# Seconds after which the outage must have reached a user whose identity has expired, and in which all unknown users get a response.
EXPIRY_TIMEOUT, UNKNOWN_TIMEOUT = CACHE_TTL + 60, 120
LIST = "/api/v1/projetos"


async def cached_user(port, token, until, latencies):
    async with Client(port) as client:
        while not until.is_set():
            started = time.monotonic()
            response = await client.request("GET", LIST, headers={"Authorization": f"Bearer {token}"})
            latencies.append(time.monotonic() - started)
            assert response.status == 200, (response.status, response.body)
            await asyncio.sleep(0.02)


async def unknown_user(port, token, number):
    # Each from an address of its own, because failed authentications are limited per address.
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"198.51.{number // 256}.{number % 256}"}
    async with Client(port) as client:
        started = time.monotonic()
        response = await client.request("GET", LIST, headers=headers, timeout=60)
        assert response.status in (401, 502, 503, 504), (response.status, response.body)
        assert response.status != 503 or "retry-after" in response.headers
        return time.monotonic() - started


class ExpiringUser:
    """A user whose cached identity expires during the outage. The service must not reject the token meanwhile."""

    def __init__(self, replica, token, mode):
        self.replica, self.token, self.mode = replica, token, mode

    async def request(self):
        async with Client(self.replica.port) as client:
            response = await client.request("GET", LIST, headers={"Authorization": f"Bearer {self.token}"})
        assert response.status in (200, 502, 503, 504), f"{self.mode}: {response.status} {response.body}"
        assert response.status != 503 or "retry-after" in response.headers, self.mode
        await asyncio.sleep(0.1)
        return response.status

    async def wait_expired(self):
        """Until two requests fail, so that the failures of all users open the breaker. A slow Azure fails none."""
        deadline = Deadline(f"{self.mode}: the expiry of a cached identity", EXPIRY_TIMEOUT, self.replica.log)
        started, failures = time.monotonic(), 0
        while failures < 2 and (self.mode != "is slow" or time.monotonic() < started + CACHE_TTL + 5):
            failures += await self.request() != 200
            deadline.check()

    async def wait_recovered(self):
        deadline = Deadline(f"{self.mode}: the first 200 after the outage", BREAKER_OPEN, self.replica.log)
        started = time.monotonic()
        while await self.request() != 200:
            deadline.check()
        return time.monotonic() - started


async def expired_users(binary, base, cluster, modes):
    """Returns how long the recovery took at most, in seconds."""
    # Without the sign-in page: it is how Azure DevOps rejects a token, and no outage.
    azure, slowest = AzureStub(NONSENSE[1:]), 0
    await azure.open()
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "AUTH_CACHE_TTL": str(CACHE_TTL)}
    replica = Replica(binary, base, cluster.url(), "expired", **settings)
    try:
        await replica.wait_ready()
        for number, mode in enumerate(modes):
            users = [ExpiringUser(replica, f"conhecido-{number * 1000 + n}", mode) for n in range(EXPIRING_USERS)]
            assert {await user.request() for user in users} == {200}, mode
            azure.mode = mode
            await asyncio.gather(*(user.wait_expired() for user in users))
            azure.mode = "healthy"
            slowest = max(slowest, *await asyncio.gather(*(user.wait_recovered() for user in users)))
        return slowest
    finally:
        replica.stop(signal.SIGKILL)
        azure.close()


async def outage(replica, azure, mode, number):
    """Returns, in seconds: p99 of cached users, the slowest response to an unknown user, the time to recover."""
    azure.mode = "healthy"
    until, latencies = asyncio.Event(), []
    users = [asyncio.create_task(cached_user(replica.port, f"conhecido-{number * 1000 + n}", until, latencies)) for n in range(CACHED_USERS)]
    # The first request of each asks Azure, which is healthy.
    await asyncio.sleep(1)
    latencies.clear()
    azure.max_in_flight, azure.mode = 0, mode
    async with within(f"{mode}: the requests of {UNKNOWN_USERS} unknown users", UNKNOWN_TIMEOUT, replica.log):
        waits = await asyncio.gather(*(unknown_user(replica.port, f"estranho-{mode}-{n}", n) for n in range(UNKNOWN_USERS)))
    until.set()
    async with within(f"{mode}: the last requests of the cached users", UNKNOWN_TIMEOUT, replica.log):
        await asyncio.gather(*users)
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)]
    assert p99 < 1, f"{mode}: cached users waited {latencies[-5:]}"
    assert max(waits) < 30, f"{mode}: {max(waits)}"
    assert azure.max_in_flight <= MAX_IN_FLIGHT, f"{mode}: {azure.max_in_flight} calls at once"
    azure.mode, started = "healthy", time.monotonic()
    deadline = Deadline(f"{mode}: the recovery", BREAKER_OPEN, replica.log)
    async with Client(replica.port) as client:
        headers = {"Authorization": f"Bearer conhecido-{number * 1000 + 999}"}
        while (await client.request("GET", LIST, headers=headers)).status != 200:
            deadline.check()
            await asyncio.sleep(0.2)
    return p99, max(waits), time.monotonic() - started


async def run(binary, base, *, modes):
    cluster, azure = LimitedCluster(base), AzureStub()
    await azure.open()
    replica = Replica(binary, base, cluster.url(), "outages", AUTH_ENABLED="true", AZURE_DEVOPS_ORG_URL=azure.url,
                      TRUSTED_PROXIES="127.0.0.1")
    try:
        await replica.wait_ready()
        expiring = asyncio.create_task(expired_users(binary, base, cluster, modes))
        figures = [await outage(replica, azure, mode, number) for number, mode in enumerate(modes)]
        async with within("the outages of users whose identity expires", len(modes) * (EXPIRY_TIMEOUT + BREAKER_OPEN), replica.log):
            recovery_of_expired = await expiring
        p99, slowest, recovery = map(max, zip(*figures, strict=True))
        return {"outages": len(modes), "ms for cached users at p99, at worst": round(p99 * 1000),
                "s for unknown users, at most": round(slowest, 1), "s to recover, at most": round(recovery, 1),
                "s to recover an expired identity, at most": round(recovery_of_expired, 1)}
    finally:
        replica.stop(signal.SIGKILL)
        azure.close()
        cluster.close()
