"""nginx with the files of deploy/nginx, on addresses of its own in a network namespace.

usage: unshare --net --mount nginx.py ROOT

ROOT is a root file system that has nginx. Nothing of the host is touched: namespaces go with this process.
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import http2  # noqa: E402
from harness import request_smuggling  # noqa: E402
from harness.process import Process, run  # noqa: E402
from harness.wait import Deadline, wait_until  # noqa: E402

ROOT = pathlib.Path(sys.argv[1])
DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
# An address of CloudFlare, one of another network and that of the server, all on the loopback of this namespace.
CLOUDFLARE, OTHER_NETWORK, SERVER = "173.245.48.7", "203.0.113.9", "198.51.100.1"
CLOUDFLARE_IPV6, OTHER_NETWORK_IPV6, SERVER_IPV6 = "2606:4700:10::7", "2001:db8:9::9", "2001:db8:1::1"
# The names that are served. Raw requests use the short one, and the requests smuggled in them the last.
NAME, SHORT, SMUGGLED = "api.exemplo", "a", "localhost"
UPSTREAM = 9000
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-nginx-"))


def sh(*command, **options):
    return run(*command, **options).stdout


class Upstream(http.server.BaseHTTPRequestHandler):
    """A stand-in for the API. It returns what it received; some paths select a status or a delay."""

    protocol_version = "HTTP/1.1"
    connections = set()
    # Path, length and headers of each request.
    received = []

    def do_GET(self):
        self.connections.add(self.client_address)
        length = int(self.headers.get("Content-Length") or 0)
        self.received.append((self.path, length, dict(self.headers)))
        self.rfile.read(length)
        if self.path == "/hangs":
            time.sleep(90)
        if self.path.startswith("/pauses"):
            time.sleep(12)
        body = json.dumps({"path": self.path, "length": length, "headers": dict(self.headers)})
        if self.path == "/large":
            body = json.dumps({"pad": "a" * 5000})
        status = int(self.path.removeprefix("/status/")) if self.path.startswith("/status/") else 200
        if status >= 400:
            body = '{"detail":"da API","message":"da API"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("X-Request-ID", "id-da-api")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_):
        pass


class UpstreamServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Response:
    def __init__(self, printed):
        head, _, self.body = printed.rpartition("\r\n\r\n")
        lines = head.split("\r\n\r\n")[-1].split("\r\n")
        self.version, self.status = lines[0].split()[0], int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}

    def is_error(self, status, text):
        assert self.status == status, (self.status, self.body)
        assert json.loads(self.body) == {"detail": text, "message": text}, self.body
        assert self.headers["content-type"] == "application/json; charset=utf-8", self.headers
        assert self.headers["cache-control"] == "no-store" and self.headers["x-request-id"], self.headers
        return self


def curl(path, *options, source=CLOUDFLARE, server=SERVER, scheme="https", name=NAME, check=True):
    """Returns the response, or the exit code of curl where there is none."""
    command = ["curl", "-sik", "--max-time", "100", "--interface", source, "--resolve", f"*:443:{server}", "--resolve", f"*:80:{server}",
               *options, f"{scheme}://{name}{path}"]
    done = run(*command, check=False, text=False, errors=None)
    if done.returncode != 0:
        assert not check, (command, done)
        return done.returncode
    return Response(done.stdout.decode())


def certificate(name, *, directory):
    directory.mkdir(parents=True, exist_ok=True)
    key, pem = directory / f"{name}.key", directory / f"{name}.pem"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
       "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(pem))
    return pem, key


@contextlib.contextmanager
def nginx(*, guard="on", origin_pulls="off"):
    """Runs nginx with the files of deploy/nginx, except for the address of the API."""
    etc, aponta = ROOT / "etc/nginx", ROOT / "etc/aponta"
    for directory in (etc, aponta):
        shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(DEPLOY / "nginx", etc)
    upstream = (etc / "upstream.conf").read_text()
    upstream, n = re.subn(r"server api:8000 resolve", f"server 127.0.0.1:{UPSTREAM}", upstream)
    assert n == 1, upstream
    (etc / "upstream.conf").write_text(upstream)
    shutil.copytree(DEPLOY / f"nginx/guard/{guard}", aponta / "guard")
    shutil.copytree(DEPLOY / f"nginx/origin-pulls/{origin_pulls}", aponta / "origin-pulls")
    shutil.copytree(WORK / "certs", aponta / "certs")
    (ROOT / "var/cache/nginx").mkdir(parents=True, exist_ok=True)
    (WORK / "access.log").unlink(missing_ok=True)
    start = ["chroot", str(ROOT), "env", f"SERVER_NAME={NAME} {SHORT} {SMUGGLED}", "/etc/nginx/start.sh"]
    run(*start, "-t", "-q", seconds=60)
    with open(WORK / "error.log", "w", encoding="utf-8") as errors:
        process = Process("nginx", [*start, "-g", "daemon off;"], WORK / "access.log", stderr=errors)
    try:
        wait_until("the start of nginx", lambda: process.check_running() or listens(443), 30, log=(WORK / "error.log").read_text)
        yield process
    finally:
        # SIGTERM ends it without waiting for open connections.
        process.stop()


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection((SERVER, port), 1):
        return True
    return False


def log_lines():
    return [json.loads(line) for line in (WORK / "access.log").read_bytes().decode().splitlines()]


def tls_and_headers():
    response = curl("/api/v1?x=1", "--http2")
    assert response.version == "HTTP/2", response.version
    assert response.headers["strict-transport-security"].startswith("max-age=31536000")
    assert response.headers["x-frame-options"] == "DENY" and response.headers["server"] == "nginx"
    assert response.headers["referrer-policy"] == "no-referrer", response.headers
    assert curl("/", "--http1.1").version == "HTTP/1.1"
    for version, is_spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        raw = socket.create_connection((SERVER, 443), 5, source_address=(CLOUDFLARE, 0))
        try:
            with context.wrap_socket(raw, server_hostname=NAME):
                spoken = True
        except (ssl.SSLError, OSError):
            spoken = False
        assert spoken == is_spoken, version


def port_80_redirects():
    response = curl("/docs?a=1", "-H", "Host: api.exemplo", scheme="http")
    assert (response.status, response.headers["location"]) == (308, "https://api.exemplo/docs?a=1")
    assert "strict-transport-security" not in response.headers, "HSTS is for HTTPS"
    response = curl("/" + "a" * 9000, scheme="http").is_error(414, "O endereço da requisição é longo demais")
    assert "strict-transport-security" not in response.headers, "HSTS is for HTTPS"
    curl("/", "-H", "X-Long: " + "a" * 9000, scheme="http").is_error(431, "Os cabeçalhos da requisição são longos demais")


def other_networks_get_no_response():
    for scheme in ("http", "https"):
        for path in ("/", "/api/v1/atividades", "/nginx-health"):
            # The server closed the connection (52), reset it (56), or did so in HTTP/2 (92).
            spoof = ("-H", f"CF-Connecting-IP: {CLOUDFLARE}", "-H", f"X-Forwarded-For: {CLOUDFLARE}")
            assert curl(path, *spoof, source=OTHER_NETWORK, scheme=scheme, check=False) in (52, 56, 92), (scheme, path)


def ipv6_is_served_like_ipv4():
    """Networks of CloudFlare only, names of SERVER_NAME only, and the client address of the header."""
    ipv6 = {"source": CLOUDFLARE_IPV6, "server": SERVER_IPV6}
    headers = json.loads(curl("/", "-H", "CF-Connecting-IP: 2001:db8:77::5", **ipv6).body)["headers"]
    assert headers["X-Forwarded-For"] == "2001:db8:77::5", headers
    # Without the header, the connection itself is the client.
    assert json.loads(curl("/", **ipv6).body)["headers"]["X-Forwarded-For"] == CLOUDFLARE_IPV6
    assert curl("/docs", scheme="http", **ipv6).headers["location"] == f"https://{NAME}/docs"
    curl("/rejected", "-H", "Host: outra.exemplo", **ipv6).is_error(421, "Este servidor não responde por esse nome")
    curl("/rejected", "-H", "Host: outra.exemplo", scheme="http", **ipv6).is_error(421, "Este servidor não responde por esse nome")
    for scheme in ("http", "https"):
        spoof = ("-H", f"CF-Connecting-IP: {CLOUDFLARE_IPV6}", "-H", f"X-Forwarded-For: {CLOUDFLARE_IPV6}")
        assert curl("/", *spoof, source=OTHER_NETWORK_IPV6, server=SERVER_IPV6, scheme=scheme, check=False) in (52, 56, 92), scheme
    for name in ("outra.exemplo", None):
        output = handshake(name, source=f"[{CLOUDFLARE_IPV6}]", server=f"[{SERVER_IPV6}]")
        assert "unrecognized name" in output and "BEGIN CERTIFICATE" not in output, (name, output)


def without_ipv6_nginx_listens_on_ipv4():
    """Where the kernel has no IPv6, start.sh writes no line for it; a pattern in the files of nginx matches nothing."""
    start = ROOT / "etc/nginx/start.sh"
    script = start.read_text()
    assert script.count("/proc/net/if_inet6") == 1
    for file in (ROOT / "run").glob("ipv6-*.conf"):
        file.unlink()
    start.write_text(script.replace("/proc/net/if_inet6", "/proc/net/none"))
    command = ["chroot", str(ROOT), "env", f"SERVER_NAME={NAME}", "/etc/nginx/start.sh", "-T", "-q"]
    dump = run(*command, seconds=60).stdout
    assert "[::]" not in re.sub(r"#.*", "", dump), dump
    start.write_text(script)
    assert run(*command, seconds=60).stdout.count("listen [::]:") == 4


def handshake(name, *, source=CLOUDFLARE, server=SERVER, port=443):
    """Returns the output of openssl for a handshake with this name; None sends no name."""
    sni = ["-noservername"] if name is None else ["-servername", name]
    command = ["openssl", "s_client", "-connect", f"{server}:{port}", "-bind", f"{source}:0", *sni]
    done = run(*command, check=False, seconds=10, stdin=subprocess.DEVNULL)
    return done.stdout + done.stderr


def other_names_are_rejected():
    for source in (CLOUDFLARE, OTHER_NETWORK):
        for name in ("outra.exemplo", "x.api.exemplo", None):
            output = handshake(name, source=source)
            assert "unrecognized name" in output and "BEGIN CERTIFICATE" not in output, (source, name, output)
    assert "BEGIN CERTIFICATE" in handshake(NAME) and "BEGIN CERTIFICATE" in handshake(SHORT)
    # The blackbox exporter connects to this port for the certificate only.
    assert "BEGIN CERTIFICATE" in handshake("nginx", port=8443)
    assert curl("/", "--resolve", f"*:8443:{SERVER}", name=f"{NAME}:8443", check=False) in (52, 56)
    for version in ("--http1.1", "--http2"):
        for host in ("outra.exemplo", "x.api.exemplo", "api.exemplo.outra.exemplo", SERVER):
            response = curl("/rejected", version, "-H", f"Host: {host}")
            response.is_error(421, "Este servidor não responde por esse nome")
            assert response.headers["strict-transport-security"], response.headers
            assert curl("/rejected", version, "-H", f"Host: {host}", source=OTHER_NETWORK, check=False) in (52, 56, 92), host
    for host in ("Host: outra.exemplo", f"Host: {SERVER}"):
        curl("/rejected", "-H", host, scheme="http").is_error(421, "Este servidor não responde por esse nome")
    curl("/rejected", "--http1.0", "-H", "Host;", check=False, scheme="http").is_error(400, "A requisição não pode ser lida")
    # Other checks run at the same time, so this one has a path of its own.
    assert "/rejected" not in [path for path, *_ in Upstream.received], "a request for another name reached the API"
    time.sleep(2)
    for name in (NAME, SHORT, "API.Exemplo", f"{NAME}:443"):
        assert curl("/", name=name).status == 200, name
        assert curl("/", "-H", f"Host: {name}", scheme="http").headers["location"].startswith("https://a"), name


def client_address_comes_from_cloudflare():
    headers = json.loads(curl("/", "-H", "CF-Connecting-IP: 192.0.2.55", "-H", "X-Forwarded-For: 6.6.6.6").body)["headers"]
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "192.0.2.55", headers
    assert headers["X-Forwarded-Proto"] == "https" and "CF-Connecting-IP" not in headers, headers
    line = next(line for line in log_lines() if line["client"] == "192.0.2.55")
    assert line["request_id"] == "id-da-api" and line["status"] == "200" and line["tls"].startswith("TLSv1"), line


def request_id_is_the_same_in_both_logs():
    for sent, passed in (("um-id.do_cliente-1", True), ("um id", False), ("a" * 129, False), (None, False)):
        headers = json.loads(curl("/", *(["-H", f"X-Request-ID: {sent}"] if sent else [])).body)["headers"]
        assert (headers["X-Request-ID"] == sent) == passed and headers["X-Request-ID"], (sent, headers)
    # Where nginx responds itself, it returns the id that it generated or received.
    response = curl("/metrics", "-H", "X-Request-ID: meu-id")
    assert response.headers["x-request-id"] == "meu-id", response.headers


def access_log_is_json_for_every_request():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for sent in (b'GET /\xff\xfe"\\ HTTP/1.1\r\nHost: a\r\n', b'GET /agente HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff"\\\r\n',
                 b"\xff\r\n", b"GET /versao HTTP/9.9\r\nHost: a\r\n"):
        with socket.create_connection((SERVER, 443), 5, source_address=(CLOUDFLARE, 0)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
            tls.sendall(sent + b"Connection: close\r\n\r\n")
            with contextlib.suppress(OSError):
                while tls.recv(65536):
                    pass
    time.sleep(0.2)
    lines = log_lines()
    assert any(line["agent"] == "(not ASCII)" and line["path"] == "/agente" for line in lines), lines[-4:]
    assert all(line["status"].isdigit() and len(line["status"]) == 3 for line in lines)


def rare_errors_have_the_common_shape():
    curl("/nginx-health", "-H", 'If-Match: "x"').is_error(412, "A condição da requisição não é satisfeita")
    curl("/", "-X", "POST", "-H", "Transfer-Encoding: gzip", "--http1.1").is_error(501, "Forma de transferência não suportada")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((SERVER, 443), 5, source_address=(CLOUDFLARE, 0)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        tls.sendall(b"GET / HTTP/2.5\r\nHost: a\r\n\r\n")
        Response(tls.makefile("rb").read().decode()).is_error(505, "Versão do HTTP não suportada")


def upstream_can_be_replaced(process):
    """As scripts/nginx.sh does while replicas are replaced."""
    rollout = ROOT / "etc/nginx/rollout"
    rollout.mkdir()
    other = UpstreamServer(("127.0.0.1", UPSTREAM + 1), Upstream)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    (rollout / "upstream.conf").write_text(f"upstream rollout {{ server 127.0.0.1:{UPSTREAM + 1}; keepalive 32; }}")
    (rollout / "location.conf").write_text("set $replicas rollout;")
    process.send_signal(signal.SIGHUP)
    deadline = Deadline("requests to the new upstream", 10, lambda: str(log_lines()[-1]))
    while log_lines()[-1]["upstream"] != f"127.0.0.1:{UPSTREAM + 1}":
        deadline.check()
        assert curl("/api/v1?x=1%20", "-H", "CF-Connecting-IP: 192.0.2.61").status == 200
        time.sleep(0.2)
    assert Upstream.received[-1][0] == "/api/v1?x=1%20", "a name in a variable must not change the path"
    # As the scripts check it.
    assert json.loads(sh("curl", "-fsS", "http://127.0.0.1:8080/health"))["path"] == "/health"
    other.shutdown()


def connections_are_limited_per_client():
    """50 requests wait for the API, the next 10 get a 429. All stay below the rate limit. A /64 counts as one client."""
    clients = [lambda n: "192.0.2.71", lambda n: f"2001:db8:c::{n:x}"]
    with ThreadPoolExecutor(120) as pool:
        waiting = [[], []]
        for group in range(6):
            for client, responses in zip(clients, waiting, strict=True):
                responses += [pool.submit(curl, "/pauses", "-H", f"CF-Connecting-IP: {client(10 * group + n)}", check=False) for n in range(10)]
            if group < 5:
                time.sleep(1.1)
        for responses in waiting:
            statuses = [done.result().status for done in responses]
            assert (statuses.count(200), statuses.count(429)) == (50, 10), statuses


def parallel_statuses(path, *options, requests):
    """Sends these requests at once over HTTP/2, and returns the statuses."""
    done = sh("curl", "-sk", "--http2", "--parallel", "--parallel-immediate", "--parallel-max", "300", "--max-time", "100", "--interface", CLOUDFLARE,
              "--resolve", f"*:443:{SERVER}", *options, "--write-out", "%{http_code}\n", "--output", "/dev/null", f"https://{NAME}{path}?[1-{requests}]")
    statuses = [int(line) for line in done.split()]
    assert len(statuses) == requests, statuses
    return statuses


def callers_are_limited_by_a_flood_guard():
    """Of 450 requests with a credential that wait for the API, 400 are served. A /64 counts as one client."""
    for clients in (("192.0.2.72", "192.0.2.72"), ("2001:db8:d::1", "2001:db8:d::2")):
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(parallel_statuses, "/pauses", "-H", f"CF-Connecting-IP: {client}", "-H", f"Authorization: Basic {n}", requests=225)
                       for n, client in enumerate(clients)]
        statuses = [status for done in waiting for status in done.result()]
        assert (statuses.count(200), statuses.count(429)) == (400, 50), (clients, statuses.count(200), statuses.count(429))


def office_behind_one_address_is_served():
    """200 people send a request per second each, from one address of each kind. Then a stranger behind it has the limit of strangers."""
    people, seconds, connections = 200, 5, 20

    def send(number, address, start):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(NAME, timeout=60, context=context)
        connection._create_connection = lambda *_: socket.create_connection((SERVER, 443), 60, (CLOUDFLARE, 0))
        statuses = []
        with contextlib.closing(connection):
            for turn in range(seconds * people // connections):
                time.sleep(max(0, start + turn * connections / people - time.monotonic()))
                person = number * people // connections + turn % (people // connections)
                connection.request("GET", "/api/v1/atividades", headers={"CF-Connecting-IP": address, "Authorization": f"bearer {person}"})
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
        return statuses

    for address in ("192.0.2.201", "2001:db8:e::1"):
        with ThreadPoolExecutor(connections) as pool:
            start = time.monotonic()
            sent = [pool.submit(send, number, address, start) for number in range(connections)]
            statuses = [status for done in sent for status in done.result()]
        rate = len(statuses) / (time.monotonic() - start)
        assert statuses == [200] * people * seconds, {status: statuses.count(status) for status in set(statuses)}
        assert rate > 100, f"{rate:.0f} per second are no load"
        print(f"   {people} people behind {address}: {rate:.0f} requests per second, 0 refused", flush=True)
        assert_strangers(address)


def assert_strangers(address, *options):
    """Only a request with a credential of the API counts as that of a caller."""
    started = time.monotonic()
    statuses = parallel_statuses("/", "-H", f"CF-Connecting-IP: {address}", *options, requests=100)
    took = time.monotonic() - started
    assert set(statuses) == {200, 429} and 21 <= statuses.count(200) <= 22 + 10 * took, (options, statuses.count(200), took)


def other_headers_are_no_credential():
    for number, header in enumerate(("Cookie: session=1", "Authorization: Digest abc", "Authorization: Bearer", "Authorization: abc",
                                     "X-Azure-Access-Token: abc", "Proxy-Authorization: Bearer abc")):
        assert_strangers(f"198.18.1.{number}", "-H", header)


def slow_limits_are_configured():
    """Checks the limits that take long to observe in the configuration that nginx has parsed."""
    dump = sh("chroot", str(ROOT), "nginx", "-T", "-q")
    for directive in (
        "worker_shutdown_timeout 60s;", "client_header_timeout 10s;", "client_body_timeout 10s;", "send_timeout 10s;",
        "keepalive_timeout 30s;", "keepalive_min_timeout 5s;", "reset_timedout_connection on;", "proxy_connect_timeout 2s;",
        "proxy_read_timeout 60s;", "proxy_send_timeout 15s;", "proxy_next_upstream error timeout;", "proxy_next_upstream_tries 3;",
        "proxy_max_temp_file_size 0;", "keepalive 32;", "keepalive_timeout 4s;", "gzip_vary on;",
        "limit_req zone=strangers burst=20 nodelay;", "limit_req zone=callers burst=400 nodelay;", "zone=strangers:10m rate=10r/s;",
        "zone=callers:10m rate=400r/s;", "limit_conn stranger_connections 50;", "limit_conn caller_connections 400;",
        "ssl_session_tickets off;", "ssl_session_timeout 1d;", "ssl_prefer_server_ciphers on;", "server_tokens off;",
    ):
        assert directive in dump, directive
    zones = re.findall(r"^\s*limit_(?:req|conn)_zone (\S+)", dump, re.MULTILINE)
    assert zones == ["$stranger_network", "$caller_network"] * 2, "each limit applies per client network"


def failed_upstream_request_goes_to_another_replica(process):
    upstream = ROOT / "etc/nginx/upstream.conf"
    files = upstream.read_text()
    # Nothing listens on the first one.
    upstream.write_text(files.replace(f"server 127.0.0.1:{UPSTREAM}", f"server 127.0.0.1:1 max_fails=0;\n    server 127.0.0.1:{UPSTREAM}"))
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    for n in range(10):
        assert curl("/", "-X", "POST", "-d", "x", "-H", f"CF-Connecting-IP: 192.0.2.8{n}").status == 200
    assert any("," in line["upstream"] for line in log_lines()[-10:]), log_lines()[-10:]
    upstream.write_text(files)
    process.send_signal(signal.SIGHUP)
    time.sleep(1)


def without_the_guard_client_address_headers_are_ignored():
    headers = json.loads(curl("/", "-H", "CF-Connecting-IP: 192.0.2.55", source=OTHER_NETWORK).body)["headers"]
    assert headers["X-Forwarded-For"] == OTHER_NETWORK, headers
    curl("/", "-H", "Host: outra.exemplo", source=OTHER_NETWORK).is_error(421, "Este servidor não responde por esse nome")


def send_and_read(stream, sent):
    stream.sendall(sent)
    stream.settimeout(0.5)
    with contextlib.suppress(OSError):
        while stream.recv(65536):
            pass


def tls_exchange(sent):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((SERVER, 443), 5, source_address=(CLOUDFLARE, 0)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        send_and_read(tls, sent)


def is_received_and_logged(path):
    """Returns whether the API received a request, and whether nginx logged it."""
    return path in [path for path, *_ in Upstream.received], path in [line["path"] for line in log_lines()]


def http1_request_smuggling_is_impossible():
    """Sends requests with an ambiguous end. nginx has logged every request that reaches the API."""
    # nginx accepts a bare line feed as the end of a line, and so reads a chunk; it forwards no bare line feed.
    both = [*request_smuggling.PIPELINED, (["X: y\nTransfer-Encoding: chunked"], request_smuggling.BODIES[1])]
    tried = [(headers, body) for headers in request_smuggling.HEADERS for body in request_smuggling.BODIES] + both

    def send(number, headers, body):
        # Of the same length as the original, so that the lengths in the headers stay correct.
        smuggled = body.replace(b"/hidden", b"/hid%03d" % number)
        head = [f"POST /pair/{number} HTTP/1.1", "Host: a", f"CF-Connecting-IP: 192.0.2.{10 + number}", *headers, "", ""]
        return "\r\n".join(head).encode() + smuggled

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tls_exchange, (send(number, *pair) for number, pair in enumerate(tried))))
    # The control: sent to the API directly, so that nginx logs nothing.
    with socket.create_connection(("127.0.0.1", UPSTREAM), 5) as raw:
        send_and_read(raw, send(999, *request_smuggling.PIPELINED[0]))
    time.sleep(0.5)
    results = [is_received_and_logged(f"/hid{number:03d}") for number in range(len(tried))]
    assert is_received_and_logged("/hid999") == (True, False), "the control was not received, or was logged"
    for pair, (is_received, is_logged) in zip(tried, results, strict=True):
        assert is_received <= is_logged, f"the API received a request that nginx did not log: {pair}"
        assert pair in both or not is_logged, f"nginx found a second request: {pair}"
        assert pair not in request_smuggling.PIPELINED or is_received, f"the second request was not received: {pair}"


def http2_request_smuggling_is_impossible():
    """Sends wrong lengths, forbidden headers and line ends in values. The API receives one valid request or none."""
    smuggled = request_smuggling.SMUGGLED.decode()

    def send(number, *headers, data=None, **pseudo):
        pseudo = {"method": "POST", "path": f"/h2/{number}", "scheme": "https", "authority": "a"} | pseudo
        head = [(f":{name}", value) for name, value in pseudo.items()] + [("cf-connecting-ip", f"192.0.2.{60 + number}"), *headers]
        return http2.exchange(SERVER, CLOUDFLARE, NAME, head, data)

    assert send(0, ("content-length", "5"), data=b"hello") == 200
    assert [(path, length) for path, length, _ in Upstream.received if path.startswith("/h2/")] == [("/h2/0", 5)]
    for number, (headers, data, pseudo) in enumerate((
        ([("content-length", "5")], b"hello" + request_smuggling.SMUGGLED, {}),
        ([("content-length", "0")], request_smuggling.SMUGGLED, {}),
        ([("content-length", "50")], b"hello", {}),
        ([("content-length", "5"), ("content-length", "38")], b"hello" + request_smuggling.SMUGGLED, {}),
        ([("content-length", "+5")], b"hello", {}),
        ([("x-a", "b\r\nX-Injected: yes")], b"", {}),
        ([("x-a", "b\nX-Injected: yes")], b"", {}),
        ([("x-a", f"b\r\n\r\n{smuggled}")], b"", {}),
        ([("x-a", "b\0c")], b"", {}),
        ([("x-a\r\nx-injected", "yes")], b"", {}),
        ([("x-a: b\r\nx-injected", "yes")], b"", {}),
        ([("X-Upper", "yes")], b"", {}),
        ([], b"", {"path": f"/h2/x HTTP/1.1\r\nHost: a\r\n\r\n{smuggled}"}),
        ([], b"", {"path": "/h2/x y"}),
        ([], b"", {"method": "POST /hidden HTTP/1.1\r\nX-Injected:"}),
        ([], b"", {"authority": "a\r\nX-Injected: yes"}),
        ([], b"", {"scheme": "https\r\nX-Injected: yes"}),
        ([(":path", "/hidden")], b"", {}),
    ), 1):
        status = send(number, *headers, data=data, **pseudo)
        assert status == 400, (status, headers, pseudo)
    # The frames determine the length of a body. nginx does not forward this header.
    for number, coding in enumerate(("chunked", "identity", "gzip, chunked"), 30):
        assert send(number, ("transfer-encoding", coding), data=request_smuggling.BODIES[1]) == 200
    time.sleep(0.5)
    for path, length, headers in Upstream.received:
        if path in ("/h2/30", "/h2/31", "/h2/32"):
            assert length == len(request_smuggling.BODIES[1]) and "Transfer-Encoding" not in headers, (path, length, headers)
        else:
            assert path == "/h2/0" or not path.startswith("/h2/") and path != "/hidden", path
        assert not {"X-Injected", "X-Upper"} & headers.keys(), headers


def http2_serves_what_http1_serves():
    body = json.dumps({"nome": "A" * 100_000})
    response = curl("/api/v1/atividades", "--http2", "-X", "POST", "-H", "Content-Type: application/json", "-d", body)
    assert (response.version, response.status, json.loads(response.body)["length"]) == ("HTTP/2", 200, len(body))
    assert curl("/large", "--http2", "--compressed").status == 200
    assert curl("/status/503", "--http2").status == 503
    # Headers that have no place in HTTP/2 do not reach the API.
    response = curl("/", "--http2", "-H", "Connection: upgrade", "-H", "Upgrade: h2c", "-H", "Transfer-Encoding: chunked", check=False)
    assert isinstance(response, int) or response.status in (200, 400), response


def rate_is_limited_per_client():
    def burst(client):
        with ThreadPoolExecutor(30) as pool:
            return list(pool.map(lambda _: curl("/", "-H", f"CF-Connecting-IP: {client}"), range(150)))

    started = time.monotonic()
    responses = burst("192.0.2.1")
    took = time.monotonic() - started
    passed = sum(response.status == 200 for response in responses)
    # One, a burst of 20, and ten for each second that the handshakes took.
    assert 21 <= passed <= 22 + 10 * took, (passed, took)
    refused = next(response for response in responses if response.status == 429)
    refused.is_error(429, "Requisições demais; tente novamente em instantes")
    assert refused.headers["retry-after"] == "1", refused.headers
    assert curl("/", "-H", "CF-Connecting-IP: 192.0.2.2").status == 200, "another client has a rate of its own"


def rate_is_limited_per_ipv6_64():
    """300 addresses of one /64 share a limit. Other networks have limits of their own."""
    def burst(addresses):
        with ThreadPoolExecutor(30) as pool:
            return [response.status for response in pool.map(lambda address: curl("/", "-H", f"CF-Connecting-IP: {address}"), addresses)]

    started = time.monotonic()
    # The prefix has a byte that is a line feed, and the rest of the address ends with one or is all zeros.
    statuses = burst([f"2001:db8:a:10::{n:x}:{0xa if n % 2 else 0:x}" for n in range(300)])
    took = time.monotonic() - started
    assert set(statuses) == {200, 429} and 21 <= statuses.count(200) <= 22 + 10 * took, (statuses.count(200), took)
    # The neighbouring /64, networks that differ in one byte of the prefix, and as many IPv4 addresses of one /24.
    for others in ([f"2001:db8:a:{n:x}::1" for n in range(0x11, 0x2f)], [f"2001:db8:{n:x}:10::a" for n in range(0xb, 0x29)],
                   [f"198.18.0.{n}" for n in range(30)]):
        assert burst(others) == [200] * len(others), others


def body_size_is_limited():
    for bytes_, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
        (WORK / "body").write_bytes(b"a" * bytes_)
        for how in (["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "--http1.1"]):
            response = curl("/", "--data-binary", f"@{WORK / 'body'}", *how, "-H", "CF-Connecting-IP: 192.0.2.3")
            assert response.status == status, (bytes_, response.status)
            if status == 413:
                response.is_error(413, "O corpo da requisição ultrapassa 1 MiB")


def long_addresses_and_headers_are_refused():
    curl("/" + "a" * 9000, "--http1.1").is_error(414, "O endereço da requisição é longo demais")
    curl("/", "-H", "X-Long: " + "a" * 9000, "--http1.1").is_error(431, "Os cabeçalhos da requisição são longos demais")


def large_responses_are_compressed():
    assert curl("/large", "-H", "Accept-Encoding: gzip", "-o", "/dev/null", "-D", "-").headers["content-encoding"] == "gzip"
    assert curl("/large").headers["vary"] == "Accept-Encoding", "caches must store both variants"
    assert "content-encoding" not in curl("/large").headers
    assert "content-encoding" not in curl("/", "-H", "Accept-Encoding: gzip").headers


def connections_to_the_api_are_reused():
    before = len(Upstream.connections)
    for n in range(40):
        curl("/", "-H", f"CF-Connecting-IP: 192.0.2.{100 + n}")
    # Each worker keeps its own.
    assert len(Upstream.connections) - before <= 2 * os.cpu_count(), len(Upstream.connections) - before


def errors_of_the_api_are_forwarded():
    for status in (404, 422, 500, 503):
        response = curl(f"/status/{status}")
        assert (response.status, response.body) == (status, '{"detail":"da API","message":"da API"}')
        assert response.headers["x-request-id"] == "id-da-api"


def internal_paths_are_not_served():
    for path in ("/metrics", "/metrics/x", "/internal/a", "/errors/500"):
        curl(path).is_error(404, "Recurso não encontrado")
    assert curl("/nginx-health").body == "healthy\n"
    # Inside the container, for its health check.
    assert sh("curl", "-fsS", "http://127.0.0.1:8080/nginx-health") == "healthy\n"
    # Between containers, for the exporter; for clients it is a path of the API.
    assert sh("curl", "-fsS", "http://127.0.0.1:8081/stub_status").startswith("Active connections: ")
    assert "Active connections" not in curl("/stub_status", check=False).body


def slow_head_is_cut_off():
    started = time.monotonic()
    raw = socket.create_connection((SERVER, 80), 5, source_address=(CLOUDFLARE, 0))
    raw.settimeout(30)
    raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
    # The rest of the head never comes; nginx closes the connection after 10 s.
    # A timeout of 30 s is an error of this test.
    with contextlib.suppress(ConnectionResetError):
        while raw.recv(1000):
            pass
    assert time.monotonic() - started < 25


def hanging_api_is_a_504():
    response = curl("/hangs", "-H", "CF-Connecting-IP: 192.0.2.9")
    response.is_error(504, "O serviço não respondeu a tempo")
    assert response.headers["retry-after"] == "5"


def missing_api_is_a_502():
    response = curl("/")
    response.is_error(502, "Serviço indisponível no momento; tente novamente em instantes")
    assert response.headers["retry-after"] == "5" and response.headers["strict-transport-security"]


def create_runbook_authority():
    """The authority and the client certificate of the zone, by the commands of deploy/README.md."""
    chapter = (DEPLOY / "README.md").read_text().split("## Authenticated origin pulls")[1].split("\n## ")[0]
    directory = WORK / "pulls"
    directory.mkdir()
    sh("bash", "-euc", chapter.split("```sh\n")[1].split("```")[0], cwd=directory)
    shutil.copy(directory / "ca.pem", WORK / "certs/origin-pull-ca.pem")
    return directory / "client.pem", directory / "client.key"


def other_client_certificates_are_refused(client):
    pem, key = client
    curl("/").is_error(400, "A requisição não pode ser lida")
    assert curl("/", "--cert", str(pem), "--key", str(key)).status == 200
    other, other_key = certificate("other", directory=WORK / "other")
    curl("/", "--cert", str(other), "--key", str(other_key)).is_error(400, "A requisição não pode ser lida")


def authority_of_client_certificates_is_replaced(process, client):
    """As in the runbook: both authorities are in the file until CloudFlare uses the new certificate."""
    new = certificate("new", directory=WORK / "new")
    authorities = ROOT / "etc/aponta/certs/origin-pull-ca.pem"

    def statuses():
        responses = [curl("/", "--cert", str(pem), "--key", str(key), check=False) for pem, key in (client, new)]
        return [getattr(response, "status", None) for response in responses]

    for text, accepted in ((authorities.read_text() + new[0].read_text(), [200, 200]), (new[0].read_text(), [400, 200])):
        # A reload keeps what it has of a file with the same time of modification, which nginx compares in seconds.
        time.sleep(1.1)
        authorities.write_text(text)
        process.send_signal(signal.SIGHUP)
        # A worker of the former files may still respond, or close the connection.
        wait_until("the new authorities", lambda: statuses() == accepted, 30, interval=1, log=lambda: f"{statuses()}")


def cloudflare_lists_are_renewed():
    copy = WORK / "deploy"
    shutil.copytree(DEPLOY, copy)
    script = str(copy / "scripts/renew-cloudflare-ips.sh")

    def renew(v4, v6, *options):
        (WORK / "v4").write_text(v4)
        (WORK / "v6").write_text(v6)
        command = [script, *options, str(WORK / "v4"), str(WORK / "v6")]
        return run(*command, check=False)

    file = copy / "nginx/cloudflare.conf"
    kept = re.findall(r"^ +(\S+) 1;$", file.read_text(), re.M)
    assert kept == re.findall(r"^set_real_ip_from (\S+);$", file.read_text(), re.M) and len(kept) > 20
    v4, v6 = ([n for n in kept if (":" in n) == is_v6] for is_v6 in (False, True))
    assert "nothing changed" in renew("\n".join(v4), "\n".join(v6)).stdout
    before = file.read_text()
    # Empty, no list at all, too wide, private, too short, duplicates.
    for bad in ("", "<html>sorry</html>", "0.0.0.0/0\n" * 20, "10.0.0.0/8\n" * 20, "\n".join(v4[:9]), f"{v4[0]}\n" * 20):
        done = renew(bad, "\n".join(v6))
        assert done.returncode == 1 and "not written" in done.stderr, (bad, done)
        assert file.read_text() == before
    done = renew("\n".join(v4), "\n".join(v6[:3]))
    assert done.returncode == 1 and "only 3 networks of IPv6" in done.stderr, done
    unreachable = run(script, "http://127.0.0.1:1/v4", "http://127.0.0.1:1/v6", check=False)
    assert unreachable.returncode == 1 and "cannot be had" in unreachable.stderr and file.read_text() == before, unreachable
    assert "would write" in renew("\n".join(v4[:-1]), "\n".join(v6), "--dry-run").stdout and file.read_text() == before
    assert renew("\n".join(v4[:-1]), "\n".join(v6)).returncode == 0
    assert file.read_text() == before.replace(f"    {v4[-1]} 1;\n", "").replace(f"set_real_ip_from {v4[-1]};\n", "")
    done = renew("\n".join(v4[:10]), "\n".join(v6))
    assert done.returncode == 0, done
    few = "\n".join(f"8.{n}.0.0/16" for n in range(12))
    done = renew(few, "\n".join(v6))
    assert done.returncode == 1 and "--force" in done.stderr and "8.1.0.0" not in file.read_text(), done
    assert renew(few, "\n".join(v6), "--force").returncode == 0 and "8.1.0.0/16 1;" in file.read_text()
    assert [path.name for path in (copy / "nginx").glob("*.new")] == []


def drain_waits_for_old_workers():
    """Runs scripts/nginx.sh with a stub of docker. An engine that does not respond counts as not drained."""
    scripts = DEPLOY / "scripts"
    for stub, before, is_drained in (
        ("printf '%s\\n' 'PID COMMAND' '7 nginx: master process' '9 nginx: worker process'", "8", True),
        ("printf '%s\\n' '8 nginx: worker process is shutting down' '9 nginx: worker process'", "8", False),
        ("printf '%s\\n' '8 nginx: worker process'", "8", False),
        ("printf '%s\\n' '7 nginx: master process'", "8", False),
        ("return 1", "8", False),
    ):
        program = (f'set -euo pipefail; source {scripts}/lib.sh; source {scripts}/nginx.sh; nginx_container() {{ echo one; }}; '
                   f'sleep() {{ :; }}; docker() {{ [[ "$*" == "top one -eo pid,args" ]] && {stub}; }}; old_workers=({before}); wait_drained')
        done = run("bash", "-c", program, check=False)
        assert (done.returncode == 0) == is_drained, (stub, done)


def main():
    sh("ip", "link", "set", "lo", "up")
    for address in (CLOUDFLARE, OTHER_NETWORK, SERVER, *(f"192.0.2.{n}" for n in range(1, 3))):
        sh("ip", "address", "add", f"{address}/32", "dev", "lo")
    for address in (CLOUDFLARE_IPV6, OTHER_NETWORK_IPV6, SERVER_IPV6):
        sh("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    # nginx opens these inside of ROOT.
    for device in ("null", "urandom", "stdout", "stderr"):
        target = ROOT / "dev" / device
        target.unlink(missing_ok=True)
    sh("mount", "--bind", "/dev", str(ROOT / "dev"))
    sh("mount", "-t", "proc", "proc", str(ROOT / "proc"))
    certificate("origin", directory=WORK / "certs")
    client = create_runbook_authority()

    drain_waits_for_old_workers()
    cloudflare_lists_are_renewed()
    with nginx():
        missing_api_is_a_502()
    upstream = UpstreamServer(("127.0.0.1", UPSTREAM), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with nginx() as process, ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(check) for check in (hanging_api_is_a_504, slow_head_is_cut_off, connections_are_limited_per_client,
                                                 callers_are_limited_by_a_flood_guard)]
        for check in (
            tls_and_headers,
            port_80_redirects,
            other_networks_get_no_response,
            other_names_are_rejected,
            ipv6_is_served_like_ipv4,
            client_address_comes_from_cloudflare,
            body_size_is_limited,
            long_addresses_and_headers_are_refused,
            large_responses_are_compressed,
            connections_to_the_api_are_reused,
            errors_of_the_api_are_forwarded,
            internal_paths_are_not_served,
            http1_request_smuggling_is_impossible,
            http2_request_smuggling_is_impossible,
            http2_serves_what_http1_serves,
            rate_is_limited_per_client,
            rate_is_limited_per_ipv6_64,
            office_behind_one_address_is_served,
            other_headers_are_no_credential,
            request_id_is_the_same_in_both_logs,
            access_log_is_json_for_every_request,
            rare_errors_have_the_common_shape,
            slow_limits_are_configured,
        ):
            # Each has a rate limit of its own to use up.
            time.sleep(1)
            check()
            print(f"ok {check.__name__}", flush=True)
        for check in slow:
            check.result()
            print("ok", flush=True)
        for check in (failed_upstream_request_goes_to_another_replica, upstream_can_be_replaced):
            check(process)
            print(f"ok {check.__name__}", flush=True)
    without_ipv6_nginx_listens_on_ipv4()
    with nginx(guard="off"):
        without_the_guard_client_address_headers_are_ignored()
    with nginx(origin_pulls="on") as process:
        other_client_certificates_are_refused(client)
        authority_of_client_certificates_is_replaced(process, client)
    print("nginx: all checks passed")


try:
    main()
except BaseException:
    for name in ("error.log", "access.log"):
        if (WORK / name).exists():
            print(f"--- {name}", *(WORK / name).read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
    raise
finally:
    shutil.rmtree(WORK, ignore_errors=True)
