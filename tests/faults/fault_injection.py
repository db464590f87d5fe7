"""Faults of the service, of its database and of the network between them. Each fault proves that it had an effect."""

import asyncio
import collections
import contextlib
import random
import signal

from environment import MAX_CONNECTIONS, logs
from harness.wait import StepTimeout, wait_until_async
from postgres_session import Session

BACKENDS = "FROM pg_stat_activity WHERE application_name = 'aponta'"
# How long a fault may take to have an effect, on a busy machine as well.
EFFECT_TIMEOUT = 20
DISK_MB = 400


class FaultInjector:
    """Each fault breaks something for a moment, repairs it, and returns whether its effect was seen."""

    def __init__(self, cluster, replicas, proxy):
        self.cluster, self.replicas, self.proxy, self.random = cluster, replicas, proxy, random.Random(1)
        self.injected, self.effective, self.connections_held = collections.Counter(), collections.Counter(), 0

    async def inject(self, fault):
        self.injected[fault.__name__] += 1
        self.effective[fault.__name__] += bool(await fault(self.cluster.log_size()))

    async def logged(self, text, since):
        """Waits until PostgreSQL has logged `text`. Returns False if it does not."""
        async def has_logged():
            return text in self.cluster.log(since)

        with contextlib.suppress(StepTimeout):
            return await wait_until_async(text, has_logged, EFFECT_TIMEOUT, interval=0.02)
        return False

    async def _restart_replica(self, number):
        replica = self.random.choice(self.replicas)
        exit_code = await asyncio.to_thread(replica.stop, number)
        replica.start()
        return exit_code

    async def kill_replica(self, _):
        return await self._restart_replica(signal.SIGKILL) == -signal.SIGKILL

    async def stop_replica(self, _):
        return await self._restart_replica(signal.SIGTERM) == 0

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
        # The server logs the second line for a client that was connected.
        return await self.logged("received fast shutdown request", since) and await self.logged("terminating connection", since)

    async def drop_connections(self, _):
        before = self.proxy.dropped
        for _ in range(3):
            self.proxy.drop_connections()
            await asyncio.sleep(0.1)
        return self.proxy.dropped > before

    async def stall_connections(self, _):
        before = self.proxy.stalled
        self.proxy.forwarding.clear()
        await asyncio.sleep(1.5)
        self.proxy.forwarding.set()
        return self.proxy.stalled > before

    async def delay_connections(self, _):
        before = self.proxy.delayed
        self.proxy.delay = 0.05
        await asyncio.sleep(1)
        self.proxy.delay = 0
        return self.proxy.delayed > before

    async def terminate_backends(self, since):
        await asyncio.to_thread(self.cluster.sql, f"SELECT count(pg_terminate_backend(pid)) {BACKENDS}")
        return await self.logged("terminating connection due to administrator command", since)

    async def cancel_statements(self, since):
        async with contextlib.AsyncExitStack() as stack:
            session = await self._open_session(stack)

            async def cancelled():
                # Most statements end before a cancellation reaches them.
                for _ in range(20):
                    await session.query(f"SELECT pg_cancel_backend(pid) {BACKENDS} AND state = 'active'")
                return self.cluster.log(since).count("canceling statement due to user request") >= 5

            with contextlib.suppress(StepTimeout):
                return await wait_until_async("five cancelled statements", cancelled, EFFECT_TIMEOUT, interval=0)
        return False

    async def exhaust_connections(self, _):
        async with contextlib.AsyncExitStack() as stack:
            first = await self._open_session(stack)

            async def take_connection():
                session = await self._open_session(stack)
                if session is None:
                    # Takes those of the pools, which connect again.
                    await first.query(f"SELECT pg_terminate_backend(pid) {BACKENDS}")
                return session

            for number in range(2, MAX_CONNECTIONS + 1):
                step = f"connection {number} of {MAX_CONNECTIONS}"
                await wait_until_async(step, take_connection, EFFECT_TIMEOUT, log=logs(self.cluster, *self.replicas), interval=0)
            self.connections_held = MAX_CONNECTIONS
            # From here on the service alone asks for connections.
            has_effect = await self.logged("too many clients already", self.cluster.log_size())
            await asyncio.sleep(1)
        return has_effect

    async def _open_session(self, stack):
        session = await Session.open(self.cluster.port)
        if session:
            stack.callback(session.close)
        return session

    async def fill_disk(self, since):
        filler = self.cluster.disk / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            for _ in range(DISK_MB):
                file.write(b"\0" * (1 << 20))
                file.flush()
        has_effect = await self.logged("No space left on device", since)
        await asyncio.sleep(1)
        filler.unlink()
        if not self.cluster.is_running():
            # PostgreSQL stops where it cannot write WAL; a supervisor would start it again.
            await asyncio.to_thread(self.cluster.start)
        return has_effect

    def all(self):
        return [self.kill_replica, self.stop_replica, self.kill_postgresql, self.crash_postgresql, self.stop_postgresql,
                self.drop_connections, self.stall_connections, self.delay_connections, self.terminate_backends,
                self.cancel_statements, self.exhaust_connections, self.fill_disk]
