"""A move on a database of its own: the two services, nginx in front of one of them, and the commands of the runbook."""

import contextlib
import json
import pathlib
import re
import signal
import urllib.error
import urllib.request

import proxies
from harness.process import Process, children, free_port, run
from harness.wait import wait_until
from old_service import MINUTES, OldService, fill

RUNBOOK = pathlib.Path(__file__).resolve().parents[2] / "deploy/README.md"
DOCKER = """#!/bin/bash
set -eu
case "$1 $2 $3" in
"compose exec -T") exec "${@:5}" ;;
"compose run --rm") exec aponta "${@:7}" ;;
"compose stop api") touch stop-api ;;
*) echo "docker: $*" >&2; exit 1 ;;
esac
"""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(port, path):
    """The status and the body of a response."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    try:
        with OPENER.open(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def steps(chapter):
    """The commands and the ways back of the table under a heading of the chapter, by their number."""
    text = RUNBOOK.read_text().split(f"\n### {chapter}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = (line.strip("|").split(" | ") for line in text.splitlines() if re.match(r"\| \d", line))
    code = lambda cell: re.findall(r"`([^`]+)`", cell)  # noqa: E731
    return {int(row[0]): (code(row[1]) + code(row[2]), code(row[3]) if len(row) > 3 else []) for row in rows}


def facts(answer):
    """What must be the same in the answers of both services: ids, names and totals, not the order of lists."""
    if isinstance(answer, list):
        return sorted(map(facts, answer), key=lambda item: item.get("id") or item.get("external_id") or item["nome"])
    if not isinstance(answer, dict):
        return answer
    kept = {"items", "total", "nome", "ativo", "criado_por", "work_item_id", "duracao", "data_apontamento", "comentario", "usuario_id",
            "usuario_nome", "atividade", "projetos", "total_horas", "total_apontamentos", "por_atividade", "por_usuario", "external_id"}
    if "external_id" not in answer and not re.fullmatch(r"Projeto \d+", answer.get("nome", "")):
        kept.add("id")
    # The new service calls a project by its GUID, which the old one gave as external_id.
    return {key: facts(value) for key, value in answer.items() if key in kept}


class Move:
    """One move on a database of its own: the old service, the new one, and nginx in front of one of them."""

    def __init__(self, base, cluster, binary, name, schema, *, elsewhere):
        self.base, self.cluster, self.binary, self.name = base / name, cluster, binary, name
        self.base.mkdir()
        self.bin = self.base / "bin"
        self.bin.mkdir()
        (self.bin / "docker").write_text(DOCKER)
        (self.bin / "docker").chmod(0o755)
        (self.bin / "aponta").symlink_to(binary)
        self.database, self.old_database = name, f"{name}_old" if elsewhere else name
        for database in {self.database, self.old_database}:
            cluster.sql(f"CREATE DATABASE {database}")
        cluster.sql(fill(schema, 600, projects=5, activities=12, work_items=8, entries_per_person=150), self.old_database)
        self.old, self.schema = OldService(cluster, self.old_database, schema), schema
        self.old_port, self.port = self.old.start(), free_port()
        self.environment = {
            "PATH": f"{self.bin}:{cluster.programs}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.base), "ENVIRONMENT": "development",
            "AUTH_ENABLED": "false", "API_HOST": "127.0.0.1", "API_PORT": str(self.port), "DATABASE_URL": cluster.url(self.database), "LOG": "warn"}
        self.service = None
        self.nginx = proxies.start_nginx(self.base, self.old_port)
        if elsewhere:
            (self.base / "url").write_text(cluster.url(self.old_database))
        self.source = f"@{self.base}/url" if elsewhere else schema

    def run(self, command, *, check=True):
        """Runs a command of the runbook. Only what depends on the host is filled in."""
        for text, value in (("SOURCE", self.source), ("…", self.cluster.url(self.old_database)), ("/dev/shm", str(self.base))):
            command = command.replace(text, value)
        if command.split()[0] in ("ALTER", "DROP"):
            return self.cluster.sql(command, self.database)
        if command == "scripts/deploy.sh":
            return self.start()
        done = run("bash", "-euc", command, check=check, env=self.environment, cwd=self.base, seconds=120)
        if (self.base / "stop-api").exists():
            (self.base / "stop-api").unlink()
            self.stop()
        return done

    def start(self):
        self.service = Process(f"aponta {self.name}", [self.binary, "serve"], self.base / "log", env=self.environment, cwd=self.base)

        def is_ready():
            self.service.check_running()
            with contextlib.suppress(OSError):
                return get(self.port, "/health")[0] == 200
            return False

        wait_until("the start of the service", is_ready, 60, log=self.service.log)

    def stop(self):
        if self.service:
            self.service.stop()
            self.service = None

    def switch(self, before, after):
        """Sends users to another port, as an operator does who edits the configuration of nginx."""
        file = self.base / "nginx/configuration"
        assert f"127.0.0.1:{before};" in file.read_text()
        file.write_text(file.read_text().replace(f"127.0.0.1:{before};", f"127.0.0.1:{after};"))
        # Workers with the former configuration accept connections for a moment.
        workers = set(children(self.nginx.process.pid))
        self.nginx.process.send_signal(signal.SIGHUP)
        wait_until("other workers of nginx", lambda: workers.isdisjoint(children(self.nginx.process.pid)), 30, log=self.nginx.process.log)
        assert (get(self.nginx.port, "/") == (200, {"service": "old"})) is (after == self.old_port)

    def requests(self):
        """The requests of clients: every list, and each resource and work item."""
        ids = lambda sql: self.old.sql(sql).split()  # noqa: E731
        yield from ("/api/v1/projetos", "/api/v1/atividades")
        yield from (f"/api/v1/atividades/{one}" for one in ids("SELECT id FROM atividades"))
        yield from (f"/api/v1/apontamentos/{one}" for one in ids("SELECT id FROM apontamentos ORDER BY id LIMIT 10"))
        # The entries of a work item are all of one project, under its GUID or its local id.
        for item in ids("SELECT DISTINCT work_item_id FROM apontamentos"):
            project = ids(f"""SELECT min(p.external_id::text) FROM apontamentos e JOIN projetos p ON e.project_id IN (p.id::text, p.external_id::text)
                              WHERE work_item_id = {item}""")[0]
            query = f"organization_name=exemplo&project_id={project}"
            yield f"/api/v1/apontamentos/work-item/{item}?{query}&limit=1000"
            yield f"/api/v1/apontamentos/work-item/{item}/resumo?{query}"

    def record(self):
        """What users see through nginx."""
        answers = {path: get(self.nginx.port, path) for path in self.requests()}
        assert all(status == 200 for status, _ in answers.values()), answers
        return {path: facts(answer) for path, (_, answer) in answers.items()}

    def totals(self):
        """The minutes by project, by person and by month, from the old tables."""
        keys = {"projeto": "(SELECT external_id FROM projetos p WHERE e.project_id IN (p.id::text, p.external_id::text))", "usuario": "usuario_id",
                "mes": "to_char(data_apontamento, 'YYYY-MM')"}
        return {by: dict(line.split("\t") for line in self.old.sql(f"SELECT {key}, sum({MINUTES}) FROM apontamentos e GROUP BY 1").splitlines())
                for by, key in keys.items()}

    def check_new(self, port, recorded, totals):
        """The new service gives the recorded answers, and the same totals."""
        for path, expected in recorded.items():
            status, answer = get(port, path)
            found = prune(facts(answer), expected)
            assert status == 200 and expected and found == expected, (path, status, expected, found)
        for by, expected in totals.items():
            report = get(port, f"/api/v1/relatorios/horas?agrupar={by}&de=2022-01-01&ate=2026-12-31")[1]
            name = {"projeto": "id_projeto", "usuario": "usuario_id", "mes": "mes"}[by]
            found = {key_of(line, by, name): str(line["minutos"]) for line in report["linhas"]}
            assert found == expected, (by, found, expected)

    def close(self):
        self.nginx.process.stop()
        self.stop()
        self.old.stop()


def key_of(line, by, name):
    """The key of a line of a report, which has an object or a text."""
    key = line.get(by, line.get(name))
    return key["id"] if isinstance(key, dict) else key


def prune(found, expected):
    """Leaves out the fields that only the new service has."""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [prune(one, other) for one, other in zip(found, expected)]
    if isinstance(expected, dict) and isinstance(found, dict):
        return {key: prune(value, expected[key]) for key, value in found.items() if key in expected}
    return found
