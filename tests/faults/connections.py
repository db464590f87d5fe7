"""Slow, silent and malformed connections, and requests that hide a second one (request smuggling)."""

import asyncio
import contextlib
import json
import signal
import socket
import time

from environment import LimitedCluster, Replica
from harness.request_smuggling import BODIES, HEADERS, PIPELINED
from harness.wait import within
from http_client import Client, read_response

LIST = "/api/v1/atividades"
# The bounds of a head and of a body, each with some time for a busy machine.
HEAD_TIMEOUT, BODY_TIMEOUT = 5 + 10, 20 + 10
# A client that is held up by another waits longer than a busy machine takes for a response.
LATENCY_BOUND = 5
# What the process has at most, whatever clients send or do not read. Each of many idle connections takes 10 KB more.
MEMORY_BOUND_MB, IDLE_BOUND_KB = 128, 16
KIB = 1024
HEADER = "X-A: b\r\n"


async def exchange(port, sent, seconds=10):
    """Returns all that the server sends until it closes the connection or is silent."""
    received = b""
    async with within(f"an exchange of {sent[:40]}", 120):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            writer.write(sent)
            await writer.drain()
            while data := await asyncio.wait_for(reader.read(65536), seconds if not received else 0.5):
                received += data
        writer.transport.abort()
    return received


def statuses(received):
    return [int(part[:3]) for part in received.decode("latin-1").split("HTTP/1.1 ")[1:]]


async def without_delay_to_others(port, work):
    """Runs `work`, which takes longer than `LATENCY_BOUND`, while another client sends requests."""
    task, slowest = asyncio.create_task(work), 0
    async with Client(port) as client:
        while not task.done():
            started = time.monotonic()
            response = await client.request("GET", f"{LIST}?limit=10")
            slowest = max(slowest, time.monotonic() - started)
            assert response.status == 200, response.status
            await asyncio.sleep(0.02)
    await task
    assert slowest < LATENCY_BOUND, f"another client waited {slowest:.2f} s"


async def closed_within(connections, seconds):
    """Waits until the server has closed all of them."""
    async def ended(reader):
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass

    async with within(f"the end of {len(connections)} connections", seconds):
        await asyncio.gather(*(ended(reader) for reader, _ in connections))
    for _, writer in connections:
        writer.transport.abort()


async def open_many(port, count, sent=b""):
    connections = []
    async with within(f"the start of {count} connections", 120):
        for start in range(0, count, 200):
            connections += await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(min(200, count - start))))
    for _, writer in connections:
        writer.write(sent)
    return connections


async def idle_connections(replica, count):
    before = replica.usage()

    async def many():
        await closed_within(await open_many(replica.port, count), HEAD_TIMEOUT + 30)

    await without_delay_to_others(replica.port, many())
    await asyncio.sleep(1)
    after = replica.usage()
    assert after["descriptors"] <= before["descriptors"] + 20, (before, after)
    assert after["peak"] < MEMORY_BOUND_MB + count * IDLE_BOUND_KB / KIB, (before, after)
    return after["peak"]


async def half_open_connections(replica):
    """Half a head, and a head without its body."""
    head = b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    halves = await open_many(replica.port, 200, b"GET /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nX-")
    bodies = await open_many(replica.port, 200, head)
    await without_delay_to_others(replica.port, closed_within(halves, HEAD_TIMEOUT))
    await without_delay_to_others(replica.port, closed_within(bodies, BODY_TIMEOUT))


async def slow_writers(replica):
    """A body that takes too long gets a 408; one that arrives in time is read."""
    body = json.dumps({"nome": "aos poucos", "id_projeto": "00000000-0000-7000-8000-00000000dead"}).encode()

    async def drip(pause):
        reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
        head = f"POST {LIST} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode())
        response = asyncio.create_task(read_response(reader))
        with contextlib.suppress(OSError):
            for byte in body:
                if response.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([response], timeout=pause)
        status = (await asyncio.wait_for(response, 5)).status
        writer.transport.abort()
        return status

    async def all_of_them():
        quick, slow = await asyncio.gather(drip(0.01), drip(1))
        assert (quick, slow) == (400, 408), (quick, slow)

    await without_delay_to_others(replica.port, all_of_them())


async def slow_readers(replica):
    """Clients that request much and read nothing."""
    before = replica.usage()
    readers = []

    async def open_readers():
        for _ in range(100):
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            async with within("a connection that is not read", 30):
                await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", replica.port))
            raw.send((f"GET {LIST}?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + f"GET {LIST}?formato=csv HTTP/1.1\r\nHost: localhost\r\n\r\n").encode())
            readers.append(raw)
            # The test is about clients that do not read, and not about as many requests at once.
            await asyncio.sleep(0.05)
        await asyncio.sleep(5)

    await without_delay_to_others(replica.port, open_readers())
    during = replica.usage()
    for raw in readers:
        raw.close()
    assert during["peak"] < MEMORY_BOUND_MB, (before, during)
    await asyncio.sleep(2)
    assert replica.usage()["descriptors"] <= before["descriptors"] + 20, (before, replica.usage())
    return during["rss"] - before["rss"]


def post(body, *headers):
    head = [f"POST {LIST} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(size):
    """A body of `size` blanks, in chunks of 64 KiB."""
    sizes = [64 * KIB] * (size // (64 * KIB)) + [size % (64 * KIB)] * (size % (64 * KIB) > 0)
    return b"".join(b"%x\r\n%b\r\n" % (chunk, b" " * chunk) for chunk in sizes) + b"0\r\n\r\n"


async def limits(replica):
    """A request at a limit is served; one beyond it gets the status of that limit."""
    def sized(size):
        return post(b" " * (size - 2) + b"{}", f"Content-Length: {size}")

    assert statuses(await exchange(replica.port, sized(KIB * KIB))) == [422]
    assert statuses(await exchange(replica.port, sized(KIB * KIB + 1))) == [413]
    for size, status in ((KIB * KIB, 422), (KIB * KIB + 1, 413), (17 * 64 * KIB, 413)):
        assert statuses(await exchange(replica.port, post(chunked(size), "Transfer-Encoding: chunked"))) == [status], size
    assert statuses(await exchange(replica.port, post(b"", "Content-Length: 99999999999999999999"))) in ([400], [413])
    for sent, status in (
        (f"GET {LIST}?q={'a' * 8000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\n{95 * HEADER}\r\n", 200),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\n{96 * HEADER}\r\n", 431),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {'a' * 127 * KIB}\r\n\r\n", 200),
        # Without its end: a head of that size passes if the server reads its end together with it.
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {'a' * 128 * KIB}", 431),
        (f"GET /{'a' * 63 * KIB} HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (f"GET /{'a' * (64 * KIB - 3)} HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (f"GET /{'a' * (64 * KIB - 2)} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (f"GET /{'a' * 200 * KIB} HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    ):
        found = statuses(await exchange(replica.port, sent.encode()))
        # Which of the two limits the last one meets first depends on how it is read.
        assert found == [status] or status is None and found in ([400], [431]), (sent[:40], len(sent), found)


MALFORMED = [
    b"\r\n\r\n\r\n", b"\0\0\0\0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\n\n" + b"\xff" * 10,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://elsewhere/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G\xc3\x89T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
    b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET /api/v1/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


async def malformed_requests(replica):
    responses = await asyncio.gather(*(exchange(replica.port, sent, seconds=HEAD_TIMEOUT) for sent in MALFORMED))
    for sent, received in zip(MALFORMED, responses, strict=True):
        found = statuses(received)
        assert all(status < 500 or status == 501 for status in found), (sent, found)


async def smuggling(replica):
    """An ambiguous request gets a 400 and closes the connection, so that the bytes after it are never a second request."""
    for headers, body in PIPELINED:
        found = statuses(await exchange(replica.port, post(body, *headers)))
        assert found == [422, 404], f"{headers}: the second request gets no response: {found}"
    ambiguous = [(headers, body) for headers in HEADERS for body in BODIES]
    responses = await asyncio.gather(*(exchange(replica.port, post(body, *headers)) for headers, body in ambiguous))
    for (headers, body), received in zip(ambiguous, responses, strict=True):
        assert statuses(received) == [400], f"{headers} {body[:5]}: {received[:500]}"


async def run(binary, base, *, idle):
    cluster = LimitedCluster(base)
    replica = Replica(binary, base, cluster.url(), "connections")
    try:
        await replica.wait_ready()
        async with Client(replica.port) as client:
            projeto = json.loads((await client.request("POST", "/api/v1/projetos", b'{"nome": "P"}')).body)["id"]
            items = [{"nome": f"A {n}", "descricao": "x" * 500, "id_projeto": projeto} for n in range(1000)]
            for _ in range(2):
                response = await client.request("POST", f"{LIST}/lote", json.dumps({"items": items}).encode())
                assert response.status == 201, response.body
        await limits(replica)
        await smuggling(replica)
        await asyncio.gather(malformed_requests(replica), half_open_connections(replica), slow_writers(replica))
        held = await slow_readers(replica)
        peak = await idle_connections(replica, idle)
        assert replica.process.is_running() and "panicked" not in replica.log(), replica.log()[-2000:]
        return {"idle connections": idle, "malformed requests": len(MALFORMED), "ambiguous ones": len(HEADERS) * len(BODIES),
                "MB for 100 clients that do not read": held, "MB at most": peak}
    finally:
        replica.stop(signal.SIGKILL)
        cluster.close()
