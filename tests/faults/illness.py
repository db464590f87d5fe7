"""Azure DevOps is ill: whoever is known already notices nothing, few wait for it, and all is well soon after it is."""

import asyncio
import base64
import contextlib
import json
import re
import time
import uuid

from world import Api, Client, Cluster

KNOWN, STRANGERS, PROJECTS = 20, 300, 250
# All calls `in_flight`, and the pause of the breaker, of adapters-azure; with its trial, and time for a busy machine.
IN_FLIGHT, PAUSE = 64, 15 + 10
# After how many seconds an identity is forgotten, and by how many users.
FORGOTTEN, FORGETTING = 5, 5
LIST = "/api/v1/projetos"
NONSENSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>Sign in</html>",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": [[[", b"\x16\x03\x01 what?\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n" + b"[" * 2_000_000)


def identity(token):
    user = {"id": f"cdbc0002-5e61-5e97-84f7-{int(token.rpartition('-')[2]):012d}", "subjectDescriptor": "aad.x",
            "providerDisplayName": token, "isActive": True, "properties": {"Account": {"$value": f"{token}@exemplo.br"}}}
    return json.dumps({"authenticatedUser": user, "authorizedUser": user}).encode()


def projects(query):
    """A page of the projects, and the header that says where the next one begins."""
    start = int((re.search(r"continuationToken=(\d+)", query) or [0, 0])[1])
    end = min(start + 100, PROJECTS)
    value = [{"id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))), "name": f"Projeto {n}", "state": "wellFormed"} for n in range(start, end)]
    return json.dumps({"count": len(value), "value": value}).encode(), f"x-ms-continuationtoken: {end}\r\n" if end < PROJECTS else ""


class Organisation:
    """Knows every token that begins with `conhecido`, when it is well."""

    def __init__(self, nonsense=NONSENSE):
        self.mode, self.waiting, self.most, self.count, self.nonsense = "well", 0, 0, 0, nonsense

    async def open(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/exemplo"

    async def _connected(self, reader, writer):
        # The loop ends under those that wait.
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.count += 1
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                try:
                    if not await self._answer(reader, writer, head):
                        break
                finally:
                    self.waiting -= 1
        writer.transport.abort()

    async def _answer(self, reader, writer, head):
        mode = self.mode
        if mode == "hangs":
            # Until the other side gives up.
            await reader.read()
            return False
        if mode == "cuts":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"authenticated")
            await writer.drain()
            return False
        if mode == "nonsense":
            writer.write(self.nonsense[self.count % len(self.nonsense)])
            await writer.drain()
            return False
        if mode == "is slow":
            await asyncio.sleep(2.5)
        if mode in ("throttles", "fails"):
            status = "429 Too Many Requests\r\nRetry-After: 2" if mode == "throttles" else "500 Oops"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        else:

            shown = head.lower().partition("authorization: ")[2].splitlines()[0]
            shown = head[head.lower().index("authorization: ") + 15:].splitlines()[0] if shown else ""
            token = base64.b64decode(shown.split()[1]).decode().lstrip(":") if shown.startswith("Basic ") else shown.partition(" ")[2]
            if not token.startswith("conhecido-"):
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            else:
                page = re.match(r"GET \S+/_apis/projects\?(\S*)", head)
                body, more = projects(page[1]) if page else (identity(token), "")
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True


async def known(port, token, until, took):
    async with Client(port) as client:
        while not until.is_set():
            began = time.monotonic()
            answer = await client.ask("GET", LIST, headers={"Authorization": f"Bearer {token}"})
            took.append(time.monotonic() - began)
            assert answer.status == 200, (answer.status, answer.body)
            await asyncio.sleep(0.02)


async def stranger(port, token, number):
    # From an address of its own: what fails is limited by address.
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"198.51.{number // 256}.{number % 256}"}
    async with Client(port) as client:
        began = time.monotonic()
        answer = await client.ask("GET", LIST, headers=headers, timeout=60)
        assert answer.status in (401, 502, 503, 504), (answer.status, answer.body)
        assert answer.status != 503 or "retry-after" in answer.headers
        return time.monotonic() - began


class Forgotten:
    """A user who is known, is forgotten while Azure is ill and known again, and never taken for a stranger meanwhile."""

    def __init__(self, port, token, mode):
        self.port, self.token, self.mode = port, token, mode

    async def ask(self):
        async with Client(self.port) as client:
            answer = await client.ask("GET", LIST, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status in (200, 502, 503, 504), f"{self.mode}: {answer.status} {answer.body}"
        assert answer.status != 503 or "retry-after" in answer.headers, self.mode
        await asyncio.sleep(0.1)
        return answer.status

    async def is_forgotten(self):
        """Until they were told so often enough for the breaker to open; whoever is slow answers nevertheless."""
        began, told = time.monotonic(), 0
        while told < 2 and (self.mode != "is slow" or time.monotonic() < began + FORGOTTEN + 5):
            told += await self.ask() != 200
            assert time.monotonic() < began + FORGOTTEN + 60, f"{self.mode}: remembered for too long"

    async def is_known_again(self):
        began = time.monotonic()
        while await self.ask() != 200:
            assert time.monotonic() < began + PAUSE, f"{self.mode}: not known again after {PAUSE} s"
        return time.monotonic() - began


async def forgotten_users(binary, base, cluster, modes):
    # A page to sign in at is how Azure DevOps rejects somebody, whom nobody then takes for ill.
    organisation, longest = Organisation(NONSENSE[1:]), 0
    await organisation.open()
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": organisation.url, "AUTH_CACHE_TTL": str(FORGOTTEN)}
    api = Api(binary, base, cluster.url(), "forgotten", **settings)
    try:
        await api.ready()
        for number, mode in enumerate(modes):
            users = [Forgotten(api.port, f"conhecido-{number * 1000 + n}", mode) for n in range(FORGETTING)]
            assert {await user.ask() for user in users} == {200}, mode
            organisation.mode = mode
            await asyncio.gather(*(user.is_forgotten() for user in users))
            organisation.mode = "well"
            longest = max(longest, *await asyncio.gather(*(user.is_known_again() for user in users)))
        return longest
    finally:
        api.end()
        organisation.server.close()


async def run(binary, base, *, modes):
    cluster, organisation = Cluster(base), Organisation()
    await organisation.open()
    api = Api(binary, base, cluster.url(), "illness", AUTH_ENABLED="true", AZURE_DEVOPS_ORG_URL=organisation.url,
              TRUSTED_PROXIES="127.0.0.1")
    slowest = longest = recovery = 0
    try:
        await api.ready()
        forgetting = asyncio.create_task(forgotten_users(binary, base, cluster, modes))
        for number, mode in enumerate(modes):
            organisation.mode = "well"
            tokens = [f"conhecido-{number * 1000 + n}" for n in range(KNOWN)]
            until, took = asyncio.Event(), []
            users = [asyncio.create_task(known(api.port, token, until, took)) for token in tokens]
            # Their first requests ask Azure, which is well.
            await asyncio.sleep(1)
            took.clear()
            organisation.most, organisation.mode = 0, mode
            others = await asyncio.gather(*(stranger(api.port, f"estranho-{mode}-{n}", n) for n in range(STRANGERS)))
            until.set()
            await asyncio.gather(*users)
            took.sort()
            slowest = max(slowest, took[int(len(took) * 0.99)])
            longest = max(longest, *others)
            assert took[int(len(took) * 0.99)] < 1, f"{mode}: known users waited {took[-5:]}"
            assert max(others) < 30, f"{mode}: {max(others)}"
            assert organisation.most <= IN_FLIGHT, f"{mode}: {organisation.most} calls at once"
            organisation.mode, began = "well", time.monotonic()
            async with Client(api.port) as client:
                while (await client.ask("GET", LIST, headers={"Authorization": f"Bearer conhecido-{number * 1000 + 999}"})).status != 200:
                    assert time.monotonic() - began < PAUSE, f"{mode}: not well after {PAUSE} s"
                    await asyncio.sleep(0.2)
            recovery = max(recovery, time.monotonic() - began)
        again = await forgetting
        return {"illnesses": len(modes), "ms for known users at p99, at worst": round(slowest * 1000),
                "s for strangers, at most": round(longest, 1), "s to recover, at most": round(recovery, 1),
                "s until a forgotten user is known again, at most": round(again, 1)}
    finally:
        api.end()
        organisation.server.close()
        cluster.end()
