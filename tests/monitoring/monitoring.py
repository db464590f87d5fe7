"""Tests deploy/monitoring: the rules, and that a running service exports each metric that a rule or a panel uses.

usage: monitoring.py DIRECTORY     DIRECTORY has the unpacked programs of Debian's packages
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import alertmanager  # noqa: E402
from harness.postgres import Cluster, find_programs  # noqa: E402
from harness.process import Process, free_port, run  # noqa: E402
from harness.wait import wait_until  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MONITORING = REPOSITORY / "deploy/monitoring"
ROOT = pathlib.Path(sys.argv[1]).resolve()
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-monitoring-"))
ALERTS = (MONITORING / "prometheus/rules/alerts.yml").read_text()
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/aponta.json").read_text())
BACKUPS = [REPOSITORY / "deploy/backup/bin" / name for name in ("aponta-backup", "pgbackrest-archive")]


def program(name):
    return str(next(path for path in (ROOT / "usr/bin" / name, ROOT / "usr/sbin" / name) if path.exists()))


def files_are_valid():
    prometheus = MONITORING / "prometheus"
    run(program("promtool"), "check", "config", "prometheus.yml", cwd=prometheus)
    run(program("promtool"), "test", "rules", *sorted(str(path) for path in (prometheus / "tests").glob("*.yml")), cwd=prometheus)
    run(program("amtool"), "check-config", str(MONITORING / "alertmanager/alertmanager.yml"))
    for labels, receiver in (("severity=warning", "email"), ("severity=critical", "pagerduty,slack,email"), ("alertname=Watchdog", "none")):
        routed = run(program("amtool"), "config", "routes", "test", f"--config.file={MONITORING}/alertmanager/alertmanager.yml", labels).stdout
        assert routed.strip() == receiver, (labels, routed)
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"]) and len(panels) > 20
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels) and all(panel["title"] and panel["targets"] for panel in panels)
    print("ok the files are valid and the tests of the rules pass", flush=True)


def alerts_are_tested_and_documented():
    tests = "\n".join(path.read_text() for path in (MONITORING / "prometheus/tests").glob("*.yml"))
    manual = (REPOSITORY / "docs/operations.md").read_text()
    alerts = re.findall(r"alert: (\w+)", ALERTS)
    assert len(alerts) >= 15, alerts
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +eval_time: \S+\n +exp_alerts:", tests), f"no test has {alert} firing"
        quiet = re.search(rf"{{alertname: {alert}, eval_time: \S+}}", tests)
        assert quiet or alert == "Watchdog", f"no test has {alert} not firing"
        assert re.search(rf"^### {alert}$", manual, re.MULTILINE), f"docs/operations.md has no chapter {alert}"
        assert f"docs/operations.md#{alert.lower()}\n" in ALERTS, f"{alert} links no chapter"
    print(f"ok {len(alerts)} alerts are tested and documented", flush=True)


def expressions():
    rules = "\n".join(path.read_text() for path in sorted((MONITORING / "prometheus/rules").glob("*.yml")))
    for match in re.finditer(r"^( +)expr: (.*)\n((?:\1  .*\n)*)", rules, re.MULTILINE):
        yield match[3].replace("\n", " ") if match[2] == ">-" else match[2]
    for panel in DASHBOARD["panels"]:
        if panel["type"] not in ("row", "logs"):
            yield from (target["expr"] for target in panel["targets"])


def metrics(expression):
    """Returns the names in an expression that are neither functions nor keywords nor labels."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"{[^}]*}|\[[^]]*]", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    names = re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", text)
    return {name for name in names if name not in ("and", "or", "unless", "bool", "offset", "by", "without")
            and not re.search(rf"{re.escape(name)}\s*\(", text)}


# Metrics without a series before the first event. The values of `error_type` that expressions use are in these sources.
ON_DEMAND = {"db_client_operation_duration_seconds": "crates/adapters-postgres/src"}


def is_exported(selector):
    """Returns whether the selector finds a series, for metrics in `ON_DEMAND` with any error that the source has."""
    for metric, sources in ON_DEMAND.items():
        found = re.search(r'error_type!?="(\w*)"', selector)
        if selector.startswith(metric) and found:
            text = "".join(path.read_text() for path in (REPOSITORY / sources).rglob("*.rs"))
            assert not found[1] or f'"{found[1]}"' in text, f"{selector}: {sources} has no {found[1]}"
            selector = selector.replace(found[0], 'error_type=~".*"')
    return query(f"count({selector})")


def selectors(expression):
    """Yields the selectors of an expression with their labels, because a misspelt label finds nothing either."""
    for name in metrics(expression):
        for match in re.finditer(rf"(?<![\w:]){re.escape(name)}(?![\w:])(\s*{{[^}}]*}})?", expression):
            yield name + (match[1] or "")


PORTS = {name: free_port() for name in (
    "metrics", "nginx", "tls", "node", "postgres-exporter", "nginx-exporter", "blackbox", "prometheus", "alertmanager", "dead")}


@contextlib.contextmanager
def started(name, *command, **options):
    process = Process(name, command, WORK / f"{name}.log", cwd=WORK, **options)
    try:
        yield process
    finally:
        process.stop()


def shipped_settings():
    """Returns the settings that the compose stack gives to PostgreSQL."""
    command = re.search(r"^    command: \[postgres, (.*)]$", (REPOSITORY / "deploy/compose.yml").read_text(), re.MULTILINE)[1]
    settings = command.removeprefix("-c, ").split(", -c, ")
    backup = (REPOSITORY / "deploy/backup/compose.yml").read_text()
    assert all(f"      - {setting}\n" in backup for setting in settings), f"the command of the backups lacks one of {settings}"
    return dict(setting.split("=") for setting in settings)


@contextlib.contextmanager
def postgres():
    WORK.chmod(0o755)
    cluster = Cluster(WORK, superuser="aponta", settings={"fsync": "off", **shipped_settings()})
    cluster.initialize()
    cluster.start()
    try:
        # As in deploy.sh: the service and the exporter are no superusers.
        cluster.run("psql", "-XAtqd", cluster.url(), "-v", "schema=api_aponta", "-v", "api_password=a", "-v", "exporter_password=b",
                    "-f", REPOSITORY / "deploy/scripts/roles.sql")
        yield cluster.url(user="aponta_api"), cluster.url(user="aponta_exporter")
    finally:
        cluster.stop()


def nginx_configuration():
    """The status server for the exporter, as shipped, and one with a certificate."""
    shipped = (REPOSITORY / "deploy/nginx/sites/http.conf").read_text()
    status = re.search(r"^server \{\n    listen 8081;.*?^}\n", shipped, re.MULTILINE | re.DOTALL)[0]
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
        "/CN=api.exemplo", "-keyout", str(WORK / "key.pem"), "-out", str(WORK / "certificate.pem"))
    listen = f"listen 127.0.0.1:{PORTS['nginx']};"
    return (f"daemon off; pid {WORK}/nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n"
            f"client_body_temp_path {WORK}; proxy_temp_path {WORK}; fastcgi_temp_path {WORK}; uwsgi_temp_path {WORK}; scgi_temp_path {WORK};\n"
            f"{status.replace('listen 8081;', listen)}\nserver {{ listen 127.0.0.1:{PORTS['tls']} ssl;\n"
            f"ssl_certificate {WORK}/certificate.pem; ssl_certificate_key {WORK}/key.pem; return 444; }} }}\n")


def prometheus_configuration():
    """The shipped configuration with the addresses of this test and a shorter interval."""
    text = (MONITORING / "prometheus/prometheus.yml").read_text()
    changes = [("15s", "1s"), ("rules/*.yml", str(MONITORING / "prometheus/rules/*.yml")), ("alertmanager:9093", f"127.0.0.1:{PORTS['alertmanager']}"),
               ("dns_sd_configs: [{names: [api], type: A, port: 9464, refresh_interval: 10s}]", f'static_configs: [{{targets: ["127.0.0.1:{PORTS["metrics"]}"]}}]'),
               ("node-exporter:9100", f"127.0.0.1:{PORTS['node']}"), ("postgres-exporter:9187", f"127.0.0.1:{PORTS['postgres-exporter']}"),
               ("nginx-exporter:9113", f"127.0.0.1:{PORTS['nginx-exporter']}"), ("nginx:8443", f"127.0.0.1:{PORTS['tls']}"),
               ("blackbox-exporter:9115", f"127.0.0.1:{PORTS['blackbox']}"), ("localhost:9090", f"127.0.0.1:{PORTS['prometheus']}")]
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


def query(expression):
    parameters = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['prometheus']}/api/v1/query?{parameters}", timeout=10) as response:
        return json.load(response)["data"]["result"]


def request(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    outgoing = urllib.request.Request(base + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(outgoing, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return error.code


def make_traffic(base):
    projeto = request(base, "POST", "/api/v1/projetos", {"nome": "Portal"})["id"]
    for n in range(5):
        request(base, "POST", "/api/v1/atividades", {"nome": f"A {n}", "id_projeto": projeto})
        request(base, "GET", "/api/v1/atividades")
        request(base, "GET", "/nada")
    # Fails, because nothing listens on the address of Azure DevOps.
    request(base, "POST", "/api/v1/integracao/sincronizar")


def write_backup_metrics():
    """Writes the metrics of the backups under the names in their sources."""
    names = [name for script in BACKUPS for name in re.findall(r"^(aponta_backup_\w+)", script.read_text(), re.MULTILINE)]
    (WORK / "textfiles").mkdir()
    lines = "".join(f"{name} {int(time.time())}\n" for name in dict.fromkeys(names))
    (WORK / "textfiles/backup.prom").write_text(lines)


@contextlib.contextmanager
def running_stack():
    write_backup_metrics()
    (WORK / "nginx.conf").write_text(nginx_configuration())
    (WORK / "prometheus.yml").write_text(prometheus_configuration())
    with contextlib.ExitStack() as stack:
        url, monitor = stack.enter_context(postgres())
        for name, command, environment in (
            ("aponta", (os.environ["APONTA_BIN"], "serve"), {
                "ENVIRONMENT": "development", "AUTH_ENABLED": "false", "API_HOST": "127.0.0.1", "API_PORT": "0", "DATABASE_URL": url,
                "METRICS_PORT": str(PORTS["metrics"]), "AZURE_DEVOPS_ORG_URL": f"http://127.0.0.1:{PORTS['dead']}/exemplo",
                "AZURE_DEVOPS_PAT": "a" * 52, "DATABASE_REPLICA_URLS": f"postgresql://aponta_api@127.0.0.1:{PORTS['dead']}/aponta",
                "REDIS_URL": f"redis://127.0.0.1:{PORTS['dead']}", "SHARED_KEY": "k" * 32}),
            ("nginx", (program("nginx"), "-p", WORK, "-c", WORK / "nginx.conf", "-e", "stderr"), {}),
            ("node", (program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['node']}",
                      f"--collector.textfile.directory={WORK}/textfiles"), {}),
            ("postgres-exporter", (program("prometheus-postgres-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['postgres-exporter']}"),
             {"DATA_SOURCE_NAME": f"{monitor}?sslmode=disable", "PG_EXPORTER_EXTEND_QUERY_PATH": f"{MONITORING}/postgres/queries.yml"}),
            ("nginx-exporter", (program("prometheus-nginx-exporter"), f"-web.listen-address=127.0.0.1:{PORTS['nginx-exporter']}",
                                f"-nginx.scrape-uri=http://127.0.0.1:{PORTS['nginx']}/stub_status", "-nginx.retries=50"), {}),
            ("blackbox", (program("prometheus-blackbox-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['blackbox']}",
                          f"--config.file={MONITORING}/blackbox/blackbox.yml"), {}),
            ("alertmanager", alertmanager.command(ROOT, f"--config.file={MONITORING}/alertmanager/alertmanager.yml", f"--storage.path={WORK}/alertmanager",
                                                  f"--web.listen-address=127.0.0.1:{PORTS['alertmanager']}"), {}),
            ("prometheus", (program("prometheus"), f"--config.file={WORK}/prometheus.yml", f"--storage.tsdb.path={WORK}/tsdb",
                            f"--web.listen-address=127.0.0.1:{PORTS['prometheus']}"), {}),
        ):
            stack.enter_context(started(name, *command, env={"PATH": os.environ["PATH"], **environment}))
        yield url


def api_address():
    log = WORK / "aponta.log"
    return wait_until("the start of aponta", lambda: re.search(r"listening on (http://\S+)", log.read_text()), 60, log=log.read_text)[1]


def statements_show_no_values(url):
    """Sends values in statements of several kinds as the service, and searches the exported texts for them."""
    secret = "s3gredo"
    for text in (f"SELECT '{secret}', 731592", f"CREATE TEMP TABLE t AS SELECT '{secret}' AS t", f"COPY (SELECT '{secret}') TO STDOUT",
                 f"DO $$ BEGIN PERFORM '{secret}'; END $$", f"SET application_name = '{secret}'", f"ALTER ROLE aponta_api PASSWORD '{secret}'",
                 f"PREPARE p AS SELECT '{secret}'; EXECUTE p"):
        run(find_programs() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text, url)
    stored = run(find_programs() / "psql", "-XAtqc", "SELECT query FROM pg_stat_statements", url).stdout
    assert "SELECT $1, $2" in stored and secret not in stored and "731592" not in stored, stored
    exported = query("pg_top_statements_calls_total")
    assert any("apontamentos" in each["metric"]["query"] or "atividades" in each["metric"]["query"] for each in exported), exported
    assert len(exported) <= 20 and all(len(each["metric"]["query"]) <= 120 for each in exported), exported
    print(f"ok {len(exported)} statements are exported, without values", flush=True)


def metrics_are_exported():
    wanted = {selector: expression for expression in expressions() for selector in selectors(expression)}
    assert len(wanted) > 30 and 'up{job="api"}' in wanted and 'aponta_syncs_total{outcome="error"}' in wanted, sorted(wanted)
    with running_stack() as url:
        base = api_address()
        deadline = time.monotonic() + 90
        make_traffic(base)
        missing = set(wanted)
        while missing:
            with contextlib.suppress(OSError):
                missing = {name for name in missing if not is_exported(name)}
            if missing and time.monotonic() > deadline:
                down = [target["metric"] for target in query("up == 0")]
                sys.exit("\n".join([f"{name} is not exported, but used in: {wanted[name]}" for name in sorted(missing)] + [f"down: {down}"]))
            time.sleep(1)
        for expression in expressions():
            query(expression)
        assert query('http_client_request_duration_seconds_count{error_type="unavailable"}'), "the failed call is not counted"
        firing = {alert["metric"]["alertname"] for alert in query('ALERTS{alertstate="firing"}')}
        assert firing == {"Watchdog"}, firing
        statements_show_no_values(url)
    print(f"ok all {len(wanted)} metrics of the rules and the dashboard are exported", flush=True)


try:
    files_are_valid()
    alerts_are_tested_and_documented()
    metrics_are_exported()
    print("monitoring: all checks passed")
except BaseException:
    for log in sorted(WORK.glob("*.log")):
        print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:], sep="\n", file=sys.stderr)
    raise
finally:
    shutil.rmtree(WORK, ignore_errors=True)
