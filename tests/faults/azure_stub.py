"""A stand-in for an organisation of Azure DevOps, with modes of failure."""

import asyncio
import base64
import contextlib
import json
import re
import uuid

PROJECTS = 250
NONSENSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>Sign in</html>",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": [[[", b"\x16\x03\x01 what?\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n" + b"[" * 2_000_000)


def identity(token):
    user = {"id": f"cdbc0002-5e61-5e97-84f7-{int(token.rpartition('-')[2]):012d}", "subjectDescriptor": "aad.x",
            "providerDisplayName": token, "isActive": True, "properties": {"Account": {"$value": f"{token}@exemplo.br"}}}
    return json.dumps({"authenticatedUser": user, "authorizedUser": user}).encode()


def projects(query):
    """Returns a page of the projects and the header with the continuation token."""
    start = int((re.search(r"continuationToken=(\d+)", query) or [0, 0])[1])
    end = min(start + 100, PROJECTS)
    value = [{"id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))), "name": f"Projeto {n}", "state": "wellFormed"} for n in range(start, end)]
    return json.dumps({"count": len(value), "value": value}).encode(), f"x-ms-continuationtoken: {end}\r\n" if end < PROJECTS else ""


class AzureStub:
    """Accepts every token that begins with `conhecido`. `mode` is `healthy` or the name of a failure."""

    def __init__(self, nonsense=NONSENSE):
        self.mode, self.in_flight, self.max_in_flight, self.count, self.nonsense = "healthy", 0, 0, 0, nonsense

    async def open(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/exemplo"

    async def _connected(self, reader, writer):
        # The event loop cancels the connections that are open when it ends.
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.count += 1
                self.in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self.in_flight)
                try:
                    if not await self._respond(reader, writer, head):
                        break
                finally:
                    self.in_flight -= 1
        writer.transport.abort()

    async def _respond(self, reader, writer, head):
        mode = self.mode
        if mode == "hangs":
            # Until the client closes the connection.
            await reader.read()
            return False
        if mode == "cuts":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"authenticated")
            await writer.drain()
            return False
        if mode == "nonsense":
            writer.write(self.nonsense[self.count % len(self.nonsense)])
            await writer.drain()
            return False
        if mode == "is slow":
            await asyncio.sleep(2.5)
        if mode in ("throttles", "fails"):
            status = "429 Too Many Requests\r\nRetry-After: 2" if mode == "throttles" else "500 Oops"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            scheme, _, token = re.search(r"(?im)^authorization: (.*?)\r$", head)[1].partition(" ")
            if scheme == "Basic":
                token = base64.b64decode(token).decode().lstrip(":")
            if not token.startswith("conhecido-"):
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            else:
                page = re.match(r"GET \S+/_apis/projects\?(\S*)", head)
                body, more = projects(page[1]) if page else (identity(token), "")
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    def close(self):
        self.server.close()
