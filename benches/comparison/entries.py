"""The figures of time entries: creates, weeks, pages, reports, exports, indexes, the timesheet."""

import datetime
import http.client
import json
import random
import statistics
import subprocess
import threading
import time

from comparison.azure import PROJECT, WORK_ITEMS
from comparison.cases import LIST
from comparison.data import PROJETO
from comparison.entries_data import DAYS, FIRST_DAY, add_week, indexes, people
from comparison.figures import figure
from comparison.load import Case, Load
from comparison.server import TOKEN
from harness.postgres import SCHEMA

PATH = "/api/v1/apontamentos"
EXPORTED = 1_000_000
TIMESHEET_ENTRIES = 500
# The service caches what it read from Azure DevOps for 5 s.
WARM_SECONDS = 4
# One insert of so many entries by SQL, which is undone.
INSERTED = 20_000


def day(number):
    return datetime.date.fromisoformat(FIRST_DAY) + datetime.timedelta(days=number)


class Client:
    """One connection that is kept open."""

    def __init__(self, server, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method, path, body=None):
        """Returns the body of the response."""
        content = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, path, body, self.headers | content)
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:500]}")
        return text

    def get(self, path):
        """Returns the milliseconds until the last byte, and the body."""
        started = time.perf_counter()
        body = self.send("GET", path)
        return (time.perf_counter() - started) * 1000, body

    def times(self, paths):
        return [self.get(path)[0] for path in paths]


def creates(fleet, database, options):
    """Entries are spread over days, because a day has 24:00, and lie before those of the database."""
    atividade = fleet.cluster.rows("SELECT id FROM atividades LIMIT 1", database)[0][0]
    first = datetime.date(2000, 1, 1)
    entry = {"work_item_id": 1, "duracao": "0:01", "id_atividade": atividade, "organization_name": "exemplo", "project_id": PROJETO}
    days = [str(first + datetime.timedelta(days=number)) for number in range(8000)]
    random.Random(1).shuffle(days)
    entries = tuple(json.dumps(entry | {"data_apontamento": date}) for date in days)
    activity = json.dumps({"nome": "Revisar contrato", "descricao": "Com o jurídico", "id_projeto": PROJETO})
    with fleet.temporary(database, "creates") as server:
        for name, connections in (("create of an entry", 32), ("create of an entry, one client", 1)):
            loads = (Load(server, (PATH,), bodies=entries, connections=connections), Load(server, (LIST,), bodies=(activity,), connections=connections))
            case = Case(name, loads[0], "create of an activity", loads[1], 0.7)
            yield case.measure(options.seconds, options.rounds, warm_up=True)


def week_paths(rows, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        monday = chance.randrange(0, DAYS - 7)
        person = chance.randrange(people(rows))
        yield f"{PATH}?usuario=pessoa-{person}&de={day(monday)}&ate={day(monday + 6)}&limit=1000"


def weeks(small, large, rows, small_rows, count):
    """Alternates between both, so that other work of the machine affects both."""
    clients = Client(small), Client(large)
    pairs = zip(week_paths(small_rows, count, 5), week_paths(rows, count, 6))
    taken = [[client.get(path)[0] for client, path in zip(clients, pair)] for pair in pairs]
    # The first reads find nothing in memory.
    small_ms, large_ms = (statistics.median(side) for side in zip(*taken[count // 5:]))
    note = f"{large_ms:.2f} ms against {small_ms:.2f} ms"
    return [figure(f"week of a person, {rows:,} entries against {small_rows:,}", large_ms / small_ms, "ratio", 1.5, note)]


def pages(server, count):
    """Pages of 50 at the begin, in the middle and at the end of the list. A cursor does not depend on filters."""
    client = Client(server)
    paths = {"first": f"{PATH}?limit=50"}
    for depth, date in (("middle", day(DAYS // 2)), ("last", day(1))):
        cursor = json.loads(client.get(f"{PATH}?limit=1&ate={date}")[1])["proximo"]
        paths[depth] = f"{PATH}?limit=50&apos={cursor}"
    for path in paths.values():
        client.times([path] * (count // 5))
    taken = [[client.get(path)[0] for path in paths.values()] for _ in range(count)]
    first, *deeper = (statistics.median(side) for side in zip(*taken))
    return [
        figure(f"page of 50 by cursor, {depth} against first", taken / first, "ratio", 1.5, f"{taken:.2f} ms against {first:.2f} ms")
        for depth, taken in zip(("middle", "last"), deeper)
    ]


def reports(server, count):
    client, chance = Client(server), random.Random(7)
    months = [day(number).replace(day=1) for number in chance.sample(range(31, DAYS - 31), count)]
    path = "/api/v1/relatorios/horas?id_projeto=" + PROJETO + "&agrupar=usuario"
    taken = client.times(f"{path}&de={month}&ate={month + datetime.timedelta(days=29)}" for month in months)
    again = client.times(f"{path}&de={month}&ate={month + datetime.timedelta(days=29)}" for month in months)
    return [
        figure("report of a project's month by person", statistics.median(again), "ms", 100, "in memory"),
        figure("report of a project's month by person, first time", statistics.median(taken), "ms"),
    ]


COPY = """
COPY (SELECT e.data, e.minutos, e.comentario, e.usuario_nome, e.usuario_email, p.nome, a.nome, e.work_item_id, w.titulo, w.tipo,
             e.organizacao, e.id, e.id_projeto, e.id_atividade, e.usuario_id, e.criado_em, e.atualizado_em
      FROM apontamentos e JOIN projetos p ON p.id = e.id_projeto JOIN atividades a ON a.id = e.id_atividade
      LEFT JOIN work_items w ON w.organizacao = e.organizacao AND w.id = e.work_item_id
      WHERE '{since}' <= e.data AND e.data <= '{until}'
      ORDER BY e.data DESC, e.criado_em DESC, e.id DESC) TO STDOUT (FORMAT csv)
"""


def copy(cluster, database, since, until):
    url = f"{cluster.url(database)}?options=-csearch_path%3D{SCHEMA}"
    started = time.perf_counter()
    command = [cluster.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", COPY.format(since=since, until=until), url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - started


def export(server, path):
    """Returns the seconds and the number of lines of a CSV, without keeping it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    started, lines = time.perf_counter(), 0
    connection.request("GET", path, headers={"Accept": "text/csv"})
    response = connection.getresponse()
    while chunk := response.read(1 << 20):
        lines += chunk.count(b"\n")
    return time.perf_counter() - started, lines


def peak_memory(server, work):
    """Returns what `work` returns, and the largest memory during it."""
    seen, done = [server.process.memory_mb("VmRSS")], threading.Event()

    def watch():
        while not done.wait(0.02):
            seen.append(server.process.memory_mb("VmRSS"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), max(seen)
    finally:
        done.set()
        watcher.join()


def exports(fleet, database, rows, rounds):
    """A new server, whose memory is that at rest."""
    exported = min(EXPORTED, rows)
    until = day(DAYS - 2)
    since = until - datetime.timedelta(days=max(1, round(DAYS * exported / rows)) - 1)
    taken, above, lines = [], [], 0
    with fleet.temporary(database, "exports") as server:
        time.sleep(1)
        at_rest = server.process.memory_mb("VmRSS")
        # In memory for both.
        copy(fleet.cluster, database, since, until)
        for _ in range(rounds):
            (seconds, lines), peak = peak_memory(server, lambda: export(server, f"{PATH}?de={since}&ate={until}"))
            copied = copy(fleet.cluster, database, since, until)
            taken.append((seconds / copied, seconds, copied))
            above.append(peak - at_rest)
    ratio, seconds, copied = (statistics.median(side) for side in zip(*taken))
    name = f"CSV of {lines:,} entries"
    return [
        figure(f"{name}, time against COPY of the same columns", ratio, "ratio", 3, f"{seconds:.1f} s against {copied:.1f} s"),
        figure(f"{name}, memory above that at rest", max(above), "MB", 30, f"{at_rest:.0f} MB at rest"),
    ]


INSERT = """
BEGIN;
{drop}
CREATE TEMPORARY TABLE novos ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, id_projeto, id_atividade, work_item_id, organizacao, current_date AS data, minutos, comentario,
       usuario_id, usuario_nome, usuario_email, now() AS criado_em, now() AS atualizado_em
FROM apontamentos TABLESAMPLE SYSTEM (100) LIMIT {count};
SELECT clock_timestamp() AS started \\gset
INSERT INTO apontamentos SELECT * FROM novos;
SELECT extract(epoch FROM clock_timestamp() - :'started'::timestamptz);
ROLLBACK;
"""


def index_costs(cluster, database, rounds):
    """The time that PostgreSQL takes to insert entries, with all indexes and without each of them."""
    names = [None, *indexes(cluster, database)]
    taken = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name in names:
            drop = f"DROP INDEX {name};" if name else ""
            cluster.sql("CHECKPOINT", database, 300)
            taken[name].append(float(cluster.sql(INSERT.format(drop=drop, count=INSERTED), database, 300).split()[-1]))
    whole, *others = (statistics.median(taken[name][1:]) * 1e6 / INSERTED for name in names)
    return [figure("insert of an entry by SQL, all indexes", whole, "µs")] + [
        figure(f"of that, {name}", whole - without, "µs", None, f"{(whole - without) / whole:.0%}") for name, without in zip(names[1:], others)
    ]


def timesheet(fleet, azure, database, rounds):
    """The time of the service alone: what Azure DevOps said is cached, entries are read each time."""
    monday = day(DAYS - 7) - datetime.timedelta(days=day(DAYS - 7).weekday())
    with fleet.temporary(database, "timesheet", azure=azure.url) as server:
        person = server.json("GET", "/api/v1/user", token=TOKEN)["id"]
        add_week(fleet.cluster, database, person, monday, TIMESHEET_ENTRIES, WORK_ITEMS)
        client, taken = Client(server, TOKEN), []
        path = f"/api/v1/timesheet?organization_name=exemplo&project_id={PROJECT.replace(' ', '%20')}&week_start={monday}"
        for _ in range(rounds):
            _, body = client.get(path)
            warm_until = time.monotonic() + WARM_SECONDS
            while time.monotonic() < warm_until:
                taken.append(client.get(path)[0])
        week = json.loads(body)
    items, entries = len(week["work_items"]), sum(len(each["apontamentos"]) for item in week["work_items"] for each in item["dias"])
    if (items, entries, week["avisos"]) != (WORK_ITEMS, TIMESHEET_ENTRIES, []):
        raise SystemExit(f"the timesheet has {items} work items, {entries} entries and {week['avisos']}")
    p95 = statistics.quantiles(taken, n=20)[-1]
    note = f"median {statistics.median(taken):.1f} ms of {len(taken)}"
    return [figure(f"timesheet of {items} items and {entries} entries, warm, p95", p95, "ms", 50, note)]
