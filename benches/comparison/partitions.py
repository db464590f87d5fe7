"""Layouts of the table of time entries: one table, or partitions by the date of the entry with the same columns and indexes."""

import datetime
from contextlib import contextmanager

from comparison.entries_data import DAYS, FIRST_DAY, TIMEOUT

PLAIN, YEARS, MONTHS = "one table", "by year", "by month"
LAYOUTS = (PLAIN, YEARS, MONTHS)
# It has entries from its first day to its last, unlike the first and the last year.
REMOVED_YEAR = 2023
LAST_YEAR = 2027

# The primary key of a partitioned table contains the column that chooses the partition. Foreign keys hold by construction, and
# checking them would take longer.
PARTITION = """
SET session_replication_role = replica;
SET maintenance_work_mem = '512MB';
CREATE TABLE indices AS SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'apontamentos' AND indexname <> 'apontamentos_pkey';
CREATE TABLE chaves AS
SELECT format('ALTER TABLE apontamentos ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS definition
FROM pg_constraint WHERE conrelid = 'apontamentos'::regclass AND contype = 'f';
SELECT format('DROP INDEX %I', indexname) FROM indices \\gexec
ALTER TABLE apontamentos DROP CONSTRAINT apontamentos_pkey;
ALTER TABLE apontamentos RENAME TO antes;
CREATE TABLE apontamentos (LIKE antes INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (data);
{partitions}
SELECT definition FROM chaves \\gexec
INSERT INTO apontamentos SELECT * FROM antes {saved};
DROP TABLE antes;
ALTER TABLE apontamentos ADD CONSTRAINT apontamentos_pkey PRIMARY KEY (id, data);
SELECT indexdef FROM indices \\gexec
DROP TABLE indices, chaves;
VACUUM (ANALYZE) apontamentos;
"""


@contextmanager
def loading(cluster):
    """Loads without durability, because a lost load is repeated. Vacuums only when told to."""
    set_durable(cluster, False)
    try:
        yield
    finally:
        set_durable(cluster, True)
        cluster.sql("CHECKPOINT", seconds=TIMEOUT)


def set_durable(cluster, durable):
    value = "on" if durable else "off"
    cluster.sql(f"ALTER SYSTEM SET fsync = {value}")
    cluster.sql(f"ALTER SYSTEM SET full_page_writes = {value}")
    cluster.sql("ALTER SYSTEM SET autovacuum = off")
    cluster.sql(f"ALTER SYSTEM SET max_wal_size = '{1 if durable else 4}GB'")
    cluster.sql("SELECT pg_reload_conf()")


def bounds(layout):
    """Returns the first day of each partition but the first, which has all earlier days; the last one has all later ones."""
    first = datetime.date.fromisoformat(FIRST_DAY)
    months = range(1, 13) if layout == MONTHS else (1,)
    days = (datetime.date(year, month, 1) for year in range(first.year, LAST_YEAR + 1) for month in months)
    return [day for day in days if day > first]


def name_of(layout, day):
    return f"apontamentos_{day:%Y}" if layout == YEARS else f"apontamentos_{day:%Y_%m}"


def partitions(layout):
    days = bounds(layout)
    pairs = zip([None, *days], [*days, None])
    for lower, upper in pairs:
        name = name_of(layout, lower) if lower else "apontamentos_antes"
        values = f"FROM ({literal(lower, 'MINVALUE')}) TO ({literal(upper, 'MAXVALUE')})"
        yield f"CREATE TABLE {name} PARTITION OF apontamentos FOR VALUES {values};"


def literal(day, without):
    return f"'{day}'" if day else without


def partition(cluster, database, layout, has_saved):
    """Moves the entries of one table into partitions, with those that `remove_year` saved."""
    saved = "UNION ALL TABLE salvos" if has_saved else ""
    statements = PARTITION.format(partitions="\n".join(partitions(layout)), saved=saved)
    cluster.sql(statements, database, TIMEOUT)
    if has_saved:
        cluster.sql("DROP TABLE salvos", database)


CORRECTION = """
UPDATE apontamentos SET minutos = minutos % 480 + 1 WHERE data >= '{since}' AND work_item_id % 4 = 0
"""


def correct_entries(cluster, database):
    """Changes a quarter of the entries of the last 60 days."""
    since = datetime.date.fromisoformat(FIRST_DAY) + datetime.timedelta(days=DAYS - 60)
    cluster.sql(CORRECTION.format(since=since), database, TIMEOUT)


def save_year(cluster, database):
    cluster.sql(f"CREATE TABLE salvos AS SELECT * FROM apontamentos WHERE {in_removed_year()}", database, TIMEOUT)


def in_removed_year():
    return f"data BETWEEN '{REMOVED_YEAR}-01-01' AND '{REMOVED_YEAR}-12-31'"


def removal(layout):
    """The statements that remove a year and leave no dead rows."""
    if layout == PLAIN:
        return f"DELETE FROM apontamentos WHERE {in_removed_year()}; VACUUM apontamentos;"
    names = [name_of(layout, day) for day in bounds(layout) if day.year == REMOVED_YEAR]
    return "".join(f"ALTER TABLE apontamentos DETACH PARTITION {name}; DROP TABLE {name};" for name in names)


def sizes(cluster, database):
    """Returns the bytes of the table and of its indexes."""
    query = """
        SELECT sum(pg_table_size(id)), sum(pg_indexes_size(id))
        FROM (SELECT 'apontamentos'::regclass AS id UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'apontamentos'::regclass) t
    """
    return tuple(map(int, cluster.rows(query, database)[0]))
