"""Moves a database to PostgreSQL 17 and 18 with upgrade-postgres.sh, and the backups with it; docker_stub.py stands in for docker.

usage: upgrade.py APONTA_BINARY CLIENTS COMPOSE PGBACKREST

CLIENTS is a site-packages with the client programs of the newer versions, COMPOSE the program docker-compose, PGBACKREST one that
knows these versions.
"""

import os
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness import process  # noqa: E402
from harness.newer_postgres import install_programs  # noqa: E402
from harness.postgres import find_programs  # noqa: E402
from harness.process import Process, free_port  # noqa: E402
from harness.wait import wait_until  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
APONTA, CLIENTS, COMPOSE, PGBACKREST = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-upgrade-"))
DEPLOY, STACK = WORK / "deploy", WORK / "stack"
VOLUMES = STACK / "volumes"
SETTINGS = "SERVER_NAME=api.exemplo.br\nAZURE_DEVOPS_ORG_URL=https://dev.azure.com/exemplo\nCOMPOSE_FILE=compose.yml:backup/compose.yml\n"
ENVIRONMENT = {
    "PATH": f"{WORK}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(WORK), "STACK": str(STACK), "COMPOSE": str(COMPOSE), "PGPORT": str(free_port()),
    "BACKUP_METRICS": str(STACK / "backup.prom"), "PGBACKREST_CONFIG_PATH": f"{STACK}/etc", "PGBACKREST_LOCK_PATH": f"{STACK}/lock",
    "PGBACKREST_REPO1_PATH": f"{STACK}/repo1", "PGBACKREST_PG1_SOCKET_PATH": str(STACK), "PGBACKREST_PG1_USER": "aponta",
    "PGBACKREST_PG1_DATABASE": "aponta",
}
ENVIRONMENT["PGBACKREST_PG1_PORT"] = ENVIRONMENT["PGPORT"]
READY = "the service is down meanwhile"


def docker(*arguments, **options):
    return process.run("docker", *arguments, env=ENVIRONMENT, cwd=DEPLOY, **options)


def script(name, *arguments, check=True, **environment):
    return process.run(str(DEPLOY / "scripts" / name), *arguments, check=check, env={**ENVIRONMENT, **environment}, seconds=300)


def compose(*arguments, **options):
    return docker("compose", "--project-directory", str(DEPLOY), "--file", str(DEPLOY / "compose.yml"), "--file",
                  str(DEPLOY / "backup/compose.yml"), *arguments, **options)


def sql(text):
    return compose("exec", "-T", "postgres", "psql", "-U", "aponta", "-d", "aponta", "-XAtqc", text).stdout.strip()


def write_settings(version=None):
    (DEPLOY / ".env").write_text(SETTINGS + (f"POSTGRES_VERSION={version}\n" if version else ""))
    (DEPLOY / ".env").chmod(0o600)


def lay_out():
    """A clone with secrets, and the programs of each version where the user of the server can run them."""
    shutil.copytree(REPOSITORY / "deploy", DEPLOY, ignore=shutil.ignore_patterns("secrets", "certs", "state", "local", ".env"))
    for directory in (WORK / "bin", DEPLOY / "secrets", VOLUMES, STACK / "programs", STACK / "repo1", STACK / "lock"):
        directory.mkdir(parents=True)
    shutil.copy(REPOSITORY / "tests/backup/docker_stub.py", WORK / "bin/docker")
    (STACK / "programs/15").symlink_to(find_programs().parent)
    for version in ("17", "18"):
        install_programs(version, CLIENTS, STACK)
    shutil.copytree(REPOSITORY / "deploy/backup/bin", STACK / "bin")
    for program in (PGBACKREST, APONTA):
        shutil.copy(program, STACK / "bin" / program.name)
    for name in ("postgres_password", "database_password"):
        (DEPLOY / "secrets" / name).write_text("segredo\n")
    (DEPLOY / "secrets/backup.conf").write_text(f"[global]\nrepo1-cipher-pass={'m' * 32}\n")
    for file in (DEPLOY / "secrets").iterdir():
        file.chmod(0o600)
    process.run(STACK / "bin/aponta-configure", REPOSITORY / "deploy/backup/pgbackrest.conf", DEPLOY / "secrets/backup.conf", STACK / "etc")
    WORK.chmod(0o755)
    for path in (STACK, STACK / "repo1", STACK / "lock"):
        shutil.chown(path, "postgres", "postgres")


def create():
    """A stack of PostgreSQL 15 with the schema of the service, rows and a backup."""
    write_settings()
    for service in ("postgres", "api", "backup"):
        compose("up", "--detach", "--no-deps", service)
    roles = (DEPLOY / "scripts/roles.sql").read_text()
    compose("exec", "-T", "postgres", "psql", "-U", "aponta", "-d", "aponta", "-XAtq", "-v", "schema=api_aponta", "-v", "api_password=segredo", input=roles)
    url = f"postgresql://aponta_api@/aponta?host={STACK}&port={ENVIRONMENT['PGPORT']}"
    environment = {"PATH": ENVIRONMENT["PATH"], "DATABASE_URL": url, "ENVIRONMENT": "development", "AUTH_ENABLED": "false"}
    process.run(APONTA, "migrate", "up", env=environment)
    sql("""
        INSERT INTO api_aponta.projetos (id, nome, criado_em, atualizado_em) SELECT gen_random_uuid(), 'Projeto ' || n, now(), now() FROM generate_series(1, 500) n;
        INSERT INTO api_aponta.atividades (id, nome, ativo, id_projeto, criado_por, criado_em, atualizado_em)
        SELECT gen_random_uuid(), 'Atividade ' || p.nome, true, p.id, 'maria@exemplo.br', now(), now() FROM api_aponta.projetos p, generate_series(1, 4);
    """)
    script("backup.sh", "full")


def content():
    """A hash of the rows of each table, their owners, and what a client may do."""
    tables = sql("SELECT tablename FROM pg_tables WHERE schemaname = 'api_aponta' ORDER BY 1").split()
    assert "atividades" in tables and len(tables) > 5, tables
    rows = [sql(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM api_aponta.{table} t") for table in tables]
    owners = sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'api_aponta'")
    indexes = sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'api_aponta'")
    return list(zip(tables, rows, strict=True)), owners, indexes


def server_version():
    return sql("SHOW server_version_num")[:2]


def running():
    return compose("ps", "api", "postgres", "backup").stdout.split()


def wrong_use_is_refused():
    for version, arguments, message in ((None, ["--yes"], "nothing to do"), (17, [], READY), (17, ["--yes", "x"], "there is no argument x")):
        write_settings(version)
        done = script("upgrade-postgres.sh", *arguments, check=False)
        assert done.returncode == 1 and message in done.stderr and server_version() == "15", (version, done)
    assert "from PostgreSQL 15 to 17" in script("upgrade-postgres.sh", "--dry-run").stdout
    print("ok wrong use of upgrade-postgres.sh is refused", flush=True)


def failed_step_restores_the_former_version(before):
    write_settings(17)
    # The dump, the roles of the new cluster, the rows, and what follows them.
    for step in ("postgres pg_dump", "-v schema=", "postgres pg_restore", "-c ANALYZE"):
        done = script("upgrade-postgres.sh", "--yes", check=False, FAILS=step)
        assert done.returncode == 1 and "PostgreSQL 15 serves as before" in done.stdout, (step, done)
        assert (server_version(), content(), running()) == ("15", before, ["postgres", "api", "backup"]), step
        assert [volume.name for volume in VOLUMES.iterdir()] == ["aponta_postgres_data"] and not (DEPLOY / "state/upgrade-postgres").exists(), step
    print("ok a failed step restores PostgreSQL 15", flush=True)


def interrupted_run_begins_again(before):
    """The script is killed while the dump is restored, as by a power failure."""
    killed = Process("upgrade-postgres.sh", [str(DEPLOY / "scripts/upgrade-postgres.sh"), "--yes"], WORK / "killed.log",
                     env={**ENVIRONMENT, "HANGS": "pg_restore"})
    wait_until("the restore of the dump", (STACK / "hangs").exists, 120, log=killed.log)
    killed.kill_tree()
    assert server_version() == "17" and running() == ["postgres"]
    done = script("upgrade-postgres.sh", "--yes", "--dry-run")
    assert "from PostgreSQL 15 to 17" in done.stdout, done
    done = script("upgrade-postgres.sh", "--yes")
    assert "the last run was interrupted" in done.stdout and (server_version(), content()) == ("17", before), done
    print("ok an interrupted run begins again", flush=True)


def backups_follow(version):
    """The backups continue with the new version, and nothing offers those of the former one for a restore."""
    info = compose("exec", "-T", "backup", "pgbackrest", "--stanza=aponta", "info").stdout
    assert f"db (current)\n        wal archive min/max ({version})" in info, info
    sql("CREATE TABLE api_aponta.depois AS SELECT 1 AS n")
    script("backup.sh", "incr")
    # Of the former version, which stays in the repository.
    done = script("restore.sh", "--yes", "--to", "2026-01-01 00:00:00+00", check=False)
    assert done.returncode == 1 and "the oldest backup is of" in done.stderr, done
    sql("DROP TABLE api_aponta.depois")


def moves_on(source, target, before):
    write_settings(target)
    done = script("upgrade-postgres.sh", "--yes")
    assert f"PostgreSQL {target} serves" in done.stdout and (server_version(), content()) == (str(target), before), done
    assert running() == ["postgres", "api", "backup"] and (DEPLOY / f"local/postgres-{source}.dump").stat().st_mode & 0o077 == 0
    assert "nothing to do" in script("upgrade-postgres.sh", "--yes", check=False).stderr
    backups_follow(target)
    print(f"ok moved from PostgreSQL {source} to {target}, and the backups with it", flush=True)


def dump_without_the_script_is_not_overwritten():
    """The operator restores a dump into a newer cluster by hand; the backups name what continues them."""
    write_settings(18)
    compose("stop", "postgres")
    compose("up", "--detach", "--no-deps", "postgres")
    done = script("backup.sh", check=False)
    assert done.returncode == 1 and "repository 1 has the backups of another database, PostgreSQL 15; this one is PostgreSQL 18" in done.stderr, done
    assert "backup.sh stanza-upgrade" in done.stderr and "restore.sh --repository 1 first" not in done.stderr, done
    assert "deploy with PostgreSQL 15, then restore.sh" in done.stderr, done
    done = script("restore.sh", "--yes", check=False)
    assert done.returncode == 1 and "the backups are of PostgreSQL 15 and this stack is of 18" in done.stderr and server_version() == "18", done
    script("backup.sh", "stanza-upgrade")
    script("backup.sh", "incr")
    print("ok a dump without the script is not overwritten", flush=True)


def remove():
    compose("stop", "postgres", check=False)
    for name in ("volumes", "repo1"):
        shutil.rmtree(STACK / name)
        (STACK / name).mkdir()
        shutil.chown(STACK / name, "postgres", "postgres")
    for file in (STACK / "state.json", STACK / "backup.prom"):
        file.unlink(missing_ok=True)


def main():
    lay_out()
    create()
    before = content()
    wrong_use_is_refused()
    failed_step_restores_the_former_version(before)
    interrupted_run_begins_again(before)
    backups_follow(17)
    moves_on(17, 18, before)
    remove()
    create()
    moves_on(15, 18, content())
    remove()
    create()
    dump_without_the_script_is_not_overwritten()
    print("upgrade: all checks passed")


# A bound of CI ends the test with SIGTERM; its servers would go on.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    main()
except BaseException:
    if (STACK / "postgres.log").exists():
        print("--- postgres.log", (STACK / "postgres.log").read_text(errors="replace")[-4000:], sep="\n", file=sys.stderr)
    raise
finally:
    for pid_file in VOLUMES.glob("*/postmaster.pid"):
        os.kill(int(pid_file.read_text().split("\n")[0]), signal.SIGQUIT)
    shutil.rmtree(WORK, ignore_errors=True)
