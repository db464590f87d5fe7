"""A stand-in for CloudFlare's load balancing: monitors, and its rule for a second attempt.

It sends a request to another origin only if it could not connect to the first (CloudFlare's 521, 522, 523, 525 and 526, "zero-downtime
failover"), and once. A request that was sent and got no response is a failure. Its times are shorter than CloudFlare's: a monitor
asks every second instead of every 60, and a response may take 10 s instead of 100.
"""

import asyncio
import collections
import itertools
import ssl
import time

from http_client import Client

INTERVAL, PROBE_TIMEOUT, CONNECT_TIMEOUT, RESPONSE_TIMEOUT = 1, 2, 3, 10
# Probes in a row that change the state of an origin.
THRESHOLD = 2


class LoadBalancer:
    """`origins` are addresses, `source` is one of CloudFlare's."""

    def __init__(self, origins, source, name):
        self.origins, self.source, self.name = origins, source, name
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.healthy, self.turn = set(origins), itertools.count()
        # By phase of the test: requests, failed ones, and those that went to the other origin; responses by phase and origin.
        self.phase, self.sent, self.failures, self.moved = "before", collections.Counter(), collections.defaultdict(list), collections.Counter()
        # The last result of each monitor.
        self.served, self.probes = collections.Counter(), {}

    def connection(self, origin):
        return Client(443, origin, ssl=self.tls, server_hostname=self.name, local_addr=(self.source, 0))

    async def monitor(self, origin):
        """Probes an origin until it is cancelled."""
        streak = 0
        while True:
            try:
                async with self.connection(origin) as client:
                    self.probes[origin] = (await client.request("GET", "/health", headers={"Host": self.name}, timeout=PROBE_TIMEOUT)).status
            except (OSError, EOFError, ValueError) as error:
                self.probes[origin] = repr(error)
            is_up = self.probes[origin] == 200
            streak = streak + 1 if is_up != (origin in self.healthy) else 0
            if streak == THRESHOLD:
                streak = 0
                (self.healthy.add if is_up else self.healthy.discard)(origin)
            await asyncio.sleep(INTERVAL)

    def attempts(self):
        """The healthy origin whose turn it is, and another healthy one."""
        candidates = [origin for origin in self.origins if origin in self.healthy] or self.origins
        start = next(self.turn)
        return [candidates[(start + step) % len(candidates)] for step in range(min(2, len(candidates)))]


class Connections:
    """The connections to the origins that one client's requests take. Unless they are persistent, each request opens its own."""

    def __init__(self, balancer, headers, is_persistent=True):
        self.balancer, self.headers, self.is_persistent = balancer, headers | {"Host": balancer.name}, is_persistent
        self.clients = {origin: balancer.connection(origin) for origin in balancer.origins}

    async def _connect(self):
        for number, origin in enumerate(self.balancer.attempts()):
            client = self.clients[origin]
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await client.connect()
            except OSError:
                client.disconnect()
                continue
            self.balancer.moved[self.balancer.phase] += number
            return origin, client
        raise ConnectionError("no origin can be reached")

    async def request(self, method, path, body=None, headers=None, timeout=None):
        balancer, phase = self.balancer, self.balancer.phase
        balancer.sent[phase] += 1
        name, origin = f"{method} {path} of {time.strftime('%T')}", None
        try:
            origin, client = await self._connect()
            response = await client.request(method, path, body, self.headers | (headers or {}), RESPONSE_TIMEOUT)
        except (OSError, EOFError) as error:
            # A request during which the phase changed belongs to the cut, with which it changed.
            balancer.failures[phase if phase == balancer.phase else "cut"].append(f"{name} to {origin}: {error!r}")
            raise
        finally:
            if not self.is_persistent:
                self.disconnect()
        if response.status >= 500:
            balancer.failures[phase].append(f"{name} to {origin}: {response.status} {response.body[:200]}")
        else:
            balancer.served[phase, origin] += 1
        return response

    def disconnect(self):
        for client in self.clients.values():
            client.disconnect()
