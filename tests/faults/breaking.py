"""Faults of the service, its database and the line between them, each of which leaves a trace that it happened."""

import asyncio
import collections
import contextlib
import random
import signal
import time

from sessions import Session
from world import MAX_CONNECTIONS

OURS = "FROM pg_stat_activity WHERE application_name = 'aponta'"
# Until when a fault has to have hit somebody, which on a busy machine may take a moment.
BITE = 20


class Faults:
    """Each breaks something for a moment and puts it right, and says whether anybody felt it."""

    def __init__(self, cluster, apis, line):
        self.cluster, self.apis, self.line, self.random = cluster, apis, line, random.Random(1)
        self.injected, self.bitten, self.held = collections.Counter(), collections.Counter(), 0

    async def inject(self, fault):
        self.injected[fault.__name__] += 1
        self.bitten[fault.__name__] += bool(await fault(self.cluster.log_size()))

    async def logged(self, text, since, seconds=BITE):
        """Waits for `text` in what PostgreSQL has logged since."""
        deadline = time.monotonic() + seconds
        while text not in self.cluster.log(since):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def kill_the_api(self, _):
        api = self.random.choice(self.apis)
        api.kill()
        ended = api.process.returncode
        api.start()
        return ended == -signal.SIGKILL

    async def stop_the_api(self, _):
        api = self.random.choice(self.apis)
        await asyncio.to_thread(api.kill, signal.SIGTERM)
        ended = api.process.returncode
        api.start()
        return ended == 0

    async def kill_postgresql(self, since):
        await asyncio.to_thread(self.cluster.kill)
        await asyncio.to_thread(self.cluster.start)
        return await self.logged("automatic recovery in progress", since)

    async def crash_postgresql(self, since):
        await asyncio.to_thread(self.cluster.stop, signal.SIGQUIT)
        await asyncio.to_thread(self.cluster.start)
        return await self.logged("received immediate shutdown request", since) and await self.logged("automatic recovery in progress", since)

    async def stop_postgresql(self, since):
        await asyncio.to_thread(self.cluster.stop)
        await asyncio.to_thread(self.cluster.start)
        # To be told so is the lot of those who were connected.
        return await self.logged("received fast shutdown request", since) and await self.logged("terminating connection", since)

    async def cut_the_line(self, _):
        before = self.line.broken
        for _ in range(3):
            self.line.cut()
            await asyncio.sleep(0.1)
        return self.line.broken > before

    async def silence_the_line(self, _):
        before = self.line.held
        self.line.passing.clear()
        await asyncio.sleep(1.5)
        self.line.passing.set()
        return self.line.held > before

    async def delay_the_line(self, _):
        before = self.line.delayed
        self.line.delay = 0.05
        await asyncio.sleep(1)
        self.line.delay = 0
        return self.line.delayed > before

    async def terminate_the_backends(self, since):
        await asyncio.to_thread(self.cluster.sql, f"SELECT count(pg_terminate_backend(pid)) {OURS}")
        return await self.logged("terminating connection due to administrator command", since)

    async def cancel_the_statements(self, since):
        async with contextlib.AsyncExitStack() as stack:
            session, deadline = await self._slot(stack), time.monotonic() + BITE
            # Most statements are over before anybody can cancel them.
            while self.cluster.log(since).count("canceling statement due to user request") < 5:
                if time.monotonic() > deadline:
                    return False
                for _ in range(20):
                    await session.query(f"SELECT pg_cancel_backend(pid) {OURS} AND state = 'active'")
        return True

    async def exhaust_the_connections(self, _):
        async with contextlib.AsyncExitStack() as stack:
            first = await self._slot(stack)
            # Those of the pools go, until whoever comes back finds no room.
            for _ in range(MAX_CONNECTIONS - 1):
                while not await self._slot(stack):
                    await first.query(f"SELECT pg_terminate_backend(pid) {OURS}")
            self.held = MAX_CONNECTIONS
            # Nobody but the service still asks for a connection.
            has_bitten = await self.logged("too many clients already", self.cluster.log_size())
            await asyncio.sleep(1)
        return has_bitten

    async def _slot(self, stack):
        session = await Session.open(self.cluster.port)
        if session:
            stack.callback(session.close)
        return session

    async def fill_the_disk(self, since):
        filler = self.cluster.base / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        has_bitten = await self.logged("No space left on device", since)
        await asyncio.sleep(1)
        filler.unlink()
        if not self.cluster.is_up():
            # It gives up when it cannot write its log; whoever runs it starts it again.
            await asyncio.to_thread(self.cluster.start)
        return has_bitten

    def all(self):
        return [self.kill_the_api, self.stop_the_api, self.kill_postgresql, self.crash_postgresql, self.stop_postgresql,
                self.cut_the_line, self.silence_the_line, self.delay_the_line, self.terminate_the_backends,
                self.cancel_the_statements, self.exhaust_the_connections, self.fill_the_disk]
