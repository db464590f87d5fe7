"""Load by wrk: two threads and 32 connections, as in the goals, or a single client."""

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.process import run

SCRIPT = Path(__file__).resolve().parent.parent / "load.lua"


@dataclass(frozen=True)
class Load:
    """The requests that one server gets in a loop."""

    server: object
    paths: tuple
    bodies: tuple = ()
    token: str | None = None
    #: Called before each run.
    prepare: object = None
    connections: int = 32

    def run(self, seconds):
        if self.prepare:
            self.prepare()
        with tempfile.TemporaryDirectory() as directory:
            paths, bodies = Path(directory) / "paths", Path(directory) / "bodies"
            paths.write_text("".join(f"{path}\n" for path in self.paths))
            threads = min(2, self.connections)
            command = ["wrk", f"-t{threads}", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT]
            command += ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
            command += [f"http://127.0.0.1:{self.server.port}", "--", paths]
            if self.bodies:
                bodies.write_text("".join(f"{body}\n" for body in self.bodies))
                command.append(bodies)
            # Each connection may wait 30 s for its last response.
            output = run(*command, seconds=seconds + 90).stdout
        # A minute of load writes gigabytes.
        self.server.truncate_log()
        return Run(**json.loads(output.split("RESULT ")[-1]))


@dataclass(frozen=True)
class Run:
    """The result of wrk."""

    requests: int
    duration_us: int
    refused: int
    broken: int
    p50_us: int
    p99_us: int

    @property
    def rate(self):
        """Successful responses per second."""
        return (self.requests - self.refused) * 1e6 / self.duration_us


@dataclass(frozen=True)
class Case:
    """A load and its baseline. `goal` is the minimum ratio, if there is one."""

    name: str
    load: Load
    against: str
    baseline: Load
    goal: float | None

    def measure(self, seconds, rounds, warm_up):
        """Alternates between both, so that other work of the machine affects both."""
        pair = (self.load, self.baseline)
        for load in pair if warm_up else ():
            load.run(1)
        runs = [[load.run(seconds) for load in pair] for _ in range(rounds)]
        ours, theirs = zip(*runs)
        rate, base = (statistics.median(run.rate for run in side) for side in (ours, theirs))
        ratio = statistics.median(one.rate / other.rate if other.rate else 0.0 for one, other in runs)
        p50, p99 = (statistics.median(getattr(run, field) for run in ours) / 1000 for field in ("p50_us", "p99_us"))
        return {
            "case": self.name,
            "ours": rate,
            "against": self.against,
            "theirs": base,
            "ratio": ratio,
            "goal": self.goal,
            "met": None if self.goal is None else ratio >= self.goal,
            "p50_ms": p50,
            "p99_ms": p99,
            "errors": sum(run.refused + run.broken for run in ours + theirs),
        }
