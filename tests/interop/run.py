"""Client libraries through proxies, feature by feature, against `aponta serve`: the matrix of docs/compatibility.md.

usage: run.py BINARY TOOLS

BINARY is aponta. TOOLS has the Python of the clients. With UPDATE_DOCS=1 the document is written, otherwise compared.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import proxies  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.process import Process, free_port, run  # noqa: E402
from harness.wait import wait_until  # noqa: E402

DOCUMENT = HERE.parents[1] / "docs/compatibility.md"
FEATURES = ["keep-alive", "gzip", "HEAD", "Expect", "CSV", "ETag", "Idempotency-Key", "cancellation"]
# A client sends 40 requests for the feature keep-alive, and curl starts anew for each of its others.
MOST_CONNECTIONS = 40
POSTS = 1000


class Forwarder:
    """Counts the connections to a port."""

    def __init__(self, target):
        self.target, self.connections = target, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self.target))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
            return
        # A reset is passed on as a close.
        with contextlib.suppress(OSError):
            target.close()

    def close(self):
        self.listener.close()


class Service:
    """`aponta serve` without authentication, on a database of its own."""

    def __init__(self, binary, base, cluster, name, **settings):
        self.port = free_port()
        directory = base / name
        directory.mkdir()
        cluster.sql(f"CREATE DATABASE {name}")
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "ENVIRONMENT": "development", "AUTH_ENABLED": "false",
            "API_HOST": "127.0.0.1", "API_PORT": str(self.port), "DATABASE_URL": cluster.url(name), "LOG": "warn"} | settings
        self.process = Process(name, [binary, "serve"], directory / "log", env=environment, cwd=directory)

    def is_ready(self):
        self.process.check_running()
        with contextlib.suppress(OSError):
            return self.get("/health") is not None
        return False

    def get(self, path, data=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as response:
            return json.load(response)


def build_clients(base, python):
    """Returns the command and the version of each client."""
    go = base / "go-client"
    environment = os.environ | {"HOME": str(base), "GOCACHE": str(base / "go-cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    run("go", "build", "-o", go, HERE / "clients/client.go", env=environment, seconds=180)
    run("javac", "-d", base / "java", HERE / "clients/Client.java", seconds=120)
    node, source = HERE / "clients/node/client.mjs", HERE / "clients"
    axios = json.loads((HERE / "clients/node/node_modules/axios/package.json").read_text())["version"]
    pip = dict(line.split("==") for line in run(python, "-m", "pip", "freeze").stdout.split())
    versions = {
        "curl": run("curl", "--version").stdout.split()[1],
        "Node": run("node", "--version").stdout.strip().lstrip("v"),
        "Java": run("java", "--version").stdout.split()[1],
        "Go": run("go", "version").stdout.split()[2].removeprefix("go"),
    }
    return {
        "curl": ([sys.executable, source / "curl_client.py"], versions["curl"]),
        "requests": ([python, source / "python_client.py", "requests"], pip["requests"]),
        "httpx": ([python, source / "python_client.py", "httpx"], pip["httpx"]),
        "Node fetch": (["node", node, "fetch"], versions["Node"]),
        "axios": (["node", node, "axios"], axios),
        "Java HttpClient": (["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", base / "java", "Client"], versions["Java"]),
        "Go net/http": ([go], versions["Go"]),
    }


def cells(command, port):
    """Runs all features of a client against a port. Returns the result of each."""
    forwarder = Forwarder(port)
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    base = f"http://127.0.0.1:{forwarder.port}"
    try:
        done = run(*command, base, *FEATURES, seconds=150, env=environment, check=False)
    finally:
        forwarder.close()
    results = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    if results.get("keep-alive") == "ok" and MOST_CONNECTIONS <= forwarder.connections:
        results["keep-alive"] = f"failed: {forwarder.connections} connections"
    return {feature: results.get(feature, f"failed: no result, {done.stderr[-300:]}") for feature in FEATURES}


def lost_posts(service, clients):
    """Each stack sends 1,000 POSTs that ask for h2c. Returns how many of them are not stored, by client."""
    commands = {"requests": clients["requests"][0], "axios": clients["axios"][0], "java": clients["Java HttpClient"][0]}
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    for name, command in commands.items():
        done = run(*command, f"http://127.0.0.1:{service.port}", "upgrade", seconds=150, env=environment, check=False)
        assert done.stdout == "upgrade ok\n", (name, done.stdout, done.stderr[-2000:])
    stored = [projeto["nome"] for projeto in service.get("/api/v1/projetos") if projeto["nome"].startswith("upgrade-")]
    lost = {name: POSTS - sum(nome.startswith(f"upgrade-{name}-") for nome in stored) for name in commands}
    assert len(set(stored)) == len(stored), "a request was stored twice"
    return lost


def check_root_path(service, nginx):
    """Behind nginx, under a prefix that it removes and under one that it leaves in the path."""
    base = f"http://127.0.0.1:{nginx.port}/{service}"
    headers = run("curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", "--json", '{"nome":"Prefixo"}', f"{base}/api/v1/projetos").stdout
    location = next(line.split(": ")[1] for line in headers.splitlines() if line.lower().startswith("location: "))
    assert location.startswith(f"/{service}/api/v1/projetos/"), location
    follow = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "--fail"]
    assert json.loads(run(*follow, f"http://127.0.0.1:{nginx.port}{location}").stdout)["nome"] == "Prefixo"
    spec = json.loads(run(*follow, f"{base}/openapi.json").stdout)
    assert spec["servers"][0]["url"] == f"/{service}", spec["servers"]
    info = json.loads(run(*follow, f"{base}/api/v1").stdout)
    for page in (info["docs"], info["redoc"]):
        html = run(*follow, f"http://127.0.0.1:{nginx.port}{page}").stdout
        script = html.split('<script defer src="')[1].split('"')[0]
        assert run(*follow, "-o", "/dev/null", f"http://127.0.0.1:{nginx.port}{page.rpartition('/')[0]}/{script}").returncode == 0


VERSIONS = "Versions of the run that wrote this page: "


def without_versions(text):
    return [line for line in text.splitlines() if not line.startswith(VERSIONS)]


def document(matrix, versions, lost):
    """The matrix in Markdown."""
    lines = [
        "# Compatibility", "",
        "`./tests/run.sh --interop` sends the requests of this page and compares its result with it. The suite runs in CI.", "",
        "Each cell is one client library through one proxy. `8/8` means that all features work: keep-alive (40 requests on one",
        "connection), gzip, HEAD, `Expect: 100-continue`, CSV, `ETag` with `If-None-Match` and `If-Match`, `Idempotency-Key`, and",
        "requests that the client cancels.", "",
    ]
    paths = list(next(iter(matrix.values())))
    lines += ["| Client | " + " | ".join(paths) + " |", "|---" * (len(paths) + 1) + "|"]
    notes = {}
    for client, row in matrix.items():
        texts = []
        for results in row.values():
            works = sum(result == "ok" for result in results.values())
            other = {feature: result for feature, result in results.items() if result != "ok"}
            for feature, result in other.items():
                notes.setdefault((client, feature, result))
            texts.append(f"{works}/{len(results)}" + (" *" if other else ""))
        lines.append(f"| {client} | " + " | ".join(texts) + " |")
    lines += [""] + [f"\\* {client}, {feature}: {result}." for client, feature, result in notes]
    lines += ["", VERSIONS + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."]
    lines += ["", f"Upgrades: {POSTS:,} POSTs with `Upgrade: h2c` from each of three stacks, 8 at once; lost requests: "
              + ", ".join(f"{name} {count}" for name, count in lost.items()) + ".", "",
              "Root path: `API_ROOT_PATH` behind nginx, which removes the prefix or leaves it in the path.", "",
              "Not run: .NET and PowerShell. Debian has no package of them, and the suite installs from Debian, PyPI and npm only.", ""]
    return "\n".join(lines)


def main():
    binary, python = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).absolute() / "bin/python"
    base = pathlib.Path(tempfile.mkdtemp(prefix="aponta-interop-"))
    os.chmod(base, 0o755)
    started = time.monotonic()
    processes = []
    try:
        database = base / "postgres"
        database.mkdir()
        cluster = Cluster(database, settings={"fsync": "off"})
        cluster.give_to_server(database)
        cluster.initialize()
        cluster.start()
        processes.append(cluster)
        service = Service(binary, base, cluster, "matriz")
        prefixed = {prefix: Service(binary, base, cluster, prefix, API_ROOT_PATH=f"/{prefix}") for prefix in ("aponta", "inteiro")}
        processes += [one.process for one in (service, *prefixed.values())]
        clients = build_clients(base, python)
        for one in (service, *prefixed.values()):
            wait_until("the start of the service", one.is_ready, 90, log=one.process.log)
        projeto = service.get("/api/v1/projetos", json.dumps({"nome": "Portal"}).encode())["id"]
        items = [{"nome": f"Atividade {n}", "descricao": "a" * 500, "id_projeto": projeto} for n in range(500)]
        service.get("/api/v1/atividades/lote", json.dumps({"items": items}).encode())
        front = proxies.start_all(base, service.port)
        processes += [proxy.process for proxy in front]
        paths = {"direct": service.port} | {proxy.name: proxy.port for proxy in front}
        with ThreadPoolExecutor(2) as pool:
            runs = {(client, path): pool.submit(cells, command, port)
                    for client, (command, _) in clients.items() for path, port in paths.items()}
            matrix = {client: {path: runs[client, path].result() for path in paths} for client in clients}
        failed = [(client, path, feature, result) for client, row in matrix.items() for path, results in row.items()
                  for feature, result in results.items() if result.startswith("failed")]
        for cell in failed:
            print("FAILED", *cell)
        lost = lost_posts(service, clients)
        for prefix, one in prefixed.items():
            (base / prefix / "nginx").mkdir()
            nginx = proxies.start_nginx(base / prefix / "nginx", one.port)
            processes.append(nginx.process)
            check_root_path(prefix, nginx)
        versions = {name: version for name, (_, version) in clients.items()} | proxies.versions()
        print(f"{sum(len(results) for row in matrix.values() for results in row.values())} cells in {time.monotonic() - started:.0f} s:", versions)
        assert not failed and not any(lost.values()), (len(failed), lost)
        text = document(matrix, versions, lost)
        if os.environ.get("UPDATE_DOCS"):
            DOCUMENT.write_text(text)
        assert without_versions(DOCUMENT.read_text()) == without_versions(text), "docs/compatibility.md is old: UPDATE_DOCS=1 writes it anew"
    finally:
        for process in reversed(processes):
            with contextlib.suppress(Exception):
                process.stop()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.SubprocessError as error:
        sys.exit(str(error))
