"""The monitoring of deploy/monitoring: its rules hold what they promise, and each metric that a rule or a panel uses is
there when Prometheus looks at a running service.

usage: monitoring.py DIRECTORY     where the programs of Debian's packages are unpacked
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MONITORING = REPOSITORY / "deploy/monitoring"
ROOT = pathlib.Path(sys.argv[1]).resolve()
BINARIES = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-monitoring-"))
ALERTS = (MONITORING / "prometheus/rules/alerts.yml").read_text()
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/aponta.json").read_text())
BACKUP = REPOSITORY / "deploy/backup/bin/aponta-backup"


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def program(name):
    return str(next(path for path in (ROOT / "usr/bin" / name, ROOT / "usr/sbin" / name) if path.exists()))


def the_files_are_right():
    prometheus = MONITORING / "prometheus"
    run(program("promtool"), "check", "config", "prometheus.yml", cwd=prometheus)
    run(program("promtool"), "test", "rules", *sorted(str(path) for path in (prometheus / "tests").glob("*.yml")), cwd=prometheus)
    run(program("amtool"), "check-config", str(MONITORING / "alertmanager/alertmanager.yml"))
    for labels, receiver in (("severity=warning", "email"), ("severity=critical", "email-and-slack"), ("alertname=Watchdog", "nobody")):
        routed = run(program("amtool"), "config", "routes", "test", f"--config.file={MONITORING}/alertmanager/alertmanager.yml", labels)
        assert routed.strip() == receiver, (labels, routed)
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"]) and len(panels) > 20
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels) and all(panel["title"] and panel["targets"] for panel in panels)
    print("ok the files are right and every rule's test passes", flush=True)


def every_alert_is_tested_and_explained():
    tests = "\n".join(path.read_text() for path in (MONITORING / "prometheus/tests").glob("*.yml"))
    manual = (REPOSITORY / "docs/operations.md").read_text()
    alerts = re.findall(r"alert: (\w+)", ALERTS)
    assert len(alerts) >= 15, alerts
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +eval_time: \S+\n +exp_alerts:", tests), f"{alert} is never seen firing"
        quiet = re.search(rf"{{alertname: {alert}, eval_time: \S+}}", tests)
        assert quiet or alert == "Watchdog", f"{alert} is never seen not firing"
        assert re.search(rf"^### {alert}$", manual, re.MULTILINE), f"docs/operations.md does not explain {alert}"
        assert f"docs/operations.md#{alert.lower()}\n" in ALERTS, f"{alert} names no chapter"
    print(f"ok {len(alerts)} alerts are tested and explained", flush=True)


def expressions():
    rules = "\n".join(path.read_text() for path in sorted((MONITORING / "prometheus/rules").glob("*.yml")))
    for match in re.finditer(r"^( +)expr: (.*)\n((?:\1  .*\n)*)", rules, re.MULTILINE):
        yield match[3].replace("\n", " ") if match[2] == ">-" else match[2]
    for panel in DASHBOARD["panels"]:
        if panel["type"] not in ("row", "logs"):
            yield from (target["expr"] for target in panel["targets"])


def metrics(expression):
    """The names in an expression that are neither functions nor words nor labels."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"{[^}]*}|\[[^]]*]", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    names = re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", text)
    return {name for name in names if name not in ("and", "or", "unless", "bool", "offset", "by", "without")
            and not re.search(rf"{re.escape(name)}\s*\(", text)}


# Of these there is no series before it happens, by this label, whose values are in these sources.
NOT_YET = {"db_client_operation_duration_seconds": ("outcome", "crates/adapters-postgres/src")}


def is_there(selector):
    """Asked with all its labels; but with any value of one that says what has not happened, where a source has that value."""
    for metric, (label, sources) in NOT_YET.items():
        found = re.search(rf'{label}!?="(\w+)"', selector)
        if selector.startswith(metric) and found:
            text = "".join(path.read_text() for path in (REPOSITORY / sources).rglob("*.rs"))
            assert f'"{found[1]}"' in text, f"{selector}: {sources} knows no {found[1]}"
            selector = selector.replace(found[0], f'{label}!=""')
    return ask(f"count({selector})")


def selectors(expression):
    """What an expression asks for, with its labels: a label that is misspelt finds nothing either."""
    for name in metrics(expression):
        for match in re.finditer(rf"(?<![\w:]){re.escape(name)}(?![\w:])(\s*{{[^}}]*}})?", expression):
            yield name + (match[1] or "")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


PORTS = {name: free_port() for name in (
    "postgres", "metrics", "nginx", "tls", "node", "postgres-exporter", "nginx-exporter", "blackbox", "prometheus", "dead")}


@contextlib.contextmanager
def started(name, *command, **options):
    with open(WORK / f"{name}.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=WORK, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def postgres():
    cluster = WORK / "cluster"
    cluster.mkdir()
    WORK.chmod(0o755)
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(cluster, "postgres", "postgres")
    run(BINARIES / "initdb", "-D", cluster, "--auth=trust", "--username=aponta", "--encoding=UTF8", "--locale=C.UTF-8", cwd=WORK, **who)
    with started("postgres", BINARIES / "postgres", "-D", cluster, "-p", str(PORTS["postgres"]), "-k", cluster,
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", **who):
        address = f"127.0.0.1:{PORTS['postgres']}/postgres"
        deadline = time.monotonic() + 60
        while subprocess.run([BINARIES / "pg_isready", "-q", "-d", f"postgresql://aponta@{address}"], check=False).returncode != 0:
            assert time.monotonic() < deadline, (WORK / "postgres.log").read_text()
            time.sleep(0.1)
        # As deploy.sh makes them: the service and the exporter are no superusers.
        run(BINARIES / "psql", "-XAtqd", f"postgresql://aponta@{address}", "-v", "schema=api_aponta", "-v", "api_password=a",
            "-v", "exporter_password=b", "-f", REPOSITORY / "deploy/scripts/roles.sql")
        yield f"postgresql://aponta_api@{address}", f"postgresql://aponta_exporter@{address}"


def nginx_configuration():
    """The server that the exporter asks, as it is shipped, and one with a certificate."""
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
    """The shipped one, with the addresses of this test and looking more often."""
    text = (MONITORING / "prometheus/prometheus.yml").read_text()
    changes = [("15s", "1s"), ("rules/*.yml", str(MONITORING / "prometheus/rules/*.yml")), ("alertmanager:9093", f"127.0.0.1:{PORTS['dead']}"),
               ("dns_sd_configs: [{names: [api], type: A, port: 9464, refresh_interval: 10s}]", f'static_configs: [{{targets: ["127.0.0.1:{PORTS["metrics"]}"]}}]'),
               ("node-exporter:9100", f"127.0.0.1:{PORTS['node']}"), ("postgres-exporter:9187", f"127.0.0.1:{PORTS['postgres-exporter']}"),
               ("nginx-exporter:9113", f"127.0.0.1:{PORTS['nginx-exporter']}"), ("nginx:8443", f"127.0.0.1:{PORTS['tls']}"),
               ("blackbox-exporter:9115", f"127.0.0.1:{PORTS['blackbox']}"), ("localhost:9090", f"127.0.0.1:{PORTS['prometheus']}")]
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


def ask(expression):
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['prometheus']}/api/v1/query?{query}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def request(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    question = urllib.request.Request(base + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(question, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code


def make_traffic(base):
    projeto = request(base, "POST", "/api/v1/projetos", {"nome": "Portal"})["id"]
    for n in range(5):
        request(base, "POST", "/api/v1/atividades", {"nome": f"A {n}", "id_projeto": projeto})
        request(base, "GET", "/api/v1/atividades")
        request(base, "GET", "/nada")
    # Nobody answers for Azure DevOps.
    request(base, "POST", "/api/v1/integracao/sincronizar")


def backups_note():
    """What aponta-backup writes, for names that it really writes."""
    names = re.findall(r"^(aponta_backup_\w+)", BACKUP.read_text(), re.MULTILINE)
    (WORK / "textfiles").mkdir()
    notes = "".join(f"{name} {int(time.time())}\n" for name in dict.fromkeys(names))
    (WORK / "textfiles/backup.prom").write_text(notes)


@contextlib.contextmanager
def everything():
    backups_note()
    (WORK / "nginx.conf").write_text(nginx_configuration())
    (WORK / "prometheus.yml").write_text(prometheus_configuration())
    with contextlib.ExitStack() as stack:
        url, monitor = stack.enter_context(postgres())
        for name, command, environment in (
            ("aponta", (os.environ["APONTA_BIN"], "serve"), {
                "ENVIRONMENT": "development", "AUTH_ENABLED": "false", "API_HOST": "127.0.0.1", "API_PORT": "0", "DATABASE_URL": url,
                "METRICS_PORT": str(PORTS["metrics"]), "AZURE_DEVOPS_ORG_URL": f"http://127.0.0.1:{PORTS['dead']}/exemplo",
                "AZURE_DEVOPS_PAT": "a" * 52}),
            ("nginx", (program("nginx"), "-p", WORK, "-c", WORK / "nginx.conf", "-e", "stderr"), {}),
            ("node", (program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['node']}",
                      f"--collector.textfile.directory={WORK}/textfiles"), {}),
            ("postgres-exporter", (program("prometheus-postgres-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['postgres-exporter']}"),
             {"DATA_SOURCE_NAME": f"{monitor}?sslmode=disable"}),
            ("nginx-exporter", (program("prometheus-nginx-exporter"), f"-web.listen-address=127.0.0.1:{PORTS['nginx-exporter']}",
                                f"-nginx.scrape-uri=http://127.0.0.1:{PORTS['nginx']}/stub_status", "-nginx.retries=50"), {}),
            ("blackbox", (program("prometheus-blackbox-exporter"), f"--web.listen-address=127.0.0.1:{PORTS['blackbox']}",
                          f"--config.file={MONITORING}/blackbox/blackbox.yml"), {}),
            ("prometheus", (program("prometheus"), f"--config.file={WORK}/prometheus.yml", f"--storage.tsdb.path={WORK}/tsdb",
                            f"--web.listen-address=127.0.0.1:{PORTS['prometheus']}"), {}),
        ):
            stack.enter_context(started(name, *command, env={"PATH": os.environ["PATH"], **environment}))
        yield


def address_of_the_api():
    deadline = time.monotonic() + 60
    while True:
        found = re.search(r"listening on (http://\S+)", (WORK / "aponta.log").read_text())
        if found:
            return found[1]
        assert time.monotonic() < deadline, (WORK / "aponta.log").read_text()
        time.sleep(0.1)


def every_metric_is_there():
    wanted = {selector: expression for expression in expressions() for selector in selectors(expression)}
    assert len(wanted) > 30 and 'up{job="api"}' in wanted and 'aponta_syncs_total{outcome="error"}' in wanted, sorted(wanted)
    with everything():
        base = address_of_the_api()
        deadline = time.monotonic() + 90
        make_traffic(base)
        missing = set(wanted)
        while missing:
            with contextlib.suppress(OSError):
                missing = {name for name in missing if not is_there(name)}
            if missing and time.monotonic() > deadline:
                down = [target["metric"] for target in ask("up == 0")]
                sys.exit("\n".join([f"{name} is nowhere, but used in: {wanted[name]}" for name in sorted(missing)] + [f"down: {down}"]))
            time.sleep(1)
        for expression in expressions():
            ask(expression)
        assert ask('azure_request_duration_seconds_count{outcome="unavailable"}'), "the call that failed is not counted"
        firing = {alert["metric"]["alertname"] for alert in ask('ALERTS{alertstate="firing"}')}
        assert firing == {"Watchdog"}, firing
    print(f"ok all {len(wanted)} metrics of the rules and the dashboard are there", flush=True)


try:
    the_files_are_right()
    every_alert_is_tested_and_explained()
    every_metric_is_there()
    print("monitoring: all checks passed")
except BaseException:
    for log in sorted(WORK.glob("*.log")):
        print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:], sep="\n", file=sys.stderr)
    raise
finally:
    shutil.rmtree(WORK, ignore_errors=True)
