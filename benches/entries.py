#!/usr/bin/env python3
"""Measures time entries at a size that a company reaches after years, on a private PostgreSQL, and prints tables. Each figure
is compared with another one of the same run. A slow result is no failure.

Needs what benches/run.py needs. 10,000,000 entries take 6 GB of disk and a quarter of an hour.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

import run  # noqa: E402
from comparison import entries, report  # noqa: E402
from comparison.azure import AzureStub  # noqa: E402
from comparison.cluster import running_cluster  # noqa: E402
from comparison.entries_data import fill_entries  # noqa: E402
from comparison.server import Fleet  # noqa: E402

SMALL = 100_000
READS = 200


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000_000, help="how many entries (default: 10,000,000; at least 100,000)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run of creates takes (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side of a comparison (default: 3)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file as well")
    parser.add_argument("--aponta", metavar="FILE", type=Path, help="measure this binary and build none of the service")
    options = parser.parse_args()
    if options.entries < SMALL:
        parser.error(f"--entries must be at least {SMALL}")
    return options


def measure(fleet, azure, options):
    cluster, rounds = fleet.cluster, options.rounds
    run.say("weeks, pages, reports")
    small, large = fleet.ours("entries_small", "small"), fleet.ours("entries", "large")
    values = entries.weeks(small, large, options.entries, SMALL, READS)
    values += entries.pages(large, READS)
    values += entries.reports(large, READS // 10)
    for server in (small, large):
        server.stop()
    run.say("exports")
    values += entries.exports(fleet, "entries", options.entries, rounds)
    run.say("timesheet")
    values += entries.timesheet(fleet, azure, "entries", rounds)
    run.say("indexes")
    values += entries.index_costs(cluster, "entries", rounds)
    run.say("creates")
    return list(entries.creates(fleet, "entries", options)), values


def main():
    options = arguments()
    run.install_wrk()
    aponta = options.aponta.resolve() if options.aponta else run.build(None)[0]
    with running_cluster() as cluster, AzureStub() as azure, tempfile.TemporaryDirectory() as directory:
        machine = report.machine(cluster)
        for name, rows in (("entries_small", SMALL), ("entries", options.entries)):
            run.say(f"filling a database with {rows:,} entries")
            fill_entries(cluster, aponta, name, rows)
        cluster.sql("CHECKPOINT", seconds=600)
        with Fleet(cluster, Path(directory), aponta, None) as fleet:
            results, values = measure(fleet, azure, options)
    print(report.markdown(machine, options, results, values))
    if options.json:
        report.write_json(options.json, machine, results, values)


if __name__ == "__main__":
    main()
