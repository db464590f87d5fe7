"""The figures that are no throughput: memory, start time, statements and round trips."""

import json
import os
import statistics
import time

from comparison.azure import PAGE, PROJECTS
from comparison.cases import LIST
from comparison.counting import count_statements, count_traffic, round_trip_counter
from comparison.data import PROJETO
from comparison.server import TOKEN

BULK = json.dumps({"items": [{"nome": f"Atividade {n}", "id_projeto": PROJETO} for n in range(1000)]})


def figure(name, value, unit, goal=None, note=""):
    met = None if goal is None else value <= goal
    return {"figure": name, "value": value, "unit": unit, "goal": goal, "met": met, "note": note}


def tail_latency(results, unit="times p50"):
    """Returns p99 of the cases that are compared with the hand-written server."""
    return [
        figure(f"p99 of «{row['case']}»", row["p99_ms"] / row["p50_ms"], unit, 5)
        for row in results
        if row["against"] == "hand-written" and row["goal"] and row["p50_ms"] and "one client" not in row["case"]
    ]


def start_time(fleet, times):
    """Measures from the start of the process, on a migrated database, to the first response."""
    took = []
    for _ in range(times):
        with fleet.temporary("rows_1k", "start") as server:
            took.append(server.started_ms)
    return figure("start", statistics.median(took), "ms", 100)


def database_traffic(fleet, azure, times):
    """Measures a synchronisation and a bulk creation with open connections and prepared statements."""
    cluster, database = fleet.cluster, "counted"
    count_statements(cluster, database)
    with round_trip_counter(cluster) as proxy, fleet.temporary(database, "counted", port=proxy.port, azure=azure.url) as server:
        rows = []
        for name, path, body, clean, goals in (
            (
                f"synchronisation of {PROJECTS:,} projects",
                "/api/v1/integracao/sincronizar",
                None,
                "DELETE FROM projetos WHERE azure_project_id IS NOT NULL",
                {"round trips": PROJECTS // PAGE},
            ),
            ("bulk creation of 1,000", f"{LIST}/lote", BULK, "TRUNCATE atividades CASCADE", {"statements": 1}),
        ):
            took = []

            def work():
                started = time.perf_counter()
                server.json("POST", path, body, token=TOKEN)
                took.append((time.perf_counter() - started) * 1000)

            # Each worker has connections and prepared statements of its own.
            for _ in range(max(times, 2) * os.cpu_count()):
                cluster.sql(clean, database)
                calls, trips, texts = count_traffic(cluster, proxy, database, work)
            values = {"ms": statistics.median(took[1:]), "statements": calls, "round trips": trips}
            notes = {"statements": "; ".join(" ".join(text.split()[:5]) + " …" for text in texts)}
            rows += [
                figure(name, value, unit, goals.get(unit), notes.get(unit, "")) for unit, value in values.items()
            ]
    return rows
