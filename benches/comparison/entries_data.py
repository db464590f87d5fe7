"""Time entries of four years, in the order in which people made them."""

from comparison.data import PROJETOS, fill

FIRST_DAY, DAYS = "2022-11-28", 1461
ATIVIDADES, ENTRIES_PER_PERSON, ENTRIES_PER_WORK_ITEM = 1000, 10_000, 100
CHUNK = 1_000_000
TIMEOUT = 7200

WORK_ITEMS = """
INSERT INTO work_items (organizacao, id, titulo, tipo, visto_em)
SELECT 'exemplo', n, 'Desenvolver tela de pedidos nº ' || n, 'Task', '2026-01-01 00:00:00Z' FROM generate_series(1, {work_items}) n;
CREATE TABLE lugares AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM atividades;
CREATE TABLE indices AS SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'apontamentos' AND indexname <> 'apontamentos_pkey';
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT indexname FROM indices LOOP EXECUTE 'DROP INDEX ' || name; END LOOP;
END $$;
"""

# Ids are UUIDs of version 7 made from `criado_em`. Foreign keys hold by construction, and checking them would take longer.
ENTRIES = """
SET session_replication_role = replica;
SET work_mem = '256MB';
INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id,
                          usuario_nome, usuario_email, criado_em, atualizado_em)
SELECT (lpad(to_hex((extract(epoch FROM em) * 1000)::bigint), 12, '0') || '7' || substr(acaso, 1, 3)
        || '8' || substr(acaso, 4, 15))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(work_item % {projetos} + 1), 12, '0'))::uuid,
       l.id, work_item, 'exemplo', em::date, 5 + e.n % 56,
       CASE WHEN e.n % 2 = 0 THEN 'Revisão da tela, com testes nº ' || e.n END,
       'pessoa-' || pessoa, 'Pessoa ' || pessoa, 'pessoa' || pessoa || '@exemplo.com.br', em, em
FROM (
    SELECT n, md5(n::text) AS acaso, (hashint8(n)::bigint & 2147483647) % {people} AS pessoa,
           1 + ((hashint8(n + 7)::bigint & 2147483647) % {work_items})::integer AS work_item,
           1 + (hashint8(n + 9)::bigint & 2147483647) % {atividades} AS lugar,
           timestamptz '{first_day} 11:00:00Z' + ({days}::float8 * n / {rows}) * interval '1 day' AS em
    FROM generate_series({first}, {last}) n
) e JOIN lugares l ON l.n = e.lugar ORDER BY e.n;
"""

INDEXES = """
SET maintenance_work_mem = '512MB';
DO $$ DECLARE definition text; BEGIN
  FOR definition IN SELECT indexdef FROM indices LOOP EXECUTE definition; END LOOP;
END $$;
DROP TABLE indices;
DROP TABLE lugares;
"""


def fill_entries(cluster, aponta, database, rows):
    """Creates a database with this number of entries. Each person has 10,000, so that weeks are equal at each size."""
    fill(cluster, aponta, database, ATIVIDADES)
    sizes = {"work_items": max(rows // ENTRIES_PER_WORK_ITEM, 1), "people": people(rows), "rows": rows}
    cluster.sql(WORK_ITEMS.format(**sizes), database)
    for first in range(1, rows + 1, CHUNK):
        last = min(first + CHUNK - 1, rows)
        constants = {"projetos": PROJETOS, "atividades": ATIVIDADES, "first_day": FIRST_DAY, "days": DAYS}
        cluster.sql(ENTRIES.format(first=first, last=last, **sizes, **constants), database, TIMEOUT)
    cluster.sql(INDEXES, database, TIMEOUT)
    cluster.sql("VACUUM (ANALYZE)", database, TIMEOUT)


def people(rows):
    return max(rows // ENTRIES_PER_PERSON, 1)


WEEK_OF_ENTRIES = """
INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id,
                          usuario_nome, usuario_email, criado_em, atualizado_em)
SELECT gen_random_uuid(), p.id, a.id, 1 + n % {items}, 'exemplo', date '{monday}' + n % 7, 15, 'Revisão da tela, com testes',
       '{person}', 'Ana Lima', 'ana.lima@exemplo.com.br', now(), now()
FROM generate_series(1, {entries}) n, (SELECT id FROM projetos LIMIT 1) p, (SELECT id FROM atividades LIMIT 1) a;
"""


def add_week(cluster, database, person, monday, entries, items):
    """Adds a week of a person: the entries are spread over its days and the first work items."""
    cluster.sql(WEEK_OF_ENTRIES.format(person=person, monday=monday, entries=entries, items=items), database)


def indexes(cluster, database):
    query = "SELECT indexname FROM pg_indexes WHERE tablename = 'apontamentos' AND indexname <> 'apontamentos_pkey' ORDER BY 1"
    return [name for (name,) in cluster.rows(query, database)]
