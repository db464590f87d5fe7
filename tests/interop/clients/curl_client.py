"""The features with curl. usage: curl_client.py BASE FEATURE…"""

import json
import subprocess
import sys

BASE, *FEATURES = sys.argv[1:]


def curl(path, *options):
    """Returns status, headers and body."""
    command = ["curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", *options, BASE + path]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    head, body = done.stdout, b""
    # Informational responses come first.
    while True:
        head, _, body = head.partition(b"\r\n\r\n")
        if not head.split()[1].startswith(b"1"):
            break
        head = body
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def call(status, path, *options):
    found, headers, body = curl(path, *options)
    assert found == status, (path, options, found, body[:200])
    return headers, body


def create(nome, *options):
    return call(201, "/api/v1/projetos", "--json", json.dumps({"nome": nome}), *options)


def keep_alive():
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *[BASE + "/healthz"] * 40]
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.count(b"healthy") == 40


def gzip():
    headers, body = call(200, "/openapi.json", "--compressed")
    assert json.loads(body)["openapi"] and headers["content-encoding"] in ("gzip", "br")


def head():
    assert call(200, "/api/v1/projetos", "--head")[1] == b""
    assert json.loads(call(200, "/api/v1/projetos")[1])


def expect():
    create("Expect", "-H", "Expect: 100-continue")


def csv_list():
    headers, body = call(200, "/api/v1/atividades?formato=csv")
    assert headers["content-type"].startswith("text/csv") and body.count(b"\n") > 300


def etag():
    path = create("ETag")[0]["location"]
    known = call(200, path)[0]["etag"]
    assert call(304, path, "-H", f"If-None-Match: {known}")[1] == b""
    put = ("-X", "PUT", "--json", '{"nome":"B"}')
    call(412, path, *put, "-H", 'If-Match: "antigo"')
    call(200, path, *put, "-H", f"If-Match: {known}")


def idempotency_key():
    key = ("-H", f"Idempotency-Key: curl-{BASE[-5:]}")
    assert create("Uma vez", *key)[1] == create("Uma vez", *key)[1]


def cancellation():
    for n in range(1, 6):
        command = ["curl", "-s", "--noproxy", "*", "--max-time", f"0.00{n}", BASE + "/api/v1/atividades?formato=csv"]
        subprocess.run(command, capture_output=True, check=False, timeout=30)
    call(200, "/healthz")


for feature in FEATURES:
    try:
        {"keep-alive": keep_alive, "gzip": gzip, "HEAD": head, "Expect": expect, "CSV": csv_list, "ETag": etag,
         "Idempotency-Key": idempotency_key, "cancellation": cancellation}[feature]()
        print(feature, "ok")
    except Exception as error:  # noqa: BLE001 - each failure is a cell of the matrix
        print(feature, "failed:", repr(error))
