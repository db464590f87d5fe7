"""nginx with the very files of deploy/nginx, on addresses of its own in a network namespace.

usage: unshare --net --mount nginx.py ROOT

ROOT is a root file system that has nginx. Nothing of the host is touched: namespaces go with this process.
"""

import contextlib
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

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

import ambiguous  # noqa: E402
import http2  # noqa: E402

ROOT = pathlib.Path(sys.argv[1])
DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
# One of CloudFlare's addresses and one of nobody's, both on this namespace's loopback; so is the server.
CLOUDFLARE, STRANGER, SERVER = "173.245.48.7", "203.0.113.9", "198.51.100.1"
# The names that are served. Requests that are written byte for byte have the short one, and what is hidden in them the last.
NAME, SHORT, HIDDEN = "api.exemplo", "a", "localhost"
UPSTREAM = 9000
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-nginx-"))


def sh(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Upstream(http.server.BaseHTTPRequestHandler):
    """The API, as far as nginx sees it: it tells what it was sent, and is ill where it is asked to be."""

    protocol_version = "HTTP/1.1"
    connections = set()
    # Path, length and headers of each request.
    seen = []

    def do_GET(self):
        self.connections.add(self.client_address)
        length = int(self.headers.get("Content-Length") or 0)
        self.seen.append((self.path, length, dict(self.headers)))
        self.rfile.read(length)
        if self.path == "/hangs":
            time.sleep(90)
        if self.path == "/pauses":
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


class Answer:
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


def curl(path, *options, source=CLOUDFLARE, scheme="https", name=NAME, check=True):
    """An answer, or the exit code of curl where there is none."""
    command = ["curl", "-sik", "--max-time", "100", "--interface", source, "--resolve", f"*:443:{SERVER}", "--resolve", f"*:80:{SERVER}",
               *options, f"{scheme}://{name}{path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        assert not check, (command, done)
        return done.returncode
    return Answer(done.stdout.decode())


def certificate(name, *, directory):
    directory.mkdir(parents=True, exist_ok=True)
    key, pem = directory / f"{name}.key", directory / f"{name}.pem"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
       "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(pem))
    return pem, key


@contextlib.contextmanager
def nginx(*, guard="on", origin_pulls="off"):
    """nginx with the files of deploy/nginx; only where the API is, is told otherwise."""
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
    with open(WORK / "access.log", "w", encoding="utf-8") as log, open(WORK / "error.log", "w", encoding="utf-8") as err:
        start = ["chroot", str(ROOT), "env", f"SERVER_NAME={NAME} {SHORT} {HIDDEN}", "/etc/nginx/start.sh"]
        subprocess.run([*start, "-t", "-q"], check=True)
        process = subprocess.Popen([*start, "-g", "daemon off;"], stdout=log, stderr=err)
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection((SERVER, 443), 1):
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait()


def log_lines():
    return [json.loads(line) for line in (WORK / "access.log").read_bytes().decode().splitlines()]


def tls_and_headers():
    answer = curl("/api/v1?x=1", "--http2")
    assert answer.version == "HTTP/2", answer.version
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["server"] == "nginx"
    assert answer.headers["referrer-policy"] == "no-referrer", answer.headers
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
    answer = curl("/docs?a=1", "-H", "Host: api.exemplo", scheme="http")
    assert (answer.status, answer.headers["location"]) == (308, "https://api.exemplo/docs?a=1")
    assert "strict-transport-security" not in answer.headers, "HSTS is for HTTPS"
    answer = curl("/" + "a" * 9000, scheme="http").is_error(414, "O endereço da requisição é longo demais")
    assert "strict-transport-security" not in answer.headers, "HSTS is for HTTPS"
    curl("/", "-H", "X-Long: " + "a" * 9000, scheme="http").is_error(431, "Os cabeçalhos da requisição são longos demais")


def strangers_get_no_answer():
    for scheme in ("http", "https"):
        for path in ("/", "/api/v1/atividades", "/nginx-health"):
            # The server closed the connection without a word (52), or reset it (56), or the same in HTTP/2 (92).
            spoof = ("-H", f"CF-Connecting-IP: {CLOUDFLARE}", "-H", f"X-Forwarded-For: {CLOUDFLARE}")
            assert curl(path, *spoof, source=STRANGER, scheme=scheme, check=False) in (52, 56, 92), (scheme, path)


def handshake(name, *, source=CLOUDFLARE, port=443):
    """What openssl says of a handshake with this name; None sends none."""
    sni = ["-noservername"] if name is None else ["-servername", name]
    command = ["openssl", "s_client", "-connect", f"{SERVER}:{port}", "-bind", f"{source}:0", *sni]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout + done.stderr


def other_names_are_rejected():
    for source in (CLOUDFLARE, STRANGER):
        for name in ("outra.exemplo", "x.api.exemplo", None):
            said = handshake(name, source=source)
            assert "unrecognized name" in said and "BEGIN CERTIFICATE" not in said, (source, name, said)
    assert "BEGIN CERTIFICATE" in handshake(NAME) and "BEGIN CERTIFICATE" in handshake(SHORT)
    # For the exporter between containers, which asks for the certificate and nothing else.
    assert "BEGIN CERTIFICATE" in handshake("nginx", port=8443)
    assert curl("/", "--resolve", f"*:8443:{SERVER}", name=f"{NAME}:8443", check=False) in (52, 56)
    for version in ("--http1.1", "--http2"):
        for host in ("outra.exemplo", "x.api.exemplo", "api.exemplo.outra.exemplo", SERVER):
            answer = curl("/rejected", version, "-H", f"Host: {host}")
            answer.is_error(421, "Este servidor não responde por esse nome")
            assert answer.headers["strict-transport-security"], answer.headers
            assert curl("/rejected", version, "-H", f"Host: {host}", source=STRANGER, check=False) in (52, 56, 92), host
    for host in ("Host: outra.exemplo", f"Host: {SERVER}"):
        curl("/rejected", "-H", host, scheme="http").is_error(421, "Este servidor não responde por esse nome")
    curl("/rejected", "--http1.0", "-H", "Host;", check=False, scheme="http").is_error(400, "A requisição não pode ser lida")
    # Other checks run at the same time, so the path tells the requests of this one apart.
    assert "/rejected" not in [path for path, *_ in Upstream.seen], "the API saw a request for another name"
    time.sleep(2)
    for name in (NAME, SHORT, "API.Exemplo", f"{NAME}:443"):
        assert curl("/", name=name).status == 200, name
        assert curl("/", "-H", f"Host: {name}", scheme="http").headers["location"].startswith("https://a"), name


def the_client_is_whom_cloudflare_names():
    headers = json.loads(curl("/", "-H", "CF-Connecting-IP: 192.0.2.55", "-H", "X-Forwarded-For: 6.6.6.6").body)["headers"]
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "192.0.2.55", headers
    assert headers["X-Forwarded-Proto"] == "https" and "CF-Connecting-IP" not in headers, headers
    line = next(line for line in log_lines() if line["client"] == "192.0.2.55")
    assert line["request_id"] == "id-da-api" and line["status"] == "200" and line["tls"].startswith("TLSv1"), line


def both_logs_have_the_same_id():
    for sent, passed in (("um-id.do_cliente-1", True), ("um id", False), ("a" * 129, False), (None, False)):
        headers = json.loads(curl("/", *(["-H", f"X-Request-ID: {sent}"] if sent else [])).body)["headers"]
        assert (headers["X-Request-ID"] == sent) == passed and headers["X-Request-ID"], (sent, headers)
    # Where the API gives no answer, nginx tells the client what the API was told.
    answer = curl("/metrics", "-H", "X-Request-ID: meu-id")
    assert answer.headers["x-request-id"] == "meu-id", answer.headers


def the_log_is_json_whatever_is_sent():
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


def rare_refusals_have_the_shape_of_the_others():
    curl("/nginx-health", "-H", 'If-Match: "x"').is_error(412, "A condição da requisição não é satisfeita")
    curl("/", "-X", "POST", "-H", "Transfer-Encoding: gzip", "--http1.1").is_error(501, "Forma de transferência não suportada")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((SERVER, 443), 5, source_address=(CLOUDFLARE, 0)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        tls.sendall(b"GET / HTTP/2.5\r\nHost: a\r\n\r\n")
        Answer(tls.makefile("rb").read().decode()).is_error(505, "Versão do HTTP não suportada")


def the_replicas_can_be_named(nginx_):
    """As scripts/nginx.sh does while replicas are replaced."""
    turned = ROOT / "etc/nginx/turned"
    turned.mkdir()
    other = UpstreamServer(("127.0.0.1", UPSTREAM + 1), Upstream)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    (turned / "upstream.conf").write_text(f"upstream turned {{ server 127.0.0.1:{UPSTREAM + 1}; keepalive 32; }}")
    (turned / "location.conf").write_text("set $replicas turned;")
    nginx_.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while log_lines()[-1]["upstream"] != f"127.0.0.1:{UPSTREAM + 1}":
        assert time.monotonic() < deadline, log_lines()[-1]
        assert curl("/api/v1?x=1%20", "-H", "CF-Connecting-IP: 192.0.2.61").status == 200
        time.sleep(0.2)
    assert Upstream.seen[-1][0] == "/api/v1?x=1%20", "a name in a variable must not change the path"
    # The way of the scripts' own look at it.
    assert json.loads(sh("curl", "-fsS", "http://127.0.0.1:8080/health"))["path"] == "/health"
    other.shutdown()


def each_client_has_so_many_connections():
    """Fifty that wait for the API, and the next is refused; each has passed the rate by then. A /64 counts as one client."""
    clients = [lambda n: "192.0.2.71", lambda n: f"2001:db8:c::{n:x}"]
    with ThreadPoolExecutor(120) as pool:
        waiting = [[], []]
        for group in range(6):
            for client, answers in zip(clients, waiting, strict=True):
                answers += [pool.submit(curl, "/pauses", "-H", f"CF-Connecting-IP: {client(10 * group + n)}", check=False) for n in range(10)]
            if group < 5:
                time.sleep(1.1)
        for answers in waiting:
            statuses = [done.result().status for done in answers]
            assert (statuses.count(200), statuses.count(429)) == (50, 10), statuses


def the_bounds_are_what_they_were_meant_to_be():
    """Those that take long to be seen at work: nginx says what it understood of its files."""
    dump = subprocess.run(["chroot", str(ROOT), "nginx", "-T", "-q"], capture_output=True, text=True, check=True).stdout
    for directive in (
        "worker_shutdown_timeout 60s;", "client_header_timeout 10s;", "client_body_timeout 10s;", "send_timeout 10s;",
        "keepalive_timeout 30s;", "keepalive_min_timeout 5s;", "reset_timedout_connection on;", "proxy_connect_timeout 2s;",
        "proxy_read_timeout 60s;", "proxy_send_timeout 15s;", "proxy_next_upstream error timeout;", "proxy_next_upstream_tries 3;",
        "proxy_max_temp_file_size 0;", "keepalive 32;", "keepalive_timeout 4s;", "gzip_vary on;", "limit_conn connections 50;",
        "ssl_session_tickets off;", "ssl_session_timeout 1d;", "ssl_prefer_server_ciphers on;", "server_tokens off;",
    ):
        assert directive in dump, directive
    zones = re.findall(r"^\s*limit_(?:req|conn)_zone (\S+)", dump, re.MULTILINE)
    assert zones == ["$client_network"] * 2, "each limit applies per client network"


def another_replica_takes_what_one_did_not(nginx_):
    upstream = ROOT / "etc/nginx/upstream.conf"
    files = upstream.read_text()
    # The first of them listens nowhere.
    upstream.write_text(files.replace(f"server 127.0.0.1:{UPSTREAM}", f"server 127.0.0.1:1 max_fails=0;\n    server 127.0.0.1:{UPSTREAM}"))
    nginx_.send_signal(signal.SIGHUP)
    time.sleep(1)
    for n in range(10):
        assert curl("/", "-X", "POST", "-d", "x", "-H", f"CF-Connecting-IP: 192.0.2.8{n}").status == 200
    assert any("," in line["upstream"] for line in log_lines()[-10:]), log_lines()[-10:]
    upstream.write_text(files)
    nginx_.send_signal(signal.SIGHUP)
    time.sleep(1)


def with_the_guard_off_nobody_is_believed():
    headers = json.loads(curl("/", "-H", "CF-Connecting-IP: 192.0.2.55", source=STRANGER).body)["headers"]
    assert headers["X-Forwarded-For"] == STRANGER, headers
    curl("/", "-H", "Host: outra.exemplo", source=STRANGER).is_error(421, "Este servidor não responde por esse nome")


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


def is_seen_and_told(path):
    """Whether the API saw a request, and whether nginx knows of it."""
    return path in [path for path, *_ in Upstream.seen], path in [line["path"] for line in log_lines()]


def no_request_is_hidden_in_another():
    """Two readers of one of these could disagree where the first request ends. Whatever the API sees, nginx saw as well."""
    # nginx takes a line feed alone for the end of a line, and so sees a chunk; what it sends on has none.
    both = [*ambiguous.PLAIN, (["X: y\nTransfer-Encoding: chunked"], ambiguous.BODIES[1])]
    tried = [(headers, body) for headers in ambiguous.PAIRS for body in ambiguous.BODIES] + both

    def send(number, headers, body):
        # As long as the name it stands for, so that lengths remain true.
        hidden = body.replace(b"/hidden", b"/hid%03d" % number)
        head = [f"POST /pair/{number} HTTP/1.1", "Host: a", f"CF-Connecting-IP: 192.0.2.{10 + number}", *headers, "", ""]
        return "\r\n".join(head).encode() + hidden

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tls_exchange, (send(number, *pair) for number, pair in enumerate(tried))))
    # Straight to the API, as if nginx had taken one request for none.
    with socket.create_connection(("127.0.0.1", UPSTREAM), 5) as raw:
        send_and_read(raw, send(999, *ambiguous.PLAIN[0]))
    time.sleep(0.5)
    results = [is_seen_and_told(f"/hid{number:03d}") for number in range(len(tried))]
    assert is_seen_and_told("/hid999") == (True, False), "what is hidden from nginx is not seen"
    for pair, (seen, told) in zip(tried, results, strict=True):
        assert seen <= told, f"the API saw a request that nginx did not: {pair}"
        assert pair in both or not told, f"nginx saw a second request: {pair}"
        assert pair not in ambiguous.PLAIN or seen, f"a second request is not seen: {pair}"


def http2_hides_nothing_either():
    """Lengths that lie, headers that have no place there and line ends in values; what the API sees is one sane request or none."""
    hidden = ambiguous.HIDDEN.decode()

    def ask(number, *headers, data=None, **pseudo):
        pseudo = {"method": "POST", "path": f"/h2/{number}", "scheme": "https", "authority": "a"} | pseudo
        head = [(f":{name}", value) for name, value in pseudo.items()] + [("cf-connecting-ip", f"192.0.2.{60 + number}"), *headers]
        return http2.exchange(SERVER, CLOUDFLARE, NAME, head, data)

    assert ask(0, ("content-length", "5"), data=b"hello") == 200
    assert [(path, length) for path, length, _ in Upstream.seen if path.startswith("/h2/")] == [("/h2/0", 5)]
    for number, (headers, data, pseudo) in enumerate((
        ([("content-length", "5")], b"hello" + ambiguous.HIDDEN, {}),
        ([("content-length", "0")], ambiguous.HIDDEN, {}),
        ([("content-length", "50")], b"hello", {}),
        ([("content-length", "5"), ("content-length", "38")], b"hello" + ambiguous.HIDDEN, {}),
        ([("content-length", "+5")], b"hello", {}),
        ([("x-a", "b\r\nX-Injected: yes")], b"", {}),
        ([("x-a", "b\nX-Injected: yes")], b"", {}),
        ([("x-a", f"b\r\n\r\n{hidden}")], b"", {}),
        ([("x-a", "b\0c")], b"", {}),
        ([("x-a\r\nx-injected", "yes")], b"", {}),
        ([("x-a: b\r\nx-injected", "yes")], b"", {}),
        ([("X-Upper", "yes")], b"", {}),
        ([], b"", {"path": f"/h2/x HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"}),
        ([], b"", {"path": "/h2/x y"}),
        ([], b"", {"method": "POST /hidden HTTP/1.1\r\nX-Injected:"}),
        ([], b"", {"authority": "a\r\nX-Injected: yes"}),
        ([], b"", {"scheme": "https\r\nX-Injected: yes"}),
        ([(":path", "/hidden")], b"", {}),
    ), 1):
        status = ask(number, *headers, data=data, **pseudo)
        assert status == 400, (status, headers, pseudo)
    # A body is as long as its frames say, whatever this header does; it goes no further.
    for number, coding in enumerate(("chunked", "identity", "gzip, chunked"), 30):
        assert ask(number, ("transfer-encoding", coding), data=ambiguous.BODIES[1]) == 200
    time.sleep(0.5)
    for path, length, headers in Upstream.seen:
        if path in ("/h2/30", "/h2/31", "/h2/32"):
            assert length == len(ambiguous.BODIES[1]) and "Transfer-Encoding" not in headers, (path, length, headers)
        else:
            assert path == "/h2/0" or not path.startswith("/h2/") and path != "/hidden", path
        assert not {"X-Injected", "X-Upper"} & headers.keys(), headers


def http2_carries_whatever_http1_does():
    body = json.dumps({"nome": "A" * 100_000})
    answer = curl("/api/v1/atividades", "--http2", "-X", "POST", "-H", "Content-Type: application/json", "-d", body)
    assert (answer.version, answer.status, json.loads(answer.body)["length"]) == ("HTTP/2", 200, len(body))
    assert curl("/large", "--http2", "--compressed").status == 200
    assert curl("/status/503", "--http2").status == 503
    # Headers that have no place in HTTP/2 do not reach the API.
    answer = curl("/", "--http2", "-H", "Connection: upgrade", "-H", "Upgrade: h2c", "-H", "Transfer-Encoding: chunked", check=False)
    assert isinstance(answer, int) or answer.status in (200, 400), answer


def each_client_has_a_rate():
    def burst(client):
        with ThreadPoolExecutor(30) as pool:
            return list(pool.map(lambda _: curl("/", "-H", f"CF-Connecting-IP: {client}"), range(150)))

    began = time.monotonic()
    answers = burst("192.0.2.1")
    took = time.monotonic() - began
    passed = sum(answer.status == 200 for answer in answers)
    # One, a burst of 20, and ten for each second that all those handshakes took.
    assert 21 <= passed <= 22 + 10 * took, (passed, took)
    refused = next(answer for answer in answers if answer.status == 429)
    refused.is_error(429, "Requisições demais; tente novamente em instantes")
    assert refused.headers["retry-after"] == "1", refused.headers
    assert curl("/", "-H", "CF-Connecting-IP: 192.0.2.2").status == 200, "another client has a rate of its own"


def an_ipv6_64_has_one_rate():
    """300 requests, each from another address of one /64: they share a limit; other networks have limits of their own."""
    def burst(addresses):
        with ThreadPoolExecutor(30) as pool:
            return [answer.status for answer in pool.map(lambda address: curl("/", "-H", f"CF-Connecting-IP: {address}"), addresses)]

    began = time.monotonic()
    # The prefix has a byte that is a line feed, and the rest of the address ends with one or is all zeros.
    statuses = burst([f"2001:db8:a:10::{n:x}:{0xa if n % 2 else 0:x}" for n in range(300)])
    took = time.monotonic() - began
    assert set(statuses) == {200, 429} and 21 <= statuses.count(200) <= 22 + 10 * took, (statuses.count(200), took)
    # The neighbouring /64, networks that differ in one byte of the prefix, and as many IPv4 addresses of one /24.
    for others in ([f"2001:db8:a:{n:x}::1" for n in range(0x11, 0x2f)], [f"2001:db8:{n:x}:10::a" for n in range(0xb, 0x29)],
                   [f"198.18.0.{n}" for n in range(30)]):
        assert burst(others) == [200] * len(others), others


def bodies_have_a_limit():
    for bytes_, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
        (WORK / "body").write_bytes(b"a" * bytes_)
        for how in (["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "--http1.1"]):
            answer = curl("/", "--data-binary", f"@{WORK / 'body'}", *how, "-H", "CF-Connecting-IP: 192.0.2.3")
            assert answer.status == status, (bytes_, answer.status)
            if status == 413:
                answer.is_error(413, "O corpo da requisição ultrapassa 1 MiB")


def requests_that_are_too_long_are_told():
    curl("/" + "a" * 9000, "--http1.1").is_error(414, "O endereço da requisição é longo demais")
    curl("/", "-H", "X-Long: " + "a" * 9000, "--http1.1").is_error(431, "Os cabeçalhos da requisição são longos demais")


def large_answers_are_compressed():
    assert curl("/large", "-H", "Accept-Encoding: gzip", "-o", "/dev/null", "-D", "-").headers["content-encoding"] == "gzip"
    assert curl("/large").headers["vary"] == "Accept-Encoding", "caches must know that there are two of it"
    assert "content-encoding" not in curl("/large").headers
    assert "content-encoding" not in curl("/", "-H", "Accept-Encoding: gzip").headers


def connections_to_the_api_are_kept():
    before = len(Upstream.connections)
    for n in range(40):
        curl("/", "-H", f"CF-Connecting-IP: 192.0.2.{100 + n}")
    # Each worker keeps its own.
    assert len(Upstream.connections) - before <= 2 * os.cpu_count(), len(Upstream.connections) - before


def errors_of_the_api_pass_as_they_are():
    for status in (404, 422, 500, 503):
        answer = curl(f"/status/{status}")
        assert (answer.status, answer.body) == (status, '{"detail":"da API","message":"da API"}')
        assert answer.headers["x-request-id"] == "id-da-api"


def nothing_internal_is_shown():
    for path in ("/metrics", "/metrics/x", "/internal/a", "/errors/500"):
        curl(path).is_error(404, "Recurso não encontrado")
    assert curl("/nginx-health").body == "healthy\n"
    # Inside, for the container's own check.
    assert sh("curl", "-fsS", "http://127.0.0.1:8080/nginx-health") == "healthy\n"
    # Between containers, for the exporter; to clients it is nothing but a path.
    assert sh("curl", "-fsS", "http://127.0.0.1:8081/stub_status").startswith("Active connections: ")
    assert "Active connections" not in curl("/stub_status", check=False).body


def dawdlers_are_cut_off():
    started = time.monotonic()
    raw = socket.create_connection((SERVER, 80), 5, source_address=(CLOUDFLARE, 0))
    raw.settimeout(30)
    raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
    # It says nothing more, and is not waited for longer than ten seconds.
    with contextlib.suppress(ConnectionResetError):
        while raw.recv(1000):
            pass
    assert time.monotonic() - started < 25


def an_api_that_hangs_is_a_504():
    answer = curl("/hangs", "-H", "CF-Connecting-IP: 192.0.2.9")
    answer.is_error(504, "O serviço não respondeu a tempo")
    assert answer.headers["retry-after"] == "5"


def an_api_that_is_gone_is_a_502():
    answer = curl("/")
    answer.is_error(502, "Serviço indisponível no momento; tente novamente em instantes")
    assert answer.headers["retry-after"] == "5" and answer.headers["strict-transport-security"]


def authority_of_the_runbook():
    """The authority and the client certificate of the zone, by the commands of deploy/README.md."""
    chapter = (DEPLOY / "README.md").read_text().split("## Authenticated origin pulls")[1].split("\n## ")[0]
    directory = WORK / "pulls"
    directory.mkdir()
    sh("bash", "-euc", chapter.split("```sh\n")[1].split("```")[0], cwd=directory)
    shutil.copy(directory / "ca.pem", WORK / "certs/origin-pull-ca.pem")
    return directory / "client.pem", directory / "client.key"


def only_the_zones_certificate_is_taken(client):
    pem, key = client
    curl("/").is_error(400, "A requisição não pode ser lida")
    assert curl("/", "--cert", str(pem), "--key", str(key)).status == 200
    other, other_key = certificate("other", directory=WORK / "other")
    curl("/", "--cert", str(other), "--key", str(other_key)).is_error(400, "A requisição não pode ser lida")


def cloudflares_lists_are_renewed():
    copy = WORK / "deploy"
    shutil.copytree(DEPLOY, copy)
    script = str(copy / "scripts/renew-cloudflare-ips.sh")

    def renew(v4, v6, *options):
        (WORK / "v4").write_text(v4)
        (WORK / "v6").write_text(v6)
        command = [script, *options, str(WORK / "v4"), str(WORK / "v6")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    file = copy / "nginx/cloudflare.conf"
    kept = re.findall(r"^ +(\S+) 1;$", file.read_text(), re.M)
    assert kept == re.findall(r"^set_real_ip_from (\S+);$", file.read_text(), re.M) and len(kept) > 20
    v4, v6 = ([n for n in kept if (":" in n) == is_v6] for is_v6 in (False, True))
    assert "nothing changed" in renew("\n".join(v4), "\n".join(v6)).stdout
    before = file.read_text()
    # Not one kind without the other, nor as many of one network.
    for bad in ("", "<html>sorry</html>", "0.0.0.0/0\n" * 20, "10.0.0.0/8\n" * 20, "\n".join(v4[:9]), f"{v4[0]}\n" * 20):
        done = renew(bad, "\n".join(v6))
        assert done.returncode == 1 and "not written" in done.stderr, (bad, done)
        assert file.read_text() == before
    done = renew("\n".join(v4), "\n".join(v6[:3]))
    assert done.returncode == 1 and "only 3 networks of IPv6" in done.stderr, done
    nowhere = subprocess.run([script, "http://127.0.0.1:1/v4", "http://127.0.0.1:1/v6"], capture_output=True, text=True, check=False)
    assert nowhere.returncode == 1 and "cannot be had" in nowhere.stderr and file.read_text() == before, nowhere
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


def workers_are_waited_for():
    """scripts/nginx.sh with an engine that says what it is told to: who cannot be asked has not finished."""
    scripts = DEPLOY / "scripts"
    for says, before, is_drained in (
        ("printf '%s\\n' 'PID COMMAND' '7 nginx: master process' '9 nginx: worker process'", "8", True),
        ("printf '%s\\n' '8 nginx: worker process is shutting down' '9 nginx: worker process'", "8", False),
        ("printf '%s\\n' '8 nginx: worker process'", "8", False),
        ("printf '%s\\n' '7 nginx: master process'", "8", False),
        ("return 1", "8", False),
    ):
        program = (f'set -euo pipefail; source {scripts}/lib.sh; source {scripts}/nginx.sh; nginx_container() {{ echo one; }}; '
                   f'sleep() {{ :; }}; docker() {{ [[ "$*" == "top one -eo pid,args" ]] && {says}; }}; before=({before}); drained')
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == is_drained, (says, done)


def main():
    sh("ip", "link", "set", "lo", "up")
    for address in (CLOUDFLARE, STRANGER, SERVER, *(f"192.0.2.{n}" for n in range(1, 3))):
        sh("ip", "address", "add", f"{address}/32", "dev", "lo")
    # nginx opens these inside of ROOT.
    for device in ("null", "urandom", "stdout", "stderr"):
        target = ROOT / "dev" / device
        target.unlink(missing_ok=True)
    sh("mount", "--bind", "/dev", str(ROOT / "dev"))
    sh("mount", "-t", "proc", "proc", str(ROOT / "proc"))
    certificate("origin", directory=WORK / "certs")
    client = authority_of_the_runbook()

    workers_are_waited_for()
    cloudflares_lists_are_renewed()
    with nginx():
        an_api_that_is_gone_is_a_502()
    upstream = UpstreamServer(("127.0.0.1", UPSTREAM), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with nginx() as process, ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(check) for check in (an_api_that_hangs_is_a_504, dawdlers_are_cut_off, each_client_has_so_many_connections)]
        for check in (
            tls_and_headers,
            port_80_redirects,
            strangers_get_no_answer,
            other_names_are_rejected,
            the_client_is_whom_cloudflare_names,
            bodies_have_a_limit,
            requests_that_are_too_long_are_told,
            large_answers_are_compressed,
            connections_to_the_api_are_kept,
            errors_of_the_api_pass_as_they_are,
            nothing_internal_is_shown,
            no_request_is_hidden_in_another,
            http2_hides_nothing_either,
            http2_carries_whatever_http1_does,
            each_client_has_a_rate,
            an_ipv6_64_has_one_rate,
            both_logs_have_the_same_id,
            the_log_is_json_whatever_is_sent,
            rare_refusals_have_the_shape_of_the_others,
            the_bounds_are_what_they_were_meant_to_be,
        ):
            # Each has a rate limit of its own to use up.
            time.sleep(1)
            check()
            print(f"ok {check.__name__}", flush=True)
        for check in slow:
            check.result()
            print("ok", flush=True)
        for check in (another_replica_takes_what_one_did_not, the_replicas_can_be_named):
            check(process)
            print(f"ok {check.__name__}", flush=True)
    with nginx(guard="off"):
        with_the_guard_off_nobody_is_believed()
    with nginx(origin_pulls="on"):
        only_the_zones_certificate_is_taken(client)
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
