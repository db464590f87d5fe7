"""The rows of the databases: created over months, of 20 projetos. Each tenth atividade belongs to two."""

import os

from comparison.cluster import create_database
from harness.process import run

PROJETOS = 20
PROJETO = "00000000-0000-7000-8000-000000000007"

# Ids are UUIDs of version 7 made from `criado_em`, as those of the service.
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
INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
SELECT a.id, p.id, 1 FROM (SELECT *, row_number() OVER (ORDER BY criado_em) AS n FROM atividades) a
JOIN projetos p ON p.nome = 'Projeto ' || (n + 1) % {projetos} + 1
WHERE n % 10 = 0 AND p.id <> a.id_projeto;
"""


def fill(cluster, aponta, database, rows):
    """Creates a database with the schema of `aponta migrate up` and this number of atividades."""
    create_database(cluster, database)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": cluster.url(database), "LOG": "warn"}
    run(aponta, "migrate", "up", env=environment, cwd=cluster.directory)
    cluster.sql(FILL.format(projetos=PROJETOS, rows=rows), database)
    cluster.sql("VACUUM (ANALYZE)", database)


def empty(cluster, database):
    """Gives each round of creates the same state."""
    cluster.sql("TRUNCATE atividades CASCADE", database)
    cluster.sql("CHECKPOINT")
