"""What the service does while things fail, and under loads that nobody should send. All of it on loopback.

usage: faults.py BINARY [--short] [--only NAME]

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

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from world import before_others, workplace  # noqa: E402

# Each with its long and its short form.
CHAPTERS = {
    "writes": ({"faults": 60, "writes": 12_000}, {"faults": 12, "writes": 2_000}),
    "illness": ({"modes": ["hangs", "is slow", "cuts", "nonsense", "throttles", "fails"]}, {"modes": ["hangs", "nonsense"]}),
    "replicas": ({"rounds": 10}, {"rounds": 2}),
    "overload": ({"seconds": 20}, {"seconds": 8}),
    "connections": ({"idle": 10_000}, {"idle": 2_000}),
    # Half a minute is too short to tell a slow leak from what comes and goes.
    "soak": ({"seconds": 240, "growth": 2}, {"seconds": 24, "growth": 30}),
}
# Those that say how long somebody waited or how much was served.
MEASURED = ("overload", "connections")


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
            began = time.monotonic()
            chapter = importlib.import_module(name)
            with workplace() as base, before_others() if name in MEASURED else contextlib.nullcontext():
                figures = asyncio.run(chapter.run(options.binary.resolve(), base, **forms[options.short]))
            told = ", ".join(f"{value} {what}" for what, value in figures.items())
            print(f"ok {name} ({time.monotonic() - began:.0f} s): {told}", flush=True)


if __name__ == "__main__":
    main()
