"""The rows that are measured on: as they come in over months, of twenty projetos."""

import os
import subprocess

PROJETOS = 20
PROJETO = "00000000-0000-7000-8000-000000000007"

# Ids are UUIDs of version 7 made from `criado_em`, as the service makes them, and not random ones.
FILL = """
INSERT INTO projetos (id, nome, criado_em, atualizado_em)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Projeto ' || n, em, em
FROM generate_series(1, {projetos}) n, (SELECT timestamptz '2026-01-01 00:00:00Z' AS em) e;
INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
SELECT (lpad(to_hex((extract(epoch FROM em) * 1000)::bigint), 12, '0') || '7' || substr(acaso, 1, 3)
        || '8' || substr(acaso, 4, 15))::uuid,
       'Revisão nº ' || n || ' do contrato',
       CASE WHEN n % 2 = 0 THEN 'Conferir cláusulas, prazos e valores com o jurídico antes de enviar ao cliente' END,
       n % 3 <> 0,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n % {projetos} + 1), 12, '0'))::uuid,
       'pessoa' || n % 50 || '@exemplo.com.br', em, em
FROM generate_series(1, {rows}) n,
     LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '7.001001 seconds' AS em, md5(n::text) AS acaso) l;
"""


def fill(cluster, aponta, database, rows):
    """Makes a database with the schema that `aponta migrate up` makes, and so many atividades."""
    cluster.create(database)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": cluster.url(database), "LOG": "warn"}
    migrate = [aponta, "migrate", "up"]
    subprocess.run(migrate, check=True, env=environment, cwd=cluster.directory, stdout=subprocess.DEVNULL)
    cluster.sql(database, FILL.format(projetos=PROJETOS, rows=rows))
    cluster.sql(database, "VACUUM (ANALYZE)")


def empty(cluster, database):
    """Before each round of creates, so that every round finds the same."""
    cluster.sql(database, "TRUNCATE atividades")
    cluster.sql("postgres", "CHECKPOINT")
