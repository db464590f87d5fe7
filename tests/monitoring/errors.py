"""Tests error tracking: what a real server with Sentry's protocol gets from the service, and what a server that is down costs.

usage: errors.py BINARY     with the Python that has Bugsink
"""

import asyncio
import contextlib
import json
import pathlib
import re
import resource
import signal
import socket
import statistics
import sys
import time
import urllib.parse
import urllib.request
import uuid

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "faults"), str(TESTS / "monitoring")]

from azure_work_items import WorkItemsStub  # noqa: E402
from bugsink_server import Bugsink  # noqa: E402
from environment import Replica, work_directory  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.wait import wait_until_async  # noqa: E402
from http_client import Client  # noqa: E402

PROJETOS, ATIVIDADES = "/api/v1/projetos", "/api/v1/atividades"
# Each place of a request, and each secret, has this in its value. No event may.
CANARY = "canario"
PASSWORD = f"{CANARY}-senha"
HEADERS = {"Authorization": f"Bearer conhecido-{CANARY}-424242", "Cookie": f"sessao={CANARY}-cookie", "User-Agent": f"{CANARY}-agente",
           "Referer": f"https://{CANARY}.example.org/?t={CANARY}", "X-Forwarded-For": "203.0.113.77"}
ERRORS = 6


async def request(client, method, path, body=None, status=None, **headers):
    response = await client.request(method, path, body and json.dumps(body).encode(), HEADERS | headers)
    assert status is None or response.status == status, (method, path, response.status, response.body)
    return response


async def fill(client):
    projeto = json.loads((await request(client, "POST", PROJETOS, {"nome": f"Portal {CANARY}"}, 201)).body)["id"]
    atividade = {"nome": f"Desenvolver {CANARY}", "descricao": f"{CANARY}@example.org", "id_projeto": projeto}
    return projeto, json.loads((await request(client, "POST", ATIVIDADES, atividade, 201)).body)["id"]


async def book(client, work_item, atividade, projeto):
    entry = {"work_item_id": work_item, "duracao": "00:30", "data_apontamento": "2026-11-02", "id_atividade": atividade,
             "organization_name": "exemplo", "project_id": projeto, "comentario": f"{CANARY}-comentario"}
    await request(client, "POST", "/api/v1/apontamentos", entry, 201)


async def responses_500_are_one_issue(cluster, client, bugsink, atividade, projeto):
    """A table is missing: each request fails with the same error."""
    ids = [f"pedido-{uuid.uuid4()}" for _ in range(ERRORS + 1)]
    cluster.sql("ALTER TABLE api_aponta.atividades RENAME TO escondida")
    try:
        for number in range(ERRORS):
            await request(client, "GET", f"{ATIVIDADES}/{atividade}?t={CANARY}-consulta", status=500, **{"X-Request-ID": ids[number]})
        body = {"nome": f"{CANARY}-corpo", "id_projeto": projeto}
        await request(client, "POST", ATIVIDADES, body, 500, **{"X-Request-ID": ids[-1]})
    finally:
        cluster.sql("ALTER TABLE api_aponta.escondida RENAME TO atividades")
    found = await arrived(bugsink, ERRORS + 1)
    places = {place: (kind, text, count) for (kind, text, place), count in found.items()}
    assert len(places) == len(found) == 2, found
    kind, text, count = places[f"GET {ATIVIDADES}/{{atividade_id}}"]
    assert (kind, count) == ("InternalError", ERRORS) and "SQLSTATE 42P01" in text, found
    assert places[f"POST {ATIVIDADES}"][2] == 1, found
    events = [json.loads(event) for event in bugsink.events()]
    assert sorted(event["tags"]["request_id"] for event in events) == sorted(ids)
    for event in events:
        assert event["environment"] == "development" and re.fullmatch(r"aponta@\d+\.\d+\.\d+", event["release"]), event
    # The log has the same request, with the name of the table.
    print(f"ok {ERRORS} responses 500 of one route are one issue, that of another is its own", flush=True)


async def panic_is_one_event(cluster, client, bugsink, projeto, before):
    """A time beyond the year 9999, which only a superuser can store, and which a library does not expect."""
    cluster.sql(f"UPDATE api_aponta.projetos SET criado_em = '9999-12-31', atualizado_em = '294276-01-01' WHERE id = '{projeto}'")
    await request(client, "GET", f"{PROJETOS}/{projeto}?t={CANARY}-consulta", status=500)
    cluster.sql(f"UPDATE api_aponta.projetos SET criado_em = now(), atualizado_em = now() WHERE id = '{projeto}'")
    found = await arrived(bugsink, before + 1)
    panics = {(text, place): count for (kind, text, place), count in found.items() if kind == "Panic"}
    [((text, place), count)] = panics.items()
    assert re.search(r"\.rs:\d+:\d+$", text) and place == f"GET {PROJETOS}/{{projeto_id}}" and count == 1, panics
    print(f"ok a panic of a handler is one event, with its place: {text.rpartition('/')[2]}", flush=True)


async def dead_job_is_one_event(azure, client, bugsink, atividade, projeto, before):
    """The work item is deleted between the entry and its write-back."""
    await book(client, 1, atividade, projeto)
    azure.items[1].is_deleted = True
    found = await arrived(bugsink, before + 1)
    assert found["DeadJob", "inexistente", "write_back"] == 1, found
    print("ok a write-back that is not tried again is one event", flush=True)


async def arrived(bugsink, count):
    """Returns the issues as soon as there are `count` events."""
    async def issues():
        found = await asyncio.to_thread(bugsink.issues)
        return found if sum(found.values()) >= count else None
    found = await wait_until_async(f"{count} events", issues, 40, log=bugsink.process.log)
    assert sum(found.values()) == count, found
    return found


def no_canary_is_stored(bugsink, replica):
    stored = bugsink.stored_bytes()
    # The search finds what is there.
    assert b"request_id" in stored and b"42P01" in stored and "42P01" in "".join(bugsink.events())
    for secret in (CANARY, "203.0.113.77", "exemplo.br", "postgresql:"):
        assert secret.encode() not in stored, f"{secret} is in {stored[max(0, stored.index(secret.encode()) - 300):][:400]}"
    assert PASSWORD not in replica.log()
    print(f"ok no secret, query, body, header or identity in {len(bugsink.events())} events", flush=True)


def outcomes(replica):
    """The events by what became of them."""
    url = f"http://127.0.0.1:{replica.settings['METRICS_PORT']}/metrics"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as response:
        return {name: int(value) for name, value in re.findall(r'aponta_error_events_total\{outcome="(\w+)"\} (\d+)', response.read().decode())}


async def flood(replica, path, count):
    """Returns the median and the longest time of responses 500, of `count` on each of four connections."""
    times = []

    async def one():
        async with Client(replica.port) as client:
            for _ in range(count):
                started = time.monotonic()
                await request(client, "GET", path, status=500)
                times.append(time.monotonic() - started)

    await asyncio.gather(*(one() for _ in range(4)))
    return statistics.median(times), max(times)


async def server_that_is_down_costs_nothing(start, cluster, atividade, cleanup):
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    cleanup.callback(silent.close)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = closed.getsockname()[1]
    dsn = "http://0123456789abcdef@127.0.0.1:{}/1".format
    replicas = {"none": start("without"), "hangs": start("hanging", SENTRY_DSN=dsn(silent.getsockname()[1])),
                "refuses": start("refusing", SENTRY_DSN=dsn(refusing))}
    await asyncio.gather(*(replica.wait_ready() for replica in replicas.values()))
    path = f"{ATIVIDADES}/{atividade}"
    cluster.sql("ALTER TABLE api_aponta.atividades RENAME TO escondida")
    times, memory, stopped = {}, {}, {}
    for replica in replicas.values():
        await flood(replica, path, 20)
    for name, replica in replicas.items():
        before = replica.usage()["rss"]
        times[name] = await flood(replica, path, 150)
        memory[name] = replica.usage()["rss"] - before
    for name, reasons in (("hangs", {"queue_full"}), ("refuses", {"queue_full", "unreachable"})):
        counted = outcomes(replicas[name])
        assert counted["sent"] == 0 and all(counted[reason] > 0 for reason in reasons), (name, counted)
    assert not outcomes(replicas["none"]), "without a DSN there are no events"
    for name, replica in replicas.items():
        started = time.monotonic()
        code = await asyncio.to_thread(replica.stop)
        stopped[name] = time.monotonic() - started
        assert code == 0, (name, code, replica.log()[-2000:])
    cluster.sql("ALTER TABLE api_aponta.escondida RENAME TO atividades")
    for name in ("hangs", "refuses"):
        # A request that waited for the server would take 5 s, or the 2 s of a connection. The machine may be busy.
        assert times[name][0] < 3 * times["none"][0] + 0.05 and times[name][1] < 2, times
        assert memory[name] < memory["none"] + 15, memory
        assert stopped[name] < stopped["none"] + 3.5, stopped
        assert "event not sent to SENTRY_DSN" in replicas[name].log() or name == "hangs"
        assert replicas[name].log().count("event not sent") <= 3, "the log repeats the failure"
        assert "0123456789abcdef" not in replicas[name].log()
    shown = ", ".join(f"{name} {median * 1000:.1f} ms, {memory[name]} MB more, stop {stopped[name]:.1f} s" for name, (median, _) in times.items())
    print(f"ok a server that hangs or refuses costs nothing (median of 600 responses 500: {shown})", flush=True)


async def test(binary, base, cleanup):
    bugsink = await asyncio.to_thread(Bugsink, base / "bugsink")
    cleanup.callback(bugsink.stop)
    (base / "postgres").mkdir()
    cluster, azure = Cluster(base / "postgres", settings={"fsync": "off"}, password=PASSWORD), WorkItemsStub(3)
    cluster.give_to_server(base / "postgres")
    cluster.initialize()
    cluster.start()
    cleanup.callback(cluster.stop, signal.SIGQUIT)
    await azure.open()
    cleanup.callback(azure.close)
    url = f"postgresql://{cluster.superuser}:{urllib.parse.quote(PASSWORD)}@127.0.0.1:{cluster.port}/postgres"

    def start(name, **settings):
        # A superuser, so that the panic's row can be stored by the same role. The password is in the URL.
        settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "AZURE_DEVOPS_PAT": f"conhecido-{CANARY}-777"} | settings
        replica = Replica(binary, base, url, name, **settings)
        cleanup.callback(replica.stop, signal.SIGKILL)
        return replica

    secret = base / "sentry_dsn"
    secret.write_text(bugsink.dsn + "\n")
    replica = start("tracked", SENTRY_DSN_FILE=str(secret))
    await replica.wait_ready()
    async with Client(replica.port) as client:
        projeto, atividade = await fill(client)
        await request(client, "GET", f"{ATIVIDADES}/{uuid.UUID(int=0)}", status=404)
        await responses_500_are_one_issue(cluster, client, bugsink, atividade, projeto)
        await panic_is_one_event(cluster, client, bugsink, projeto, ERRORS + 1)
        await dead_job_is_one_event(azure, client, bugsink, atividade, projeto, ERRORS + 2)
        # The last one is still in the queue when the service stops.
        cluster.sql("ALTER TABLE api_aponta.atividades RENAME TO escondida")
        await request(client, "GET", f"{ATIVIDADES}/{atividade}", status=500)
    assert await asyncio.to_thread(replica.stop) == 0, replica.log()[-2000:]
    cluster.sql("ALTER TABLE api_aponta.escondida RENAME TO atividades")
    await arrived(bugsink, ERRORS + 4)
    print("ok the last event is sent before the end of the process", flush=True)
    no_canary_is_stored(bugsink, replica)
    await server_that_is_down_costs_nothing(start, cluster, atividade, cleanup)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    started = time.monotonic()
    with work_directory() as base, contextlib.ExitStack() as cleanup:
        asyncio.run(test(pathlib.Path(sys.argv[1]).resolve(), base, cleanup))
    print(f"errors: all checks passed ({time.monotonic() - started:.0f} s)", flush=True)


main()
