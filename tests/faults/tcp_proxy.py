"""A TCP proxy in front of the database, which can drop, stall or delay its connections."""

import asyncio
import contextlib

from harness.process import free_port


class TcpProxy:
    def __init__(self, target):
        self.target, self.port, self.delay, self.server, self.writers = target, free_port(), 0.0, None, set()
        # How many connections were dropped, and how many reads had to wait for the proxy.
        self.dropped = self.stalled = self.delayed = 0
        self.forwarding = asyncio.Event()
        self.forwarding.set()

    async def open(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def drop_connections(self):
        """Aborts all connections. New ones are accepted at once."""
        self.dropped += len(self.writers)
        for writer in list(self.writers):
            writer.transport.abort()

    async def _connected(self, reader, writer):
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, target_writer}
        # The event loop cancels the connections that are open when it ends.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._forward(reader, target_writer), self._forward(target_reader, writer))
        self.writers -= {writer, target_writer}

    async def _forward(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.stalled += not self.forwarding.is_set()
                await self.forwarding.wait()
                if self.delay:
                    self.delayed += 1
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def close(self):
        self.server.close()
        self.drop_connections()
