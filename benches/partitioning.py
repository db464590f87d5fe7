#!/usr/bin/env python3
"""Measures time entries in one table and in partitions by year and by month, on a private PostgreSQL, and prints a table.

The service itself runs on each layout. The figure of a request is the CPU time that its sessions take in PostgreSQL, because
other work of the machine changes that the least; the median over the rounds. Needs Linux and PostgreSQL 15 or later, as
./tests/run.sh installs it. 10,000,000 entries take 6 GB of disk for each layout; TMPDIR is the place.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from comparison import partitions, report  # noqa: E402
from comparison.cases import paths_by_id  # noqa: E402
from comparison.cluster import running_cluster  # noqa: E402
from comparison.data import PROJETO  # noqa: E402
from comparison.entries import PATH, Client, day, week_paths  # noqa: E402
from comparison.entries_data import DAYS, fill_entries, people  # noqa: E402
from comparison.partitions import LAYOUTS, PLAIN  # noqa: E402
from comparison.server import Fleet  # noqa: E402
from run import say  # noqa: E402

READS, REPORTS, WRITES = 200, 20, 40
# Grows with nothing, so it shows what other work of the machine costs.
REFERENCE = "activity by id"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000_000, help="how many entries (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each case after the first, which counts for nothing (default: 3)")
    parser.add_argument("--layouts", nargs="*", choices=LAYOUTS[1:], default=LAYOUTS[1:], help="the partitions to measure (default: all; none is one table alone)")
    parser.add_argument("--one-at-a-time", action="store_true",
                        help="keep one layout on the disk: the rounds do not alternate, and a ratio is corrected by that of the reference")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file as well")
    parser.add_argument("--aponta", metavar="FILE", type=Path, default=ROOT / "target/dist/aponta",
                        help="the program (default: that of cargo build --profile dist)")
    return parser.parse_args()


class Requests:
    """The requests to one layout, the same for each."""

    def __init__(self, cluster, database, server, rows):
        self.cluster, self.database, self.server, self.client = cluster, database, server, Client(server)
        self.atividade = cluster.rows("SELECT id FROM atividades WHERE ativo ORDER BY id LIMIT 1", database)[0][0]
        ids = cluster.rows(f"SELECT id FROM apontamentos WHERE usuario_id = 'pessoa-7' ORDER BY md5(id::text) LIMIT {READS}", database)
        middle = json.loads(self.client.send("GET", f"{PATH}?limit=1&ate={day(DAYS // 2)}"))["proximo"]
        chance = random.Random(3)
        self.paths = {
            REFERENCE: paths_by_id(cluster, database)[:READS],
            "entry by id": [f"{PATH}/{id}" for (id,) in ids],
            "week of a person": list(week_paths(rows, READS, 6)),
            "newest 50 of a person": [f"{PATH}?limit=50&usuario=pessoa-{chance.randrange(people(rows))}" for _ in range(READS)],
            "newest 50 of a work item": [f"{PATH}?limit=50&work_item_id={chance.randrange(rows // 100) + 1}" for _ in range(READS)],
            "newest 50": [f"{PATH}?limit=50"] * READS,
            "50 by cursor, in the middle": [f"{PATH}?limit=50&apos={middle}"] * READS,
            "report of a project's month by person": [
                f"/api/v1/relatorios/horas?id_projeto={PROJETO}&agrupar=usuario&de={first}&ate={first.replace(day=28)}"
                for first in (day(number).replace(day=1) for number in chance.sample(range(31, DAYS - 31), REPORTS))
            ],
        }

    def round(self):
        """Returns the milliseconds of a request of each case."""
        # The service closes a connection that is idle during the round of another layout.
        self.client = Client(self.server)
        taken = {name: self.cpu_ms(lambda: [self.client.send("GET", path) for path in paths]) / len(paths) for name, paths in self.paths.items()}
        created = []
        taken["create"] = self.cpu_ms(lambda: created.extend(map(self.create, range(WRITES)))) / WRITES
        for name, change in (("update of the minutes", lambda _: {"duracao": "0:02"}),
                             ("move to another year", lambda number: {"data_apontamento": str(day(DAYS - 400 - number))})):
            taken[name] = self.cpu_ms(lambda: [self.update(id, change(number)) for number, id in enumerate(created)]) / WRITES
        for id in created:
            self.client.send("DELETE", f"{PATH}/{id}")
        return taken

    def cpu_ms(self, work):
        """The CPU time that the sessions of the service take in PostgreSQL for `work`."""
        before = self.cpu_ns()
        work()
        return (self.cpu_ns() - before) / 1e6

    def cpu_ns(self):
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) for (pid,) in self.cluster.rows(BACKENDS, self.database))

    def create(self, number):
        entry = {"work_item_id": 1, "duracao": "0:01", "id_atividade": self.atividade, "organization_name": "exemplo", "project_id": PROJETO}
        body = json.dumps(entry | {"data_apontamento": str(day(DAYS - 1 - number))})
        return json.loads(self.client.send("POST", PATH, body))["id"]

    def update(self, id, change):
        self.client.send("PUT", f"{PATH}/{id}", json.dumps(change))


def requests(fleet, databases, options):
    """Returns the median of each case and layout. The layouts alternate."""
    rounds = []
    sides = {layout: Requests(fleet.cluster, database, fleet.ours(database, database), options.entries) for layout, database in databases.items()}
    for number in range(options.rounds + 1):
        say(f"round {number} of {', '.join(databases)}")
        rounds.append({layout: side.round() for layout, side in sides.items()})
    for server in fleet.servers:
        server.stop()
    fleet.servers.clear()
    return {
        layout: {name: statistics.median(each[layout][name] for each in rounds[1:]) for name in rounds[0][layout]} for layout in databases
    }


def maintenance(cluster, layout, database):
    """Returns what an operator meets: sizes, the vacuum after changes, a year that is removed."""
    def seconds(statements):
        started = time.perf_counter()
        cluster.sql(statements, database, partitions.TIMEOUT)
        return time.perf_counter() - started

    say(f"vacuum and removal of a year, {layout}")
    table, indexes = partitions.sizes(cluster, database)
    partitions.correct_entries(cluster, database)
    cluster.sql("CHECKPOINT", database, partitions.TIMEOUT)
    vacuum = seconds("VACUUM apontamentos")
    cluster.sql("CHECKPOINT", database, partitions.TIMEOUT)
    wal = cluster.sql("SELECT pg_current_wal_insert_lsn()", database).strip()
    removal = seconds(partitions.removal(layout))
    written = float(cluster.sql(f"SELECT pg_current_wal_insert_lsn() - '{wal}'::pg_lsn", database))
    left = sum(partitions.sizes(cluster, database))
    return {
        "table, GB": table / 1e9, "indexes, GB": indexes / 1e9, "vacuum after changes in the last 60 days, s": vacuum,
        "removal of a year, s": removal, "WAL of the removal, MB": written / 1e6, "size after the removal, GB": left / 1e9,
    }


def prepare(cluster, layout, database, has_saved=False):
    say(f"partitions {layout}")
    started = time.monotonic()
    with partitions.loading(cluster):
        partitions.partition(cluster, database, layout, has_saved)
    return time.monotonic() - started


def alternating(fleet, options):
    cluster, databases, moved = fleet.cluster, {PLAIN: "entries"}, {}
    for layout in options.layouts:
        databases[layout] = layout.replace(" ", "_")
        cluster.sql(f"CREATE DATABASE {databases[layout]} TEMPLATE entries STRATEGY file_copy", seconds=partitions.TIMEOUT)
        moved[layout] = prepare(cluster, layout, databases[layout])
    times = requests(fleet, databases, options)
    return times, {layout: maintenance(cluster, layout, database) for layout, database in databases.items()}, moved


def one_at_a_time(fleet, options):
    cluster, database, times, kept, moved = fleet.cluster, "entries", {}, {}, {}
    for layout in (PLAIN, *options.layouts):
        if layout != PLAIN:
            moved[layout] = prepare(cluster, layout, database, has_saved=True)
        times |= requests(fleet, {layout: database}, options)
        partitions.save_year(cluster, database)
        kept[layout] = maintenance(cluster, layout, database)
    return times, kept, moved


def table(times, kept, moved, options):
    """Returns the table. A ratio of layouts that did not alternate is divided by the ratio of the reference."""
    layouts, others = tuple(times), tuple(times)[1:]
    lines = [row("Request, ms of CPU in PostgreSQL", *layouts, *(f"{layout} ÷ {PLAIN}" for layout in others)), ruler(len(layouts) + len(others))]
    for name, plain in times[PLAIN].items():
        ratios = [times[layout][name] / plain for layout in others]
        if options.one_at_a_time and name != REFERENCE:
            ratios = [ratio * times[PLAIN][REFERENCE] / times[layout][REFERENCE] for ratio, layout in zip(ratios, others)]
        lines.append(row(name, *(f"{times[layout][name]:.3f}" for layout in layouts), *(f"{ratio:.2f}" for ratio in ratios)))
    lines += ["", row("", *layouts), ruler(len(layouts))]
    lines += [row(name, *(f"{kept[layout][name]:,.1f}" for layout in layouts)) for name in kept[PLAIN]]
    lines.append(row("move into the layout, without durability, s", "", *(f"{moved[layout]:.0f}" for layout in others)))
    return "\n".join(lines)


def row(*cells):
    return f"| {' | '.join(cells)} |"


def ruler(columns):
    return "|---|" + "--:|" * columns


def main():
    options = arguments()
    with running_cluster() as cluster, tempfile.TemporaryDirectory() as directory:
        machine = report.machine(cluster)
        say(f"filling a database with {options.entries:,} entries")
        with partitions.loading(cluster):
            fill_entries(cluster, options.aponta.resolve(), "entries", options.entries)
        with Fleet(cluster, Path(directory), options.aponta.resolve(), None) as fleet:
            times, kept, moved = (one_at_a_time if options.one_at_a_time else alternating)(fleet, options)
    print(f"{machine['cores']} cores of {machine['processor']}, PostgreSQL {machine['postgresql']}, commit {machine['commit']}, load average "
          f"{machine['load_average_before']:.1f} before; {options.entries:,} entries, median of {options.rounds} rounds.\n")
    print(table(times, kept, moved, options))
    if options.json:
        results = {"machine": machine, "entries": options.entries, "requests": times, "maintenance": kept, "moved": moved}
        options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
