"""A cache in front of the service, as a CDN is: it fetches each asset of the documentation once and shares nothing else."""

import asyncio
import contextlib
import json
import random
import re
import signal
import urllib.request
import uuid

import proxies
from azure_stub import AzureStub
from environment import Replica, logs
from harness.postgres import Cluster
from harness.wait import within
from http_client import Client

PROJETOS, ATIVIDADES, APONTAMENTOS = "/api/v1/projetos", "/api/v1/atividades", "/api/v1/apontamentos"
USERS = [f"conhecido-{number}" for number in (1, 2)]
CLIENTS = 8
PAGES = ["/docs", "/redoc"]

# Varnish's own rules follow: they obey Cache-Control, and cache a response without it for two minutes.
BACKEND = "vcl 4.1;\nbackend default {{ .host = \"127.0.0.1\"; .port = \"{api}\"; }}\n"
# As a rule "cache everything" of a CDN: Authorization and cookies do not matter, and neither does Vary.
CACHE_EVERYTHING = BACKEND + """
sub vcl_recv {{
    if (req.method == "GET" || req.method == "HEAD") {{ return (hash); }}
    return (pass);
}}
sub vcl_backend_response {{ unset beresp.http.Vary; }}
"""
# Shares what it must not. The checks have to find that.
BROKEN = CACHE_EVERYTHING + "sub vcl_backend_response {{ set beresp.ttl = 60s; return (deliver); }}\n"


class Shared(AssertionError):
    """A response that belongs to another request."""


class Traffic:
    """What one user may send, and the checks of each response. `ids` collects the request ids of each asset's responses."""

    def __init__(self, port, user, assets, ids, seed):
        self.client, self.user, self.assets, self.ids = Client(port), user, assets, ids
        self.random, self.etags, self.statuses = random.Random(seed), {}, {}

    async def fetch(self, method, path, body=None, is_signed=True, **headers):
        own = str(uuid.uuid4())
        # Browsers send neither with the documentation, whose pages set no cookie.
        if path.startswith("/api/"):
            headers["Cookie"] = f"quem={self.user}"
            if is_signed:
                headers["Authorization"] = f"Bearer {self.user}"
        response = await self.client.request(method, path, body and json.dumps(body).encode(), headers | {"X-Request-ID": own})
        self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
        cache, returned = response.headers.get("cache-control", ""), response.headers["x-request-id"]
        if path in self.assets:
            assert response.status == 200 and cache.startswith("public, max-age="), (path, response.status, cache)
            self.ids.setdefault(path, set()).add(returned)
        else:
            # The service returns the id of the request, so any other id came from the cache.
            if returned != own:
                raise Shared(f"{method} {path} for {self.user} got the response of another request: {response.status} {cache!r}")
            assert re.search("no-cache|no-store", cache) and "public" not in cache, f"{method} {path}: {response.status}, {cache!r}"
        return response

    async def expect(self, status, method, path, **more):
        response = await self.fetch(method, path, **more)
        assert response.status == status, (method, path, response.status, response.body)
        return response

    async def fill(self):
        """Creates what the requests read."""
        self.projeto = json.loads((await self.expect(201, "POST", PROJETOS, body={"nome": self.user})).body)["id"]
        new = {"nome": self.user, "id_projeto": self.projeto}
        self.atividade = json.loads((await self.expect(201, "POST", ATIVIDADES, body=new)).body)["id"]

    async def get_again(self, path):
        """A conditional request from the second time on."""
        known = self.etags.get(path)
        response = await self.expect(304 if known else 200, "GET", path, **({"If-None-Match": known} if known else {}))
        self.etags[path] = response.headers["etag"]

    async def send(self):
        """Sends one request of a mix."""
        match self.random.randrange(20):
            case 0 | 1:
                user = json.loads((await self.expect(200, "GET", "/api/v1/user")).body)
                assert user["displayName"] == self.user, (self.user, user)
            case 2 | 3:
                await self.expect(200, "GET", self.random.choice([PROJETOS, f"{ATIVIDADES}?limit=20", f"{ATIVIDADES}/gestao", APONTAMENTOS]))
            case 4 | 5:
                await self.get_again(f"{ATIVIDADES}/{self.atividade}")
            case 6:
                await self.get_again(f"{PROJETOS}/{self.projeto}")
            case 7:
                csv = await self.expect(200, "GET", ATIVIDADES, Accept="text/csv")
                assert csv.headers["content-type"].startswith("text/csv"), csv.headers
            case 8:
                await self.expect(200, "HEAD", f"{PROJETOS}/{self.projeto}")
            case 9:
                await self.expect(201, "POST", ATIVIDADES, body={"nome": self.user, "id_projeto": self.projeto})
            case 10:
                await self.expect(404, "GET", f"{ATIVIDADES}/{uuid.UUID(int=0)}")
            case 11:
                await self.expect(422, "GET", f"{ATIVIDADES}?limit=muitos")
            case 12:
                await self.expect(401, "GET", "/api/v1/user", is_signed=False)
            case 13:
                # What an attacker lets a victim open, so that a cache that goes by the extension keeps it.
                response = await self.fetch("GET", self.random.choice(["/api/v1/user/a.css", f"{PROJETOS}/a.js", "/api/v1/user;a.png", "/docs/assets/0/a.css"]))
                assert response.status in (404, 422), response.status
            case 14:
                await self.expect(200, "GET", self.random.choice([*PAGES, "/", "/api/v1", "/health", "/healthz"]))
            case 15:
                await self.get_again("/openapi.json")
            case _:
                await self.fetch(self.random.choice(["GET", "GET", "HEAD"]), self.random.choice(self.assets))


async def find_assets(port):
    """The files that the pages of the documentation name, by each of the paths that browsers resolve them to."""
    names = set()
    async with Client(port) as client:
        for page in PAGES:
            html = (await client.request("GET", page)).body.decode()
            names |= {f"{directory}/{name}" for name in re.findall(r'"(docs/assets/[^"]+)"', html) for directory in ("", page)}
    assert len(names) > 10, names
    return sorted(names) + ["/favicon.ico", "/favicon.svg"]


def fetched_assets(replica):
    """How many responses the service gave for assets, by its metrics."""
    url = f"http://127.0.0.1:{replica.settings['METRICS_PORT']}/metrics"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as response:
        lines = response.read().decode().splitlines()
    found = [line for line in lines if line.startswith("http_server_request_duration_seconds_count") and re.search("/docs/assets/|/favicon", line)]
    return sum(int(line.rpartition(" ")[2]) for line in found if 'status_code="200"' in line)


async def browse(edge, replica, assets, requests):
    """The mixed requests of two users with several connections each. Returns the statuses of the responses."""
    before, ids, statuses = fetched_assets(replica), {}, {}
    traffic = [Traffic(edge.port, USERS[number % len(USERS)], assets, ids, number) for number in range(CLIENTS)]

    async def one(client):
        await client.fill()
        for _ in range(requests // CLIENTS):
            await client.send()
        client.client.disconnect()
        for status, count in client.statuses.items():
            statuses[status] = statuses.get(status, 0) + count

    async with within(f"the requests through {edge.name}", 300, logs(replica)):
        # All of them ask for a file that the cache does not have yet.
        await asyncio.gather(*(client.fetch("GET", assets[0]) for client in traffic))
        await asyncio.gather(*(one(client) for client in traffic))
        for path in assets:
            await traffic[0].fetch("GET", path)
        traffic[0].client.disconnect()
    several = {path: len(found) for path, found in ids.items() if len(found) > 1}
    assert not several, f"fetched more than once: {several}"
    fetched = fetched_assets(replica) - before
    assert fetched == len(assets), f"{fetched} fetches of {len(assets)} assets"
    missing = {200, 201, 304, 401, 404, 422} - statuses.keys()
    assert not missing, f"no response {missing} in {statuses}"
    return statuses


async def run(programs, base, *, requests):
    (base / "postgres").mkdir()
    cluster, azure = Cluster(base / "postgres"), AzureStub()
    cluster.give_to_server(base / "postgres")
    with contextlib.ExitStack() as cleanup:
        cluster.initialize()
        cluster.start()
        cleanup.callback(cluster.stop, signal.SIGQUIT)
        await azure.open()
        cleanup.callback(azure.close)
        settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url}
        replica = Replica(programs["binary"], base, cluster.url(), "edge", **settings)
        cleanup.callback(replica.stop, signal.SIGKILL)
        await replica.wait_ready()
        rules = {"own-rules": BACKEND, "cache-everything": CACHE_EVERYTHING, "broken": BROKEN}
        edges = {name: proxies.varnish(name, base, replica.port, rule) for name, rule in rules.items()}
        for edge in edges.values():
            cleanup.callback(edge.process.stop)
            await asyncio.to_thread(edge.wait_ready)
        assets = await find_assets(replica.port)
        statuses = [await browse(edges[name], replica, assets, requests) for name in ("own-rules", "cache-everything")]
        try:
            await browse(edges["broken"], replica, assets, 200)
        except Shared:
            pass
        else:
            raise AssertionError("the checks do not notice a cache that shares responses")
        return {
            "requests": sum(sum(counts.values()) for counts in statuses), "rules of a cache": len(statuses), "users": len(USERS),
            "responses shared under /api/v1": 0, "assets, each fetched once by each cache": len(assets),
            "times 304": sum(counts[304] for counts in statuses)}
