"""The scripts of deploy on a host where something is missing: each fault is one sentence, and all of them are reported.

usage: operation.py COMPOSE; needs root. COMPOSE is the program docker-compose. No engine runs: docker_stub.sh stands in.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness.process import run  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-operation-"))
DEPLOY = WORK / "aponta/deploy"
COMPOSE = str(pathlib.Path(sys.argv[1]).resolve())
ALL_FILES = "compose.yml:backup/compose.yml:monitoring/compose.yml"
SETTINGS = f"SERVER_NAME=api.exemplo.br\nAZURE_DEVOPS_ORG_URL=https://dev.azure.com/exemplo\nCOMPOSE_FILE={ALL_FILES}\n"
# Each script with arguments that let it begin its work.
SCRIPTS = {"deploy.sh": ["v1"], "update.sh": [], "rollback.sh": ["v0"], "restore.sh": ["--yes"], "backup.sh": [], "status.sh": [],
           "doctor.sh": [], "upgrade-postgres.sh": ["--yes"]}
NO_ENGINE, NO_COMPOSE = "the Docker engine does not respond", "docker compose is not installed"


def script(name, *arguments, **environment):
    environment = {"PATH": f"{WORK}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(WORK), "COMPOSE": COMPOSE, "ABSENT": "", "MIN_FREE_MB": "0",
                   **environment}
    return run(str(DEPLOY / "scripts" / name), *(arguments or SCRIPTS[name]), check=False, seconds=60, env=environment)


def lay_out():
    """A clone with all settings, secrets and a certificate."""
    if DEPLOY.exists():
        shutil.rmtree(DEPLOY.parent)
    shutil.copytree(REPOSITORY / "deploy", DEPLOY, ignore=shutil.ignore_patterns("secrets", "certs", "state", "local", ".env"))
    for name in ("certs", "secrets"):
        (DEPLOY / name).mkdir()
    (DEPLOY / ".env").write_text(SETTINGS)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=origin",
        "-addext", "subjectAltName=DNS:api.exemplo.br", "-keyout", DEPLOY / "certs/origin.key", "-out", DEPLOY / "certs/origin.pem")
    for name in ("database_password", "grafana_password", "smtp_password", "slack_webhook"):
        (DEPLOY / "secrets" / name).write_text("segredo\n")
    (DEPLOY / "secrets/backup.conf").write_text(f"[global]\nrepo1-cipher-pass={'m' * 32}\n")
    (DEPLOY / "local/alertmanager").mkdir(parents=True)
    shipped = (DEPLOY / "monitoring/alertmanager/alertmanager.yml").read_text()
    (DEPLOY / "local/alertmanager/alertmanager.yml").write_text(shipped.replace("example.org", "exemplo.br"))
    for file in (DEPLOY / ".env", DEPLOY / "certs/origin.key", *(DEPLOY / "secrets").iterdir()):
        file.chmod(0o600)


def refused(done, *parts):
    """The script ended with 1 and named these faults, each in one line, without the trace of a program."""
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr and "unbound" not in done.stderr, done
    for part in parts:
        assert len([line for line in lines if part in line]) == 1, (part, done)
    # One line more: the end of deploy.sh.
    assert len(lines) <= len(parts) + 1, done


def missing_docker_is_one_sentence():
    lay_out()
    for name in SCRIPTS:
        refused(script(name, ABSENT="engine"), NO_ENGINE)
        refused(script(name, ABSENT="compose"), NO_COMPOSE)
    print("ok without an engine or compose each script says so", flush=True)


def settings_that_cannot_be_read_are_one_sentence():
    for text, message in (("A B\n", "line 4: key cannot contain a space"), ("LOG='info\n", "unterminated quoted value"),
                          ("COMPOSE_PROJECT_NAME=Um Dois\n", "invalid project name")):
        (DEPLOY / ".env").write_text(SETTINGS + text)
        for name in SCRIPTS:
            refused(script(name), message)
    (DEPLOY / ".env").unlink()
    for name in SCRIPTS:
        refused(script(name), ".env is missing", "SERVER_NAME is not set", "AZURE_DEVOPS_ORG_URL is not set")
    print("ok settings that cannot be read are one sentence", flush=True)


def deploy_reports_all_faults():
    lay_out()
    (DEPLOY / ".env").write_text(SETTINGS.replace("api.exemplo.br", "https://x") + "ORIGIN_GAURD=off\nAPI_REPLICAS=0\n")
    (DEPLOY / ".env").chmod(0o644)
    (DEPLOY / "certs/origin.pem").write_text("not a certificate\n")
    (DEPLOY / "secrets/database_password").write_text("")
    (DEPLOY / "secrets/smtp_password").unlink()
    refused(script("deploy.sh", ABSENT="engine"), NO_ENGINE, ".env may be read by others", "ORIGIN_GAURD", "API_REPLICAS is a number", "SERVER_NAME is a list",
            "origin.pem is not a certificate", "database_password is empty", "smtp_password is missing")
    (DEPLOY / ".env").write_text(SETTINGS + "ORIGIN_GAURD=off\nA B\n")
    refused(script("deploy.sh", ABSENT="engine"), NO_ENGINE, ".env may be read by others", "ORIGIN_GAURD", "key cannot contain a space")
    print("ok deploy.sh reports all faults", flush=True)


def status_reports_each_missing_part():
    lay_out()
    done = script("status.sh")
    found = [line for line in done.stdout.splitlines() if line.startswith("==> ")]
    assert done.returncode == 1 and not done.stderr, done
    for part in ("nginx does not run", "api does not run", "postgres does not run", "certificate: notAfter=", "there is no backup yet",
                 "the stack does not respond"):
        assert any(part in line for line in found), (part, done)
    now = int(time.time())
    success = f'aponta_backup_last_success_timestamp_seconds{{type="full"}} 5\naponta_backup_last_success_timestamp_seconds{{type="incr"}} {now - 7300}\n'
    for dropped, found in ((0, False), (now - 7400, False), (now, True)):
        done = script("status.sh", METRICS=success + (f"aponta_backup_wal_dropped_timestamp_seconds {dropped}\n" if dropped else ""))
        assert "backup: the last good one ended 2 h ago" in done.stdout and ("WAL was dropped" in done.stdout) == found, done
    (DEPLOY / "certs/origin.pem").unlink()
    done = script("status.sh")
    assert done.returncode == 1 and "origin.pem is missing or not a certificate" in done.stdout and "the stack does not respond" in done.stdout, done
    print("ok status.sh reports each missing part", flush=True)


def restore_without_readable_backups_stops_nothing():
    lay_out()
    empty = json.dumps([{"backup": [], "db": [], "name": "aponta", "status": {"code": 1, "message": "missing stanza path"}}])
    for info, message in (("", "the backups cannot be read"), ("ERROR: [056]", "the backups cannot be read"), ("[]", "there is no backup"),
                          (empty, "there is no backup")):
        refused(script("restore.sh", INFO=info), message)
    refused(script("restore.sh", "--yes", "--to"), "--to needs a value")
    refused(script("restore.sh", "--dry-run", "x"), "there is no argument x")
    print("ok restore.sh without readable backups stops nothing", flush=True)


def configuration(project):
    """Returns the configuration of the whole stack for a name of the project."""
    (DEPLOY / ".env").write_text(SETTINGS + (f"COMPOSE_PROJECT_NAME={project}\n" if project else ""))
    return json.loads(run(COMPOSE, "config", "--format", "json", cwd=DEPLOY, env={"PATH": "/usr/bin:/bin"}).stdout)


def stacks_of_two_projects_share_nothing():
    lay_out()
    first, second = configuration(None), configuration("outra")
    assert (first["name"], second["name"]) == ("aponta", "outra") and len(first["services"]) == 13, sorted(first["services"])
    networks, volumes = ([{part["name"] for part in stack[kind].values()} for stack in (first, second)] for kind in ("networks", "volumes"))
    images = [{service["image"] for service in stack["services"].values() if "build" in service} for stack in (first, second)]
    # Existing installations keep their names.
    assert networks[0] == {"aponta-network"} and images[0] == {"aponta-api:latest", "aponta-postgres:15"}, (networks, images)
    for of_first, of_second in (networks, volumes, images):
        assert of_second and of_first.isdisjoint(of_second), (of_first, of_second)
    assert not [service for service in first["services"].values() if "container_name" in service]
    alloy = (DEPLOY / "monitoring/alloy/config.alloy").read_text()
    assert '"com.docker.compose.project=" + sys.env("COMPOSE_PROJECT_NAME")' in alloy
    assert second["services"]["alloy"]["environment"]["COMPOSE_PROJECT_NAME"] == "outra"
    # The engine distinguishes bound files by the directory of the clone, and ports by their settings.
    changed = configuration("outra\nHTTP_PORT=8080\nHTTPS_PORT=8443\nGRAFANA_PORT=3001")
    ports = lambda stack: {port["published"] for service in stack["services"].values() for port in service.get("ports", [])}  # noqa: E731
    assert ports(first) == {"80", "443", "3000"} and ports(changed) == {"8080", "8443", "3001"}, (ports(first), ports(changed))
    print("ok the stacks of two projects share no network, volume, image or port", flush=True)


def hosts_without_a_database_run_no_postgres():
    """The overlay `hosts` drops PostgreSQL and whatever belongs to it; scripts that need it say so, and the others do without."""
    lay_out()
    for files in ("compose.yml:hosts/compose.yml", "compose.yml:monitoring/compose.yml:hosts/compose.yml"):
        hosts = SETTINGS.replace(ALL_FILES, files) + "DATABASE_HOST=10.0.0.1,10.0.0.2\nDATABASE_PORT=5433\n"
        (DEPLOY / ".env").write_text(hosts)
        stack = json.loads(run(COMPOSE, "config", "--format", "json", cwd=DEPLOY, env={"PATH": "/usr/bin:/bin"}).stdout)
        api = stack["services"]["api"]
        assert not [service for service in stack["services"] if "postgres" in service], sorted(stack["services"])
        assert "postgres_data" not in stack.get("volumes", {}) and "postgres_password" not in stack["secrets"] and "depends_on" not in api
        assert (api["environment"]["DATABASE_HOST"], api["environment"]["DATABASE_PORT"]) == ("10.0.0.1,10.0.0.2", "5433")
        assert "database_url" in [secret["source"] for secret in api["secrets"]], api["secrets"]
        done = script("deploy.sh", "--dry-run", "v1")
        assert done.returncode == 0 and "would run: judge_connections" in done.stdout and "postgres_password" not in done.stdout, done
    for name in ("backup.sh", "restore.sh", "upgrade-postgres.sh"):
        refused(script(name), "PostgreSQL runs elsewhere")
    done = script("status.sh")
    assert "api does not run" in done.stdout and "postgres does not run" not in done.stdout and not done.stderr, done
    (DEPLOY / ".env").write_text(hosts.replace("DATABASE_HOST=10.0.0.1,10.0.0.2\n", ""))
    refused(script("deploy.sh"), "hosts/compose.yml needs DATABASE_HOST in")
    print("ok hosts without a database run no PostgreSQL", flush=True)


def runbook_has_the_limits_of_memory():
    lay_out()
    rows = re.findall(r"^\| `(compose\S+)` \| (\d+) MB \|", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 4, rows
    for files, documented in rows:
        (DEPLOY / ".env").write_text(SETTINGS.replace(ALL_FILES, files))
        services = json.loads(run(COMPOSE, "config", "--format", "json", cwd=DEPLOY, env={"PATH": "/usr/bin:/bin"}).stdout)["services"]
        limits = [int(service["deploy"]["resources"]["limits"]["memory"]) * service["deploy"].get("replicas", 1) for service in services.values()]
        assert sum(limits) == int(documented) * 1024 * 1024, (files, documented, sum(limits) / 1024 / 1024)
    print("ok the runbook has the limits of memory", flush=True)


def project_of_another_clone_is_refused():
    lay_out()
    other = WORK / "outra/deploy"
    other.mkdir(parents=True)
    refused(script("deploy.sh", PROJECTS=f"{DEPLOY}\n{other}\n{other}\n"), f"the project aponta runs from {other}: set another COMPOSE_PROJECT_NAME")
    ports = [f"{name} {port} is in use by the container outra-nginx-1" for name, port in (("HTTP_PORT", 80), ("HTTPS_PORT", 443), ("GRAFANA_PORT", 3000))]
    refused(script("deploy.sh", PUBLISHER="outra outra-nginx-1"), *ports)
    # Containers of this clone, and of one that was moved here.
    for projects, publisher in ((f"{DEPLOY}\n", "aponta aponta-nginx-1"), (f"{WORK}/moved/deploy\n", "")):
        done = script("deploy.sh", "--dry-run", "v1", PROJECTS=projects, PUBLISHER=publisher)
        assert done.returncode == 0 and "would migrate" in done.stdout, done
    print("ok the project of another clone and its ports are refused", flush=True)


def data_of_another_postgresql_is_refused():
    lay_out()
    fifteen, seventeen = "aponta_postgres_data\n", "aponta_postgres_data\naponta_postgres_data_17\n"
    for version, volumes, message in (
        ("", "", None), ("", fifteen, None), ("17", "", None), ("17", seventeen, None), ("", "aponta_postgres_data_old\n", None),
        ("17", fifteen, "the data is of PostgreSQL 15: scripts/upgrade-postgres.sh moves it to 17"),
        ("18", seventeen, "the data is of PostgreSQL 17: scripts/upgrade-postgres.sh moves it to 18"),
        ("", seventeen, "the data is of PostgreSQL 17: set POSTGRES_VERSION=17"), ("16", seventeen, "the data is of PostgreSQL 17: set"),
        *((wrong, fifteen, "POSTGRES_VERSION is 16, 17 or 18, or unset") for wrong in ("15", "14", "17.2", "19", "17-alpine")),
    ):
        (DEPLOY / ".env").write_text(SETTINGS + f"POSTGRES_VERSION={version}\n")
        if message:
            refused(script("deploy.sh", VOLUMES=volumes), message)
        else:
            done = script("deploy.sh", "--dry-run", "v1", VOLUMES=volumes)
            assert done.returncode == 0, (version, volumes, done)
    (DEPLOY / "state").mkdir(exist_ok=True)
    (DEPLOY / "state/upgrade-postgres").write_text("15 17\n")
    (DEPLOY / ".env").write_text(SETTINGS + "POSTGRES_VERSION=17\n")
    refused(script("deploy.sh", VOLUMES=seventeen), "was interrupted: run scripts/upgrade-postgres.sh")
    print("ok data of another PostgreSQL is refused", flush=True)


def kept_files_suffice_on_a_bare_host():
    """A clone with exactly what the chapter names is complete, and nothing that it names is superfluous."""
    lay_out()
    chapter = (DEPLOY / "README.md").read_text().split("\n## What to keep elsewhere\n")[1].split("\n## ")[0]
    kept = re.findall(r"^- `deploy/([^`]+)`", chapter, re.MULTILINE)
    assert sorted(kept) == [".env", "certs/", "local/alertmanager/", "secrets/"], kept
    elsewhere = WORK / "elsewhere"
    shutil.copytree(DEPLOY, elsewhere)
    for forgotten in (None, *kept):
        shutil.rmtree(DEPLOY)
        shutil.copytree(REPOSITORY / "deploy", DEPLOY, ignore=shutil.ignore_patterns("secrets", "certs", "state", "local", ".env"))
        for name in kept:
            if name == forgotten:
                continue
            if name.endswith("/"):
                shutil.copytree(elsewhere / name, DEPLOY / name)
            else:
                shutil.copy2(elsewhere / name, DEPLOY / name)
        done = script("deploy.sh", "--dry-run", "v1")
        assert (done.returncode == 0 and "would migrate" in done.stdout) == (forgotten is None), (forgotten, done)
        assert forgotten is None or forgotten.rstrip("/") in done.stderr, (forgotten, done)
    print("ok what is kept elsewhere suffices on a bare host", flush=True)


def firewall(*arguments):
    """Runs firewall.sh, twice or with other arguments, on the rules of a network of its own. Returns these rules."""
    script_file = DEPLOY / "scripts/firewall.sh"
    steps = "\n".join(f"{script_file} {argument} >/dev/null" for argument in arguments)
    shell = (f"ip link set lo up; ip route add default dev lo; iptables -N DOCKER-USER; ip6tables -N DOCKER-USER; ip -6 route add default dev lo\n"
             f"iptables -A DOCKER-USER -s 203.0.113.9 -j DROP\n{steps}\niptables -S | sed 's/^/4 /'; ip6tables -S | sed 's/^/6 /'")
    environment = {"PATH": f"{WORK}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "COMPOSE": COMPOSE, "ABSENT": ""}
    return run("unshare", "--net", "bash", "-euc", shell, env=environment).stdout.splitlines()


def firewall_admits_cloudflare_only():
    lay_out()
    (DEPLOY / ".env").write_text(SETTINGS + "COMPOSE_PROJECT_NAME=um-nome-que-e-longo-demais\nHTTPS_PORT=8443\n")
    networks = [line.split()[1].rstrip(";") for line in (DEPLOY / "nginx/cloudflare.conf").read_text().splitlines() if line.startswith("set_real_ip_from")]
    once, twice = firewall(""), firewall("", "")
    assert once == twice and len(networks) > 14, "the second run changed the rules"
    chain = "aponta:um-nome-que-e-longo-d"
    for family, wanted in (("4", [n for n in networks if ":" not in n]), ("6", [n for n in networks if ":" in n])):
        rules = [line[2:] for line in once if line.startswith(f"{family} -A {chain}")]
        for port in (80, 8443):
            of_port = [rule for rule in rules if f"--ctorigdstport {port} " in rule]
            admitted = [rule.split(" -s ")[1].split()[0] for rule in of_port[:-1]]
            assert admitted == wanted and of_port[-1].endswith("-j DROP") and " -s " not in of_port[-1], (family, port, of_port)
        assert len(rules) == 2 * len(wanted) + 2, rules
        jump = f"{family} -A DOCKER-USER -i lo -m conntrack --ctstate NEW -j {chain}"
        assert once.count(jump) == 1, once
    # Rules of the operator remain, also after the removal.
    assert "4 -A DOCKER-USER -s 203.0.113.9/32 -j DROP" in once and firewall() == firewall("", "--remove") == firewall("--dry-run")
    print("ok the firewall admits CloudFlare only", flush=True)


def main():
    (WORK / "bin").mkdir()
    shutil.copy(REPOSITORY / "tests/scripts/docker_stub.sh", WORK / "bin/docker")
    missing_docker_is_one_sentence()
    settings_that_cannot_be_read_are_one_sentence()
    deploy_reports_all_faults()
    status_reports_each_missing_part()
    restore_without_readable_backups_stops_nothing()
    stacks_of_two_projects_share_nothing()
    hosts_without_a_database_run_no_postgres()
    runbook_has_the_limits_of_memory()
    project_of_another_clone_is_refused()
    data_of_another_postgresql_is_refused()
    firewall_admits_cloudflare_only()
    kept_files_suffice_on_a_bare_host()
    print("operation: all checks passed")


try:
    if os.geteuid() != 0:
        sys.exit("operation.py: only root can run the scripts")
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
