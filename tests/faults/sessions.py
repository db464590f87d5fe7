"""Connections of PostgreSQL that cost neither a process nor a thread here, so that there may be as many as it takes."""

import asyncio
import struct


class Session:
    """One that is held open. It speaks as much of the protocol as that needs: no password, no parameters."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        """A connection, or nothing where there is none left."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        session = cls(reader, writer)
        words = b"user\0postgres\0database\0postgres\0application_name\0holder\0\0"
        writer.write(struct.pack("!II", 8 + len(words), 3 << 16) + words)
        if await session._is_ready():
            return session
        session.close()
        return None

    async def query(self, text):
        self.writer.write(b"Q" + struct.pack("!I", len(text) + 5) + text.encode() + b"\0")
        assert await self._is_ready(), text

    async def _is_ready(self):
        """Reads until it waits for a query (`Z`); an error (`E`) ends it."""
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
