"""Follows the chapter "Moving from FastAPI" of deploy/README.md: each command of its tables is run as it stands there.

usage: run.py BINARY [VERSION CLIENTS]

BINARY is aponta. VERSION is that of a PostgreSQL as tests/harness/newer_postgres.py installs it from CLIENTS. nginx is Debian's. The old service is a stand-in that answers from the old tables. A program `docker` stands in for
the container of the service: it runs the commands on this host.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE.parent / "interop")]

from harness.newer_postgres import install_programs  # noqa: E402
from harness.postgres import SCHEMA, Cluster  # noqa: E402
from harness.process import run  # noqa: E402
from move import Move, steps  # noqa: E402
from old_service import OldService  # noqa: E402

# The old rows, in an order of their own.
ALL = "SELECT e FROM apontamentos e ORDER BY id"


def beside(move):
    """The old tables are in another schema or database: the old service goes on until the switch."""
    table = steps("The old tables are in another schema or database")
    assert sorted(table) == list(range(1, 10)), table
    commands = {number: row[0] for number, row in table.items()}
    move.start()
    recorded = move.record()
    dumped = move.old.sql(ALL)
    move.run(commands[2][0])
    dry, copy = commands[3]
    one = move.old.sql("SELECT id FROM apontamentos ORDER BY id LIMIT 1").strip()
    move.old.sql(f"UPDATE apontamentos SET duracao = '00:00' WHERE id = '{one}'")
    refused = move.run(dry, check=False)
    assert refused.returncode == 1 and "CANNOT TAKE   1 apontamentos" in refused.stdout, refused
    # Step 4: a row is corrected in the old service.
    move.old.sql(f"UPDATE apontamentos SET duracao = '{recorded[f'/api/v1/apontamentos/{one}']['duracao']}' WHERE id = '{one}'")
    (move.base / "report.csv").unlink(missing_ok=True)
    assert "nothing was changed: --yes imports" in move.run(dry).stdout
    move.run(copy.replace("> report.csv", "> copied.csv"))
    assert "rewritten to Azure's GUID" in (move.base / "copied.csv").read_text()
    assert move.cluster.sql(f"SELECT count(*) FROM {SCHEMA}.apontamentos", move.database).strip() == "0"
    assert move.run(commands[5][0]).stdout.endswith("imported\n")
    assert recorded == move.record(), "users see the old service"
    move.check_new(move.port, recorded, move.totals())
    # People go on with the old service.
    move.old.sql(f"""UPDATE apontamentos SET duracao = '07:07' WHERE id = '{one}';
        DELETE FROM apontamentos WHERE id = (SELECT max(id::text)::uuid FROM apontamentos);
        INSERT INTO apontamentos SELECT md5('new')::uuid, work_item_id, project_id, organization_name, data_apontamento, '01:01', id_atividade,
            'novo', 'pessoa-9', 'Pessoa 9', NULL, criado_em, atualizado_em FROM apontamentos WHERE id = '{one}'""")
    recorded, totals = move.record(), move.totals()
    switch(move, commands[7][0], recorded, totals)
    # The way back of step 7.
    move.old.start(move.old_port)
    move.switch(move.port, move.old_port)
    assert move.record() == recorded, "the old service answers as before"
    switch(move, commands[7][0], recorded, totals, changes="changes       none\n")
    give_up, undo = commands[9]
    move.run(give_up)
    assert move.run(undo).stdout.endswith("undone\n")
    move.old.start(move.old_port)
    move.switch(move.port, move.old_port)
    assert move.record() == recorded
    # The way back of step 9: the new tables as they were, and step 5 goes on from there.
    move.run(table[9][1][0])
    move.start()
    move.check_new(move.port, recorded, totals)
    again = move.run(commands[5][0]).stdout
    assert again.endswith("imported\n") and "its row stays" not in again, again
    switch(move, commands[7][0], recorded, totals, changes="changes       none\n")
    move.run(commands[8][0])
    move.check_new(move.nginx.port, recorded, totals)
    # The way back of step 8.
    restored = f"restored_{move.name}"
    move.cluster.sql(f"CREATE DATABASE {restored}")
    run(move.cluster.programs / "pg_restore", "-d", move.cluster.url(restored), move.base / "before.dump")
    assert OldService(move.cluster, restored, move.schema).sql(ALL) == dumped


def switch(move, command, recorded, totals, changes="1 new, 1 changed, 1 deleted"):
    """Step 7: stops the old service, takes what changed since, and sends users to the new one."""
    move.old.stop()
    started = time.monotonic()
    done = move.run(command)
    assert changes in done.stdout and done.stdout.endswith("imported\n"), done.stdout
    move.switch(move.old_port, move.port)
    print(f"ok {move.name}: switched in {time.monotonic() - started:.1f} s", flush=True)
    move.check_new(move.nginx.port, recorded, totals)


def in_our_own_schema(move):
    """The old tables are in the schema that the new service is told to use: the old service stops before."""
    table = steps("The old tables are in our own schema")
    assert sorted(table) == list(range(1, 7)), table
    commands = {number: row[0] for number, row in table.items()}
    recorded, totals = move.record(), move.totals()
    move.run(commands[1][0])
    assert "nothing was changed: --yes imports" in move.run(commands[2][0]).stdout
    for attempt in range(2):
        assert move.record() == recorded
        move.old.stop()
        assert move.run(commands[3][0]).stdout.endswith("imported\n")
        move.run(commands[4][0])
        move.switch(move.old_port, move.port)
        move.check_new(move.nginx.port, recorded, totals)
        print(f"ok {move.name}: moved, time {attempt + 1}", flush=True)
        if attempt:
            break
        stop, undo = commands[5]
        move.run(stop)
        assert move.run(undo).stdout.endswith("undone\n")
        move.old.start(move.old_port)
        move.switch(move.port, move.old_port)
        # The way back of step 5 is step 3, after the tables of the undone import have another name.
        move.run(table[5][1][0].replace("…", "api_aponta_first"))
    move.run(commands[6][0])
    move.check_new(move.nginx.port, recorded, totals)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    base = pathlib.Path(tempfile.mkdtemp(prefix="aponta-moving-"))
    os.chmod(base, 0o755)
    if len(sys.argv) == 4:
        os.environ["APONTA_TEST_POSTGRES"] = str(install_programs(sys.argv[2], pathlib.Path(sys.argv[3]).resolve(), base / "newer"))
    database = base / "postgres"
    database.mkdir()
    cluster = Cluster(database, settings={"fsync": "off"})
    cluster.give_to_server(database)
    cluster.initialize()
    cluster.start()
    print("PostgreSQL", cluster.sql("SHOW server_version").strip(), flush=True)
    moves = []
    try:
        for follow, name, schema, elsewhere in ((beside, "schema", "aponta_sefaz", False), (beside, "elsewhere", "aponta_sefaz", True),
                                                (in_our_own_schema, "own", SCHEMA, False)):
            started = time.monotonic()
            moves.append(Move(base, cluster, binary, name, schema, elsewhere=elsewhere))
            follow(moves[-1])
            print(f"ok {name}: the runbook holds, {time.monotonic() - started:.0f} s", flush=True)
    finally:
        for move in moves:
            move.close()
        cluster.stop()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
