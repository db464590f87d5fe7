"""The tables, as Markdown and as JSON."""

import json
import os
import platform
import subprocess
from pathlib import Path

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


def is_grouped():
    """Returns whether the kernel divides time among sessions first. Each process of PostgreSQL is a session."""
    return AUTOGROUP.exists() and AUTOGROUP.read_text(encoding="ascii").strip() != "0"


def machine(cluster):
    """Describes the machine and versions of the figures."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpus:
        models = [line.split(":", 1)[1].strip() for line in cpus if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], text=True, capture_output=True).stdout.strip()
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "postgresql": cluster.sql("SHOW server_version").strip(),
        "commit": commit,
        "load_average_before": os.getloadavg()[0],
        "sched_autogroup": is_grouped(),
    }


def markdown(machine, options, cases, figures):
    lines = [
        f"{machine['cores']} cores of {machine['processor']}, Linux {machine['kernel']}, "
        f"PostgreSQL {machine['postgresql']}, commit {machine['commit']}, "
        f"load average {machine['load_average_before']:.1f} before, "
        f"sched_autogroup {'on' if machine['sched_autogroup'] else 'off'}; "
        f"`wrk -t2 -c32`, median of {options.rounds} × {options.seconds} s.",
        "",
        "| Case | Ours/s | Against | Theirs/s | Ratio | Goal | Met | p50 ms | p99 ms |",
        "|---|--:|---|--:|--:|--:|---|--:|--:|",
    ]
    for row in cases:
        errors = f" ({row['errors']} errors)" if row["errors"] else ""
        goal = "" if row["goal"] is None else f"{row['goal']:.2f}"
        lines.append(
            f"| {row['case']}{errors} | {number(row['ours'])} | {row['against']} | {number(row['theirs'])} "
            f"| {row['ratio']:.2f} | {goal} | {yes(row['met'])} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} |"
        )
    if figures:
        lines += ["", "| Figure | Value | Goal | Met |", "|---|--:|--:|---|"]
    for row in figures:
        goal = "" if row["goal"] is None else f"≤ {number(row['goal'])}"
        note = f" ({row['note']})" if row["note"] else ""
        lines.append(f"| {row['figure']}, {row['unit']}{note} | {number(row['value'])} | {goal} | {yes(row['met'])} |")
    return "\n".join(lines)


def write_json(file, machine, cases, figures):
    with open(file, "w", encoding="utf-8") as output:
        json.dump({"machine": machine, "cases": cases, "figures": figures}, output, indent=2, ensure_ascii=False)
        output.write("\n")


def number(value):
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def yes(met):
    return {True: "yes", False: "**no**", None: ""}[met]
