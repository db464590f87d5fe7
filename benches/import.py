#!/usr/bin/env python3
"""Measures `aponta import` on a private PostgreSQL: the first import, and --again as at the switch. Prints a table.

Needs PostgreSQL 15 or later, as ./tests/run.sh installs it, and about 3 KB of disk for each time entry.
"""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests"), str(ROOT / "tests/moving")]

from comparison import report  # noqa: E402
from comparison.cluster import create_database, running_cluster  # noqa: E402
from harness.process import Process, run  # noqa: E402
from harness.wait import wait_until  # noqa: E402
from old_service import fill  # noqa: E402

OLD = "aponta_sefaz"
# The reference: the same rows in the same database into the tables of a service, with their constraints and indexes.
REFERENCE = """
SET search_path = api_aponta;
INSERT INTO projetos (id, nome, criado_em, atualizado_em)
SELECT external_id, nome, created_at, updated_at FROM {old}.projetos;
INSERT INTO atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
SELECT a.id, a.nome, a.ativo, p.external_id, a.criado_em AT TIME ZONE 'UTC', a.atualizado_em AT TIME ZONE 'UTC'
FROM {old}.atividades a JOIN {old}.atividade_projeto ap ON ap.id_atividade = a.id JOIN {old}.projetos p ON p.id = ap.id_projeto;
INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id, usuario_nome,
                          usuario_email, criado_em, atualizado_em)
SELECT e.id, p.external_id, e.id_atividade, e.work_item_id, e.organization_name, e.data_apontamento,
       split_part(e.duracao, ':', 1)::integer * 60 + split_part(e.duracao, ':', 2)::integer, e.comentario, e.usuario_id, e.usuario_nome,
       e.usuario_email, e.criado_em AT TIME ZONE 'UTC', e.atualizado_em AT TIME ZONE 'UTC'
FROM {old}.apontamentos e
JOIN (SELECT id::text AS key, external_id FROM {old}.projetos UNION ALL SELECT external_id::text, external_id FROM {old}.projetos) p
    ON p.key = e.project_id;
"""
# What changes at the old service between two imports.
CHANGES = """
SET search_path = {old};
UPDATE apontamentos SET duracao = '07:59' WHERE id IN (SELECT md5('e' || n * 1000)::uuid FROM generate_series(1, 300) n);
DELETE FROM apontamentos WHERE id IN (SELECT md5('e' || n * 1000 + 1)::uuid FROM generate_series(1, 100) n);
INSERT INTO apontamentos SELECT md5('new' || id)::uuid, work_item_id, project_id, organization_name, data_apontamento + 1, duracao,
    id_atividade, comentario, usuario_id, usuario_nome, usuario_email, criado_em, atualizado_em
FROM apontamentos WHERE id IN (SELECT md5('e' || n * 1000 + 2)::uuid FROM generate_series(1, 600) n);
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, help="time entries (default: 1000000)")
    parser.add_argument("--aponta", metavar="FILE", type=Path, default=ROOT / "target/dist/aponta",
                        help="the program (default: that of cargo build --profile dist)")
    return parser.parse_args()


class Imports:
    """Imports into one database."""

    def __init__(self, cluster, aponta, database):
        self.cluster, self.aponta, self.database = cluster, aponta.resolve(), database
        self.rows = []

    def run(self, what, *options):
        """Adds a row to the table: seconds, CPU of the server and of the process, peak memory of the process."""
        self.cluster.sql("CHECKPOINT")
        log = self.cluster.directory / "import.log"
        log.unlink(missing_ok=True)
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.cluster.url(self.database)}
        started, used, peak = time.monotonic(), cpu_seconds(self.cluster), 0
        process = Process("import", [self.aponta, "import", "--from", OLD, *options], log, env=environment, cwd=self.cluster.directory)

        def has_ended():
            nonlocal peak
            if process.is_running():
                try:
                    peak = max(peak, process.memory_mb("VmHWM"))
                except (OSError, StopIteration):
                    pass
            return not process.is_running()

        wait_until(what, has_ended, 3600, log=process.log)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            raise SystemExit(process.log())
        others = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.database}'"
        wait_until("the end of its sessions", lambda: self.cluster.sql(others).strip() == "0", 60)
        changes = [line.split(None, 1)[1] for line in process.log().splitlines() if line.startswith("changes")]
        self.rows.append((what, seconds, cpu_seconds(self.cluster) - used, peak, "; ".join(changes)))
        return seconds


def cpu_seconds(cluster):
    """User and system time of the server and of its processes that have ended."""
    fields = Path(f"/proc/{cluster.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main():
    options = arguments()
    with running_cluster() as cluster:
        machine = report.machine(cluster)
        for database in ("moved", "reference"):
            create_database(cluster, database)
            cluster.sql(fill(OLD, options.entries), database, seconds=3600)
        cluster.sql("VACUUM (ANALYZE)", "moved", seconds=600)
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": cluster.url("reference"), "LOG": "warn"}
        run(options.aponta.resolve(), "migrate", "up", env=environment, cwd=cluster.directory)
        cluster.sql("VACUUM (ANALYZE); CHECKPOINT", "reference", seconds=600)
        started = time.monotonic()
        cluster.sql(REFERENCE.format(old=OLD), "reference", seconds=3600)
        reference = time.monotonic() - started
        imports = Imports(cluster, options.aponta, "moved")
        first = imports.run("first import", "--yes")
        # As a server that has gone on for a while.
        cluster.sql("VACUUM (ANALYZE)", "moved", seconds=600)
        imports.run("--again, nothing changed", "--again", "--yes")
        cluster.sql(CHANGES.format(old=OLD), "moved")
        imports.run("--again, 1,000 changes", "--again", "--yes")
    print(f"{machine['cores']} cores of {machine['processor']}, PostgreSQL {machine['postgresql']}, commit {machine['commit']}, load average "
          f"{machine['load_average_before']:.1f} before.\n\n{options.entries:,} time entries. INSERT … SELECT of the same rows: {reference:.1f} s, "
          f"the first import takes {first / reference:.1f} times as long.\n")
    print("| | Seconds | CPU of PostgreSQL, s | Memory of the process, MB | Changes |\n|---|--:|--:|--:|---|")
    for what, seconds, cpu, peak, changes in imports.rows:
        print(f"| {what} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} | {changes} |")


if __name__ == "__main__":
    main()
