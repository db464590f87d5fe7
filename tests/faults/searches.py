"""One user who searches ten times a second: nobody else gets a 503, and the searches of one person are few at once."""

import asyncio
import json
import signal
import time
import uuid

from azure_stub import AzureStub
from environment import MAX_CONNECTIONS, READY_TIMEOUT, Replica
from harness.postgres import Cluster
from harness.wait import within
from http_client import Client

LIST = "/api/v1/atividades"
ROWS_OF_THE_PROOF, RATE_OF_THE_PROOF = 1_000_000, 10
# A quarter of the connections serves searches: more than the limit of one user, so that the two cannot be confused.
POOL_SIZE, SEARCHES_PER_USER = 20, 2
VICTIMS, PAUSE = 5, 0.05
# A search waits 5 s for its turn; the rest is for a busy machine.
RESPONSE_TIMEOUT = 60
RUNNING = """SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'
             AND query LIKE '%IN nome_busca)%' AND pid <> pg_backend_pid()"""
FILL = """
INSERT INTO projetos (id, nome, criado_em, atualizado_em) VALUES ('{projeto}', 'P', now(), now());
INSERT INTO atividades (id, nome, id_projeto, criado_em, atualizado_em)
SELECT md5(n::text)::uuid, 'Revisão nº ' || n || ' do contrato', '{projeto}', em, em
FROM generate_series(1, {rows}) n, LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '1 second' AS em) e;
VACUUM ANALYZE atividades;
"""


def bearer(user):
    return {"Authorization": f"Bearer conhecido-{user}"}


async def victim(port, user, requests, until, latencies):
    """Sends the requests in turn. Appends the time of each to those of its kind."""
    async with Client(port) as client:
        while not until.is_set():
            for kind, (method, path, body) in requests.items():
                started = time.monotonic()
                response = await client.request(method, path, body, bearer(user), RESPONSE_TIMEOUT)
                latencies[kind].append(time.monotonic() - started)
                assert response.status in (200, 201), f"{kind}: {response.status} {response.body}"
                await asyncio.sleep(PAUSE)


async def search(port, number, statuses):
    async with Client(port) as client:
        response = await client.request("GET", f"{LIST}?q=inexistente{number}", headers=bearer(0), timeout=RESPONSE_TIMEOUT)
    assert response.status == 200 or response.status == 503 and "retry-after" in response.headers, response.status
    statuses.append(response.status)


async def attack(port, rate, until, statuses):
    """Searches so often per second, however long the responses take."""
    started, sent = time.monotonic(), []
    while not until.is_set():
        while len(sent) < (time.monotonic() - started) * rate:
            sent.append(asyncio.create_task(search(port, len(sent), statuses)))
        await asyncio.sleep(0.005)
    await asyncio.gather(*sent)


async def observe(cluster, until, running):
    """Counts the searches that PostgreSQL runs."""
    while not until.is_set():
        running.append(int(await asyncio.to_thread(cluster.sql, RUNNING)))
        await asyncio.sleep(0.2)


def p95(latencies):
    return sorted(latencies)[int(len(latencies) * 0.95)]


async def measure(replica, requests, seconds, *others):
    """Returns the p95 of each kind of request of the victims, in seconds. `others` are called with the event of the end."""
    until, latencies = asyncio.Event(), {kind: [] for kind in requests}
    tasks = [asyncio.create_task(victim(replica.port, 1 + n, requests, until, latencies)) for n in range(VICTIMS)]
    tasks += [asyncio.create_task(other(until)) for other in others]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    until.set()
    async with within("the last responses", RESPONSE_TIMEOUT + 30, replica.log):
        await asyncio.gather(*tasks)
    return {kind: p95(times) for kind, times in latencies.items()}


async def run(binary, base, *, rows, seconds):
    azure = AzureStub()
    await azure.open()
    directory = base / "cluster"
    directory.mkdir(mode=0o755)
    cluster = Cluster(directory, settings={"max_connections": MAX_CONNECTIONS, "max_wal_size": "2GB"})
    cluster.give_to_server(directory)
    cluster.initialize()
    cluster.start(READY_TIMEOUT)
    replica = Replica(binary, base, cluster.url(), "searches", AUTH_ENABLED="true", AZURE_DEVOPS_ORG_URL=azure.url,
                      DATABASE_POOL_SIZE=str(POOL_SIZE))
    try:
        await replica.wait_ready()
        projeto = uuid.UUID(int=1)
        await asyncio.to_thread(cluster.sql, FILL.format(projeto=projeto, rows=rows), seconds=600)
        one = f"{LIST}/{cluster.sql('SELECT id FROM atividades LIMIT 1').strip()}"
        # A page of atividades counts all of them, so it has a figure of its own.
        requests = {
            "projetos": ("GET", "/api/v1/projetos", None), "entries": ("GET", "/api/v1/apontamentos?limit=20", None),
            "read": ("GET", one, None), "write": ("POST", LIST, json.dumps({"nome": "Nova", "id_projeto": str(projeto)}).encode()),
            "page": ("GET", f"{LIST}?limit=20", None)}
        await measure(replica, requests, 2)
        before = await measure(replica, requests, seconds / 2)
        # With fewer rows a search is faster, so there are more of them.
        rate, statuses, running = RATE_OF_THE_PROOF * ROWS_OF_THE_PROOF / rows, [], []
        during = await measure(replica, requests, seconds, lambda until: attack(replica.port, rate, until, statuses),
                               lambda until: observe(cluster, until, running))
        assert 0 < max(running) <= SEARCHES_PER_USER, f"searches at once: {running}"
        assert 200 in statuses, f"no search is served: {set(statuses)}"
        assert set(await measure(replica, requests, 1)) == set(requests)
        count, page_before, page_during = {s: statuses.count(s) for s in sorted(set(statuses))}, before.pop("page"), during.pop("page")
        slowest, fastest = max(during.values()), max(before.values())
        return {"rows": rows, "searches by status": count, "at once, at most": max(running),
                "ms for others at p95": " ".join(f"{kind} {value * 1000:.0f}" for kind, value in during.items()),
                "times as long as without the searches": f"{slowest / fastest:.1f}",
                "ms for a page, which counts all rows": f"{page_during * 1000:.0f} instead of {page_before * 1000:.0f}"}
    finally:
        replica.stop(signal.SIGKILL)
        azure.close()
        cluster.stop(signal.SIGQUIT)
