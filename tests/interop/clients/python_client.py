"""The features with a Python library. usage: python_client.py requests|httpx BASE FEATURE…"""

import csv
import importlib
import io
import sys
from concurrent.futures import ThreadPoolExecutor

LIBRARY, BASE, *FEATURES = sys.argv[1:]
http = importlib.import_module(LIBRARY)
is_requests = LIBRARY == "requests"
session = http.Session() if is_requests else http.Client(trust_env=False)


def call(method, path, status, **options):
    response = session.request(method, BASE + path, timeout=20, **options)
    assert response.status_code == status, (method, path, response.status_code, response.text[:200])
    return response


def create(nome, **options):
    return call("POST", "/api/v1/projetos", 201, json={"nome": nome}, **options)


def keep_alive():
    for _ in range(40):
        call("GET", "/healthz", 200)


def gzip():
    response = call("GET", "/openapi.json", 200, headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip" and response.json()["openapi"]


def head():
    assert call("HEAD", "/api/v1/projetos", 200).content == b""
    assert call("GET", "/api/v1/projetos", 200).json()


def expect():
    assert create("Expect", headers={"Expect": "100-continue"}).json()["nome"] == "Expect"


def csv_list():
    response = call("GET", "/api/v1/atividades?formato=csv", 200)
    assert response.headers["content-type"].startswith("text/csv"), response.headers
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert len(rows) >= 300 and rows[0]["nome"], len(rows)


def etag():
    created = create("ETag")
    path = created.headers["location"]
    known = call("GET", path, 200).headers["etag"]
    assert call("GET", path, 304, headers={"If-None-Match": known}).content == b""
    call("PUT", path, 412, json={"nome": "B"}, headers={"If-Match": '"antigo"'})
    call("PUT", path, 200, json={"nome": "B"}, headers={"If-Match": known})


def idempotency_key():
    key = {"Idempotency-Key": f"{LIBRARY}-{BASE[-5:]}"}
    assert create("Uma vez", headers=key).json() == create("Uma vez", headers=key).json()


def cancellation():
    url = BASE + "/api/v1/atividades?formato=csv"
    for _ in range(5):
        if is_requests:
            session.get(url, stream=True, timeout=20).close()
        else:
            with session.stream("GET", url):
                pass
    call("GET", "/healthz", 200)


def upgrade():
    """1,000 requests with the headers of a client that would speak HTTP/2, on connections that are kept."""
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQBAAAAAAIAAAAA"}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: create(f"upgrade-{LIBRARY}-{n}", headers=headers), range(1000)))


for feature in FEATURES:
    try:
        {"keep-alive": keep_alive, "gzip": gzip, "HEAD": head, "Expect": expect, "CSV": csv_list, "ETag": etag,
         "Idempotency-Key": idempotency_key, "cancellation": cancellation, "upgrade": upgrade}[feature]()
        print(feature, "ok")
    except Exception as error:  # noqa: BLE001 - each failure is a cell of the matrix
        print(feature, "failed:", repr(error))
