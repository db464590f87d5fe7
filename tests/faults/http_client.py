"""A client of HTTP/1.1 that reports each failure as an exception."""

import asyncio
import time

# The server closes a connection that is idle for 5 s. A request on it at that moment would be reset, as behind nginx,
# which closes its connections after 4 s for the same reason.
MAX_IDLE = 2


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Client:
    """One persistent connection. After any error the next request opens a new one. `options` are those of its opening.

    A GET is sent again if the server closes a reused connection, as RFC 9110 (9.2.2) allows.
    """

    def __init__(self, port, host="127.0.0.1", **options):
        self.port, self.host, self.options, self.reader, self.writer, self.last_used = port, host, options, None, None, 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.disconnect()

    def disconnect(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def request(self, method, path, body=None, headers=None, timeout=60):
        try:
            async with asyncio.timeout(timeout):
                self._disconnect_if_idle()
                try:
                    is_reused = self.writer is not None
                    return await self._request(method, path, body, headers or {})
                except (ConnectionError, EOFError):
                    if method != "GET" or not is_reused:
                        raise
                    self.disconnect()
                    return await self._request(method, path, body, headers or {})
        except BaseException:
            self.disconnect()
            raise

    def _disconnect_if_idle(self):
        if time.monotonic() - self.last_used > MAX_IDLE:
            self.disconnect()

    async def connect(self):
        """Opens the connection, unless it is open. A request does so by itself."""
        self._disconnect_if_idle()
        await self._connect()

    async def _connect(self):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 22, **self.options)
            self.last_used = time.monotonic()

    async def _request(self, method, path, body, headers):
        await self._connect()
        body = body or b""
        head = {"Host": "localhost", "Content-Length": str(len(body))} | ({"Content-Type": "application/json"} if body else {}) | headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        await self.writer.drain()
        response = await read_response(self.reader, method)
        self.last_used = time.monotonic()
        if response.headers.get("connection") == "close":
            self.disconnect()
        return response


async def read_response(reader, method="GET"):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        length = 0 if method == "HEAD" or status in (204, 304) else int(headers.get("content-length", 0))
        body = await reader.readexactly(length)
    return Response(status, headers, body)
