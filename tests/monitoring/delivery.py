"""Tests that the alerts reach people: Alertmanager with the shipped file delivers to a mail server and to stand-ins of Slack and
PagerDuty, and a receiver that fails is an alert of its own.

usage: delivery.py DIRECTORY     DIRECTORY has the unpacked programs of Debian's packages
"""

import contextlib
import email
import email.policy
import http.server
import json
import logging
import os
import pathlib
import re
import shutil
import ssl
import sys
import tempfile
import threading
import urllib.request

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import alertmanager  # noqa: E402
from harness.process import Process, free_port, run  # noqa: E402
from harness.wait import wait_until  # noqa: E402

MONITORING = pathlib.Path(__file__).resolve().parents[2] / "deploy/monitoring"
ROOT = pathlib.Path(sys.argv[1]).resolve()
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-delivery-"))
PORTS = {name: free_port() for name in ("smtp", "http", "alertmanager", "prometheus")}
SECRETS = {"smtp_password": "segredo-do-correio", "slack_webhook": f"http://127.0.0.1:{PORTS['http']}/slack/segredo", "pagerduty_key": "chave-do-pagerduty"}


class Mailbox:
    """A mail server that requires STARTTLS and the password."""

    def __init__(self, tls):
        self.messages = []
        self.controller = Controller(self, hostname="127.0.0.1", port=PORTS["smtp"], tls_context=tls, require_starttls=True, auth_required=True,
                                     authenticator=self.authenticate, auth_exclude_mechanism=["LOGIN"], server_hostname="localhost")

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"aponta@example.org", SECRETS["smtp_password"].encode()), handled=False)

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 # the name that aiosmtpd calls
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.messages.append((message["Subject"], message.get_body(("html",)).get_content()))
        return "250 OK"


class Webhooks(http.server.BaseHTTPRequestHandler):
    """Slack's incoming webhook and PagerDuty's Events API v2, as far as Alertmanager uses them."""

    received = {"slack": [], "pagerduty": []}

    def do_POST(self):  # noqa: N802 # the name that http.server calls
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.split("/")[1]
        known = self.path == "/slack/segredo" or (name == "pagerduty" and body["routing_key"] == SECRETS["pagerduty_key"])
        if known:
            self.received[name].append(body)
        self.send_response(403 if not known else 200 if name == "slack" else 202)
        self.end_headers()
        self.wfile.write(b"ok" if known else b"invalid_token")

    def log_message(self, *_):
        pass


def write_files():
    # Without a line feed at the end, which Alertmanager before 0.27 counts as part of the password of the mail server.
    for name, text in SECRETS.items():
        (WORK / name).write_text(text)
    text = (MONITORING / "alertmanager/alertmanager.yml").read_text()
    changes = [("smtp.example.org:587", f"localhost:{PORTS['smtp']}"), ("/run/secrets/", f"{WORK}/"), ("group_wait: 30s", "group_wait: 1s"),
               ("group_interval: 5m", "group_interval: 2s"),
               ("global:\n", f"global:\n  pagerduty_url: http://127.0.0.1:{PORTS['http']}/pagerduty\n")]
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    (WORK / "alertmanager.yml").write_text(text)
    job = re.search(r"  - job_name: alertmanager\n(?:    .*\n)+", (MONITORING / "prometheus/prometheus.yml").read_text())[0]
    shipped = (MONITORING / "prometheus/prometheus.yml").read_text()
    alerting = re.search(r"alerting:\n(?:  .*\n)+", shipped)[0]
    job = re.search(r"  - job_name: alertmanager\n(?:    .*\n)+", shipped)[0]
    text = f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [alerts.yml]\n{alerting}scrape_configs:\n{job}"
    (WORK / "prometheus.yml").write_text(text.replace("alertmanager:9093", f"127.0.0.1:{PORTS['alertmanager']}"))
    rules = (MONITORING / "prometheus/rules/alerts.yml").read_text()
    rule = re.search(r"      - alert: AlertDeliveryFailing\n(?:        .*\n)+", rules)[0]
    (WORK / "alerts.yml").write_text(f"groups:\n  - name: delivery\n    rules:\n{rule}")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", str(WORK / "key.pem"), "-out", str(WORK / "certificate.pem"))


def send(name, severity, **more):
    """Hands an alert to Alertmanager, as Prometheus does."""
    alert = {"labels": {"alertname": name, "severity": severity}, **more,
             "annotations": {"summary": f"Resumo de {name}", "runbook": f"docs/operations.md#{name.lower()}"}}
    request = urllib.request.Request(f"http://127.0.0.1:{PORTS['alertmanager']}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def resolve(name, severity):
    send(name, severity, startsAt="2026-01-01T00:00:00Z", endsAt="2026-01-01T00:00:01Z")


def alertmanager_log():
    return (WORK / "alertmanager.log").read_text()


def arrives(what, found):
    return wait_until(what, found, 60, log=alertmanager_log)


def mails(mailbox, name, status):
    return [body for subject, body in mailbox.messages if name in subject and status in subject]


def slack(name, status):
    found = [attachment for message in Webhooks.received["slack"] for attachment in message["attachments"]]
    return [attachment["text"] for attachment in found if attachment["title"] == f"{status} {name}"]


def pagerduty(name, action):
    return [event for event in Webhooks.received["pagerduty"] if event["event_action"] == action and name in json.dumps(event["payload"])]


def critical_alert_reaches_every_receiver(mailbox):
    send("DatabaseDown", "critical")
    for status, action in (("FIRING", "trigger"), ("RESOLVED", "resolve")):
        mail = arrives(f"the mail {status}", lambda s=status: mails(mailbox, "DatabaseDown", s))[0]
        text = arrives(f"the message {status}", lambda s=status: slack("DatabaseDown", s))[0]
        event = arrives(f"the event {action}", lambda a=action: pagerduty("DatabaseDown", a))[0]
        for received in (mail, text, json.dumps(event)):
            assert "Resumo de DatabaseDown" in received and "docs/operations.md#databasedown" in received, received
        if status == "FIRING":
            trigger = event
            assert event["payload"]["severity"] == "critical", event
            resolve("DatabaseDown", "critical")
    assert event["dedup_key"] == trigger["dedup_key"], "PagerDuty resolves the incident by its key"
    print("ok a critical alert and its end reach e-mail, Slack and PagerDuty", flush=True)


def warning_reaches_email_only(mailbox):
    send("HighLatency", "warning")
    arrives("the mail FIRING", lambda: mails(mailbox, "HighLatency", "FIRING"))
    resolve("HighLatency", "warning")
    arrives("the mail RESOLVED", lambda: mails(mailbox, "HighLatency", "RESOLVED"))
    assert not slack("HighLatency", "FIRING") and not pagerduty("HighLatency", "trigger")
    print("ok a warning and its end reach e-mail alone", flush=True)


def wrong_secret_is_an_alert(mailbox):
    """Of each receiver in turn, while the others deliver it. Files of secrets are read for each notification."""
    wrong = {"smtp_password": ("email", "errada", "ApiDown"), "slack_webhook": ("slack", SECRETS["slack_webhook"] + "-errado", "NginxDown"),
             "pagerduty_key": ("pagerduty", "errada", "DiskFillingUp")}
    for name, (integration, text, alert) in wrong.items():
        (WORK / name).write_text(text)
        send(alert, "critical")
        summary = f"Alertmanager cannot deliver to {integration}"
        heard = {
            "email": lambda s=summary: any(s in body for body in mails(mailbox, "AlertDeliveryFailing", "FIRING")),
            "slack": lambda s=summary: any(s in text for text in slack("AlertDeliveryFailing", "FIRING")),
            "pagerduty": lambda s=summary: any(s in json.dumps(event) for event in Webhooks.received["pagerduty"]),
        }
        for other in heard.keys() - {integration}:
            arrives(f"the alert about {integration} at {other}", heard[other])
        (WORK / name).write_text(SECRETS[name])
        resolve(alert, "critical")
    printed = alertmanager_log()
    assert not any(secret in printed for secret in (SECRETS["smtp_password"], SECRETS["pagerduty_key"])), "the log has a secret"
    print("ok a wrong secret of each receiver is an alert of its own", flush=True)


def main():
    # Refused sign-ins are meant here.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    write_files()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(WORK / "certificate.pem", WORK / "key.pem")
    mailbox = Mailbox(tls)
    webhooks = http.server.ThreadingHTTPServer(("127.0.0.1", PORTS["http"]), Webhooks)
    threading.Thread(target=webhooks.serve_forever, daemon=True).start()
    environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(WORK / "certificate.pem")}
    with contextlib.ExitStack() as stack:
        mailbox.controller.start()
        stack.callback(mailbox.controller.stop)
        for name, command in (
            ("alertmanager", alertmanager.command(ROOT, f"--config.file={WORK}/alertmanager.yml", f"--storage.path={WORK}/data",
                                                  f"--web.listen-address=127.0.0.1:{PORTS['alertmanager']}")),
            ("prometheus", [ROOT / "usr/bin/prometheus", f"--config.file={WORK}/prometheus.yml", f"--storage.tsdb.path={WORK}/tsdb",
                            f"--web.listen-address=127.0.0.1:{PORTS['prometheus']}"]),
        ):
            process = Process(name, command, WORK / f"{name}.log", cwd=WORK, env=environment)
            stack.callback(process.stop)
        wait_until("the start of Alertmanager", lambda: "Listening on" in alertmanager_log(), 30, log=alertmanager_log)
        critical_alert_reaches_every_receiver(mailbox)
        warning_reaches_email_only(mailbox)
        wrong_secret_is_an_alert(mailbox)
    print("delivery: all checks passed")


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
