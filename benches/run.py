#!/usr/bin/env python3
"""Measures the service against a hand-written server, on a private PostgreSQL, and prints tables. A slow result is no
failure.

Needs a Rust toolchain, and PostgreSQL 15 or later as ./tests/run.sh installs it; installs wrk on Debian and Ubuntu.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from comparison import figures, report  # noqa: E402
from comparison.azure import AzureStub  # noqa: E402
from comparison.cases import LIST, cases, check_same_creation, check_same_responses, paths_by_id  # noqa: E402
from comparison.cluster import create_database, running_cluster  # noqa: E402
from comparison.data import fill  # noqa: E402
from comparison.server import Fleet  # noqa: E402

BUILD_TIMEOUT = 3600


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="how long each run takes (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side of a case (default: 3)")
    parser.add_argument("--quick", action="store_true", help="1 s, 1 round: does it all work?")
    parser.add_argument("--only", metavar="TEXT", help="only the cases whose name has this in it, and no figures")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file as well")
    parser.add_argument("--aponta", metavar="FILE", type=Path, help="measure this binary and build none of the service")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1, 1
    return options


def install_wrk():
    if shutil.which("wrk"):
        return
    if not shutil.which("apt-get"):
        raise SystemExit("wrk is missing; install it with this system's package manager")
    say("missing: wrk; installing that from the system's packages")
    if os.environ.get("CI") != "true" and sys.stdin.isatty() and input("Go on? [Y/n] ").lower()[:1] not in ("", "y"):
        raise SystemExit("nothing was installed")
    root = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*root, "apt-get", "update", "-q"], check=True, stdout=sys.stderr)
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends"]
    subprocess.run([*root, *install, "wrk"], check=True, stdout=sys.stderr)


def build(aponta):
    """Returns the paths of both binaries."""
    say("building")
    dist = ["--profile", "dist", "--locked", "--no-default-features", "--package"]
    subprocess.run(["cargo", "build", *dist, "benches", "--bin", "hand-written"], check=True, cwd=ROOT, timeout=BUILD_TIMEOUT)
    if not aponta:
        # As for the image (deploy/Dockerfile).
        has_relative_relocations = platform.libc_ver() >= ("glibc", "2.36")
        linker = ["--", "-C", "link-arg=-Wl,-z,pack-relative-relocs"] if has_relative_relocations else []
        subprocess.run(["cargo", "rustc", *dist, "http-actix", "--bin", "aponta", *linker], check=True, cwd=ROOT, timeout=BUILD_TIMEOUT)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    described = subprocess.run(metadata, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout
    built = Path(json.loads(described)["target_directory"]) / "dist"
    return (aponta or built / "aponta").resolve(), built / "hand-written"


def prepare(cluster, aponta):
    say("filling databases with 1,000 and 10,000 rows")
    fill(cluster, aponta, "rows_1k", 1000)
    fill(cluster, aponta, "rows_10k", 10_000)
    for copy in ("create_ours", "create_theirs", "counted"):
        create_database(cluster, copy, template="rows_1k")
    # Without it the data would be written while the first cases run.
    cluster.sql("CHECKPOINT")


def serve(fleet, azure):
    say("starting the servers")
    servers = {
        "ours": fleet.ours("rows_1k", "ours"),
        "many": fleet.ours("rows_10k", "many"),
        "create": fleet.ours("create_ours", "create"),
        "auth": fleet.ours("rows_1k", "auth", azure=azure.url),
        "production": fleet.ours("rows_1k", "production", azure=azure.url, environment="production"),
        "theirs": fleet.theirs("rows_1k", "theirs"),
        "theirs_pooled": fleet.theirs("rows_1k", "theirs_pooled", pipelining="off"),
        "theirs_many": fleet.theirs("rows_10k", "theirs_many"),
        "theirs_create": fleet.theirs("create_theirs", "theirs_create"),
    }
    # By then the allocator has returned the memory of the start.
    time.sleep(1)
    return servers


def check(servers, by_id):
    say("comparing responses")
    pages = [f"{LIST}?{query}" for query in ("limit=50", "limit=1000", "skip=990&limit=50", "skip=2000", "")]
    check_same_responses(servers["ours"], servers["theirs"], [*by_id[:20], *pages])
    check_same_responses(servers["many"], servers["theirs_many"], [pages[0], f"{LIST}?skip=9940&limit=50"])
    check_same_creation(servers["create"], servers["theirs_create"])


def measure(fleet, azure, options):
    servers = serve(fleet, azure)
    ours = servers["ours"].process
    at_rest = ours.memory_mb("VmRSS")
    by_id = paths_by_id(fleet.cluster, "rows_1k")
    check(servers, by_id)
    results = []
    for case in cases(fleet.cluster, servers, by_id):
        if options.only is None or options.only in case.name:
            say(case.name)
            results.append(case.measure(options.seconds, options.rounds, warm_up=not options.quick))
    if options.only is not None:
        return results, []
    say("memory, start, statements")
    values = figures.tail_latency(results)
    values.append(figures.figure("memory at rest", at_rest, "MB", 16))
    values.append(figures.figure("memory under load, at most", ours.memory_mb("VmHWM"), "MB", 40))
    values.append(figures.start_time(fleet, max(options.rounds, 3)))
    values += figures.database_traffic(fleet, azure, options.rounds + 1)
    return results, values


def main():
    options = arguments()
    install_wrk()
    if report.is_grouped():
        say("sched_autogroup is on: expect single requests of a tenth of a second and more, see docs/performance.md")
    aponta, hand_written = build(options.aponta)
    with running_cluster() as cluster, AzureStub() as azure, tempfile.TemporaryDirectory() as directory:
        machine = report.machine(cluster)
        prepare(cluster, aponta)
        with Fleet(cluster, Path(directory), aponta, hand_written) as fleet:
            results, values = measure(fleet, azure, options)
    print(report.markdown(machine, options, results, values))
    if options.json:
        report.write_json(options.json, machine, results, values)


if __name__ == "__main__":
    main()
