"""The service while its database, its network and Azure DevOps fail, and under overload. All of it on loopback.

usage: run.py BINARY [--short] [--only NAME]

Needs to be root, in a mount namespace of its own: the database has a disk that gets filled.
"""

import argparse
import asyncio
import contextlib
import importlib
import pathlib
import resource
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]

from environment import high_priority, work_directory  # noqa: E402
from harness.wait import StepTimeout  # noqa: E402

# Each with its long and its short form.
CHAPTERS = {
    "writes": ({"faults": 60, "writes": 12_000}, {"faults": 12, "writes": 2_000}),
    "outages": ({"modes": ["hangs", "is slow", "cuts", "nonsense", "throttles", "fails"]}, {"modes": ["hangs", "nonsense"]}),
    "replicas": ({"rounds": 10}, {"rounds": 2}),
    "writeback": ({"changes": 2_000, "items": 200, "kills": 12}, {"changes": 300, "items": 40, "kills": 2}),
    "overload": ({"seconds": 20}, {"seconds": 8}),
    "searches": ({"rows": 1_000_000, "seconds": 30}, {"rows": 100_000, "seconds": 5}),
    "connections": ({"idle": 10_000}, {"idle": 2_000}),
    # Half a minute is too short to tell a slow leak from noise.
    "soak": ({"seconds": 240, "growth": 2}, {"seconds": 24, "growth": 30}),
}
# The chapters that measure latency or throughput, or whose many clients a busy machine would starve.
MEASURED = ("overload", "searches", "connections", "soak")
# Each wait has a bound of its own. This one is for whatever they overlook: minutes of a chapter, long and short.
CHAPTER_TIMEOUT = (30, 12)


async def run_chapter(name, binary, base, options, minutes):
    """Runs a chapter. If it does not end, prints where each of its tasks waits."""
    task = asyncio.create_task(importlib.import_module(name).run(binary, base, **options), name=name)
    done, _ = await asyncio.wait([task], timeout=minutes * 60)
    if not done:
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.print_stack(file=sys.stderr)
        task.cancel()
        await asyncio.wait([task], timeout=120)
        raise StepTimeout(f"the chapter {name}", minutes * 60)
    return await task


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--short", action="store_true", help="as CI runs it")
    parser.add_argument("--only", choices=CHAPTERS, help="this chapter alone")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name, forms in CHAPTERS.items():
        if options.only in (None, name):
            started = time.monotonic()
            with work_directory() as base, high_priority() if name in MEASURED else contextlib.nullcontext():
                chapter = run_chapter(name, options.binary.resolve(), base, forms[options.short], CHAPTER_TIMEOUT[options.short])
                figures = asyncio.run(chapter)
            summary = ", ".join(f"{value} {unit}" for unit, value in figures.items())
            print(f"ok {name} ({time.monotonic() - started:.0f} s): {summary}", flush=True)


if __name__ == "__main__":
    main()
