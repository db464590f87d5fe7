"""The service past one database server and one process, with programs from Debian's packages.

usage: run.py BINARY TOOLS [--short] [--only PART]

TOOLS is a directory with unpacked packages: those of PgBouncer, Valkey and nginx with their libraries, of kustomize, and of the base of
the image (`runtime`). Needs root, and namespaces for network and mounts of its own: hosts have fixed addresses.
"""

import argparse
import asyncio
import importlib
import pathlib
import resource
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "scale"), str(TESTS), str(TESTS / "faults"), str(TESTS / "interop")]

from environment import work_directory  # noqa: E402
from harness.wait import within  # noqa: E402

# Each with its long and its short form.
PARTS = {
    "pooler": ({"seconds": 60, "rounds": 9}, {"seconds": 15, "rounds": 3}),
    "replicas": ({"reads": 10_000, "seconds": 600}, {"reads": 1_000, "seconds": 120}),
    "edge": ({"requests": 10_000}, {"requests": 1_000}),
    "valkey": ({"people": 500, "rate_seconds": 20, "crowd": 200, "fault_seconds": 5},
               {"people": 40, "rate_seconds": 3, "crowd": 40, "fault_seconds": 0.7}),
    "failover": ({"faults": ["switchover", "kill", "cut_off", "cut_off_from_standbys", "power_failure", "hang_of_patroni", "cut_off",
                             "cut_off_from_standbys"], "writes": 10_000},
                 {"faults": ["cut_off_from_standbys"], "writes": 1_000}),
    "hosts": ({"seconds": 45}, {"seconds": 6}),
    "kubernetes": ({}, {}),
}
# Each wait has a bound of its own. This one is for whatever they overlook: minutes of a part, long and short.
PART_TIMEOUT = (15, 5)


async def run_part(name, programs, base, options, minutes):
    async with within(f"the part {name}", minutes * 60):
        return await importlib.import_module(name).run(programs, base, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("tools", type=pathlib.Path)
    parser.add_argument("--short", action="store_true", help="as CI runs it")
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tools = options.tools.resolve()
    programs = {"binary": options.binary.resolve(), "kustomize": tools / "kustomize/usr/bin/kustomize"}
    programs |= {name: tools / name for name in ("pgbouncer", "valkey", "nginx", "runtime")}
    for name, forms in PARTS.items():
        if options.only in (None, name):
            started = time.monotonic()
            with work_directory() as base:
                figures = asyncio.run(run_part(name, programs, base, forms[options.short], PART_TIMEOUT[options.short]))
            summary = ", ".join(f"{value} {unit}" for unit, value in figures.items())
            print(f"ok {name} ({time.monotonic() - started:.0f} s): {summary}", flush=True)


if __name__ == "__main__":
    main()
