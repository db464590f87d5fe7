"""Runs extension.html in Chromium, as a page of the extension gallery that calls the API from another origin.

usage: extension.py CONFIG

CONFIG is JSON for the function journey of the page.
"""

import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading

# Before the browser starts: a day in Brazil must not become the day before.
os.environ["TZ"] = "America/Sao_Paulo"

from chromium import browser  # noqa: E402

HOST = "aponta.gallerycdn.vsassets.io"
PAGE = pathlib.Path(__file__).with_name("extension.html").read_bytes()
JOURNEY = "const done = arguments[1]; journey(arguments[0]).then(done, (error) => done(`${error}`));"


class Gallery(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        is_page = self.path == "/index.html"
        self.send_response(200 if is_page else 204)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        if is_page:
            self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def gallery(directory):
    """Serves the page over TLS, with a certificate that the browser is told to accept."""
    key, certificate = f"{directory}/key.pem", f"{directory}/certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    command += ["-subj", f"/CN={HOST}", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gallery)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def responses(driver):
    """The status and the address of each response of the API, without those to preflight requests."""
    for entry in driver.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.responseReceived" and event["params"]["type"] != "Preflight":
            response = event["params"]["response"]
            if "/api/v1/" in response["url"]:
                yield response["status"], response["url"]


with tempfile.TemporaryDirectory() as directory:
    server = gallery(directory)
    flags = f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{server.server_port}", "--ignore-certificate-errors"
    with browser(*flags) as driver:
        driver.set_script_timeout(60)
        driver.get(f"https://{HOST}/index.html")
        result = driver.execute_async_script(JOURNEY, json.loads(sys.argv[1]))
        console = [entry["message"] for entry in driver.get_log("browser")]
        assert result == "done", (result, console)
        seen = list(responses(driver))
        failed = [response for response in seen if response[0] >= 400]
        assert [status for status, _ in failed] == [401], failed
        weeks = sum("/timesheet?" in url for _, url in seen)
        assert weeks == 8, weeks
    server.shutdown()
