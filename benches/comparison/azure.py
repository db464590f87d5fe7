"""A stand-in for an organisation of Azure DevOps that accepts every token. It has 1,000 projects, and 200 work items that are
assigned to the user."""

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PROJECTS = 1000
WORK_ITEMS = 200
# The name of the project of the work items.
PROJECT = "Projeto 1"
# The largest page of Azure DevOps, also where `$top` is larger.
PAGE = 100
USER = {
    "id": "cdbc0002-5e61-5e97-84f7-32df35fb8951",
    "descriptor": "Microsoft.IdentityModel.Claims.ClaimsIdentity;exemplo\\ana.lima@exemplo.com.br",
    "subjectDescriptor": "aad.Y2RiYzAwMDItNWU2MS01ZTk3LTg0ZjctMzJkZjM1ZmI4OTUx",
    "providerDisplayName": "Ana Lima",
    "isActive": True,
    "properties": {"Account": {"$type": "System.String", "$value": "ana.lima@exemplo.com.br"}},
}


class AzureStub:
    """Serves until the `with` block ends."""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/exemplo"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        if address.path == "/exemplo/_apis/connectionData":
            self.respond({"authenticatedUser": USER, "authorizedUser": USER})
        elif address.path == "/exemplo/_apis/projects":
            query = parse_qs(address.query)
            start = int(query.get("continuationToken", ["0"])[0])
            end = min(start + min(int(query["$top"][0]), PAGE), PROJECTS)
            projects = [project(n) for n in range(start, end)]
            more = {"x-ms-continuationtoken": str(end)} if end < PROJECTS else {}
            self.respond({"count": len(projects), "value": projects}, more)
        elif address.path.endswith("/_apis/wit/workitemtypes"):
            states = [{"name": "Active", "category": "InProgress"}, {"name": "Closed", "category": "Completed"}]
            self.respond({"value": [{"name": "Task", "states": states}]})
        else:
            self.send_error(404)

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        items = [{"id": number} for number in range(1, WORK_ITEMS + 1)]
        if "ids" in sent:
            self.respond({"value": [work_item(number) for number in sent["ids"]]})
        elif "FROM WorkItemLinks" in sent["query"]:
            self.respond({"workItemRelations": [{"target": item} for item in items]})
        else:
            self.respond({"workItems": items})

    def respond(self, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(200)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def work_item(number):
    hours = {"OriginalEstimate": 16.0, "CompletedWork": 6.0, "RemainingWork": 10.0}
    fields = {
        "System.Title": f"Desenvolver tela de pedidos nº {number}",
        "System.WorkItemType": "Task",
        "System.State": "Active",
        "System.TeamProject": PROJECT,
        "System.AssignedTo": {"displayName": "Ana Lima"},
    }
    fields |= {f"Microsoft.VSTS.Scheduling.{name}": value for name, value in hours.items()}
    return {"id": number, "fields": fields}


def project(number):
    guid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"projeto {number}"))
    return {
        "id": guid,
        "name": f"Projeto do Azure {number}",
        "description": "Sistema do cliente, manutenção e evolução",
        "url": f"https://dev.azure.com/exemplo/_apis/projects/{guid}",
        "state": "wellFormed",
        "revision": 7,
        "visibility": "private",
    }
