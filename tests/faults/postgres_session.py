"""Sessions of PostgreSQL without a process or a thread each, so that a test can take every connection of the server."""

import asyncio
import struct

from harness.wait import within

TIMEOUT = 20


class Session:
    """An open session. Implements what that needs of the protocol: no password, no parameters."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        """Returns None where the server has no connection left."""
        async with within("the start of a session of PostgreSQL", TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            session = cls(reader, writer)
            parameters = b"user\0postgres\0database\0postgres\0application_name\0holder\0\0"
            writer.write(struct.pack("!II", 8 + len(parameters), 3 << 16) + parameters)
            if await session._is_ready():
                return session
        session.close()
        return None

    async def query(self, text):
        async with within(text, TIMEOUT):
            self.writer.write(b"Q" + struct.pack("!I", len(text) + 5) + text.encode() + b"\0")
            assert await self._is_ready(), f"PostgreSQL refused: {text}"

    async def _is_ready(self):
        """Reads up to ReadyForQuery (`Z`). An error (`E`) or the end of the connection is a refusal."""
        while True:
            try:
                kind, length = struct.unpack("!cI", await self.reader.readexactly(5))
                await self.reader.readexactly(length - 4)
            except (OSError, EOFError):
                return False
            if kind in (b"Z", b"E"):
                return kind == b"Z"

    def close(self):
        self.writer.transport.abort()
