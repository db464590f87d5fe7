"""A stand-in for work items of Azure DevOps: revisions, the history, closed and deleted ones, and writes that fail."""

import asyncio
import base64
import contextlib
import datetime
import json
import random
import re

from azure_stub import identity

SCHEDULING = "Microsoft.VSTS.Scheduling."
COMPLETED_WORK = SCHEDULING + "CompletedWork"
ESTIMATE = 1000.0
# What happens to a write: a conflict with a change by hand, a race, throttling, an outage, and two kinds of lost responses.
FAULTS = ("edited", "409", "429", "503", "lost", "timeout")
NOT_FOUND = (404, {"typeKey": "WorkItemUnauthorizedAccessException", "message": "TF401232"})


class WorkItem:
    """`manual` is the sum of what people wrote by hand."""

    def __init__(self, number):
        self.id, self.rev, self.state, self.is_deleted, self.manual = number, 0, "Active", False, 0.0
        self.fields, self.updates = {SCHEDULING + "OriginalEstimate": ESTIMATE}, []
        self.change("rui", {})

    def change(self, author, fields):
        self.rev += 1
        now = datetime.datetime.now(datetime.UTC).isoformat()
        changed = {name: {"newValue": value} for name, value in fields.items() if self.fields.get(name) != value}
        self.fields |= fields
        self.updates.append({"id": self.rev, "rev": self.rev, "revisedBy": {"id": author},
                             "fields": changed | {"System.ChangedDate": {"newValue": now}}})

    def edit_by_hand(self, hours):
        self.manual += hours
        self.change("rui", {COMPLETED_WORK: self.fields.get(COMPLETED_WORK, 0.0) + hours})

    def json(self):
        own = {"System.WorkItemType": "Task", "System.State": self.state, "System.TeamProject": "Portal", "System.Title": f"Tarefa {self.id}"}
        return {"id": self.id, "rev": self.rev, "fields": own | self.fields}


class WorkItemsStub:
    """Accepts every token that begins with `conhecido`. Of the writes, the share `failing` meets a fault."""

    def __init__(self, items):
        self.items = {number: WorkItem(number) for number in range(1, items + 1)}
        self.random, self.failing, self.hangs, self.faults = random.Random(7), 0.0, 0, dict.fromkeys(FAULTS, 0)
        self.writes = self.attempts = 0

    async def open(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/exemplo"

    def close(self):
        self.server.close()

    async def _connected(self, reader, writer):
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?im)^content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                response = self._respond(head, body)
                if response is None:
                    # Until the client gives up.
                    await reader.read()
                    break
                status, json_body, *more = response
                encoded = json.dumps(json_body).encode()
                lines = [f"HTTP/1.1 {status} Any", "Content-Type: application/json", f"Content-Length: {len(encoded)}", *more, "", ""]
                writer.write("\r\n".join(lines).encode() + encoded)
                await writer.drain()
        writer.transport.abort()

    def _respond(self, head, body):
        """Returns status, JSON and further headers; None to be silent."""
        method, target = head.split(" ", 2)[:2]
        scheme, _, token = re.search(r"(?im)^authorization: (.*?)\r$", head)[1].partition(" ")
        if scheme == "Basic":
            token = base64.b64decode(token).decode().lstrip(":")
        if not token.startswith("conhecido-"):
            return 401, {}
        path = target.partition("?")[0]
        if path.endswith("/connectionData"):
            return 200, json.loads(identity(token))
        if path.endswith("/workitemsbatch"):
            items = map(self.items.get, json.loads(body)["ids"])
            return 200, {"value": [item.json() if item and not item.is_deleted else None for item in items]}
        if path.endswith("/states"):
            return 200, {"value": [{"name": "Active", "category": "InProgress"}, {"name": "Closed", "category": "Completed"}]}
        if path.endswith("/fields"):
            return 200, {"value": [{"referenceName": SCHEDULING + name} for name in ("CompletedWork", "RemainingWork", "OriginalEstimate")]}
        found = re.fullmatch(r"/exemplo/_apis/wit/workitems/(\d+)(/updates)?", path)
        if not found:
            return 404, {}
        item = self.items.get(int(found[1]))
        if item is None or item.is_deleted:
            return NOT_FOUND
        if found[2]:
            skip = int(re.search(r"skip=(\d+)", target)[1])
            return 200, {"value": item.updates[skip:skip + 200]}
        return (200, item.json()) if method == "GET" else self._patch(item, json.loads(body))

    def _patch(self, item, operations):
        self.attempts += 1
        # In turn, so that a run meets each of them however few writes it needs.
        fault = FAULTS[sum(self.faults.values()) % len(FAULTS)] if self.random.random() < self.failing else None
        if fault == "timeout":
            # Each of them keeps the service waiting for 8 s.
            fault, self.hangs = ("timeout", self.hangs - 1) if self.hangs else ("lost", 0)
        if fault:
            self.faults[fault] += 1
        if fault == "edited":
            item.edit_by_hand(0.25)
        if fault in ("409", "503"):
            return int(fault), {"typeKey": "WorkItemRevisionMismatchException" if fault == "409" else "Outage"}, "Retry-After: 1"
        if fault == "429":
            return 429, {"typeKey": "RequestBlockedException"}, "Retry-After: 1"
        test, *fields = operations
        assert (test["op"], test["path"]) == ("test", "/rev"), operations
        if test["value"] != item.rev:
            return 412, {"typeKey": "TestPatchOperationFailedException", "message": "VS403351"}
        item.change("servico", {each["path"].removeprefix("/fields/"): each["value"] for each in fields})
        self.writes += 1
        if fault == "timeout":
            return None
        return (503, {}, "Retry-After: 1") if fault == "lost" else (200, item.json())
