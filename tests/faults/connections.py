"""Clients that dawdle, fall silent, send what is no HTTP or hide a second request in the first."""

import asyncio
import contextlib
import json
import socket
import time

from ambiguous import BODIES, PAIRS, PLAIN
from world import Api, Client, Cluster, read_answer

LIST = "/api/v1/atividades"
# How long a connection may be open without a whole request, and a body take, and some time for a busy machine.
SILENCE, BODY = 5 + 10, 20 + 10
# Whoever is held up waits for as long as it takes; a busy machine alone takes less.
NOTICE = 5
KIB = 1024
HEADER = "X-A: b\r\n"


async def exchange(port, sent, seconds=10):
    """All that comes back on a connection that is then closed by the other side, or is quiet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        writer.write(sent)
        await writer.drain()
        while data := await asyncio.wait_for(reader.read(65536), seconds if not got else 0.5):
            got += data
    writer.transport.abort()
    return got


def statuses(got):
    """The statuses of the answers in `got`."""
    return [int(part[:3]) for part in got.decode("latin-1").split("HTTP/1.1 ")[1:]]


async def others_notice_nothing(port, work):
    """Runs `work`, which takes longer than `NOTICE`, while somebody else asks."""
    task, slowest = asyncio.create_task(work), 0
    async with Client(port) as client:
        while not task.done():
            began = time.monotonic()
            answer = await client.ask("GET", f"{LIST}?limit=10")
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status == 200, answer.status
            await asyncio.sleep(0.02)
    await task
    assert slowest < NOTICE, f"somebody else waited {slowest:.2f} s"


async def closed_within(connections, seconds):
    """Waits until the other side has closed all of them."""
    async def ended(reader):
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass

    await asyncio.wait_for(asyncio.gather(*(ended(reader) for reader, _ in connections)), seconds)
    for _, writer in connections:
        writer.transport.abort()


async def open_many(port, count, sent=b""):
    connections = []
    for start in range(0, count, 200):
        connections += await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(min(200, count - start))))
    for _, writer in connections:
        writer.write(sent)
    return connections


async def idle_connections(api, count):
    before = api.status()

    async def many():
        await closed_within(await open_many(api.port, count), SILENCE + 30)

    await others_notice_nothing(api.port, many())
    await asyncio.sleep(1)
    after = api.status()
    assert after["descriptors"] <= before["descriptors"] + 20, (before, after)
    return after["peak"]


async def half_open_connections(api):
    """Half a head, a head without its body, and answers that nobody waits for."""
    head = b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    halves = await open_many(api.port, 200, b"GET /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nX-")
    bodies = await open_many(api.port, 200, head)
    await others_notice_nothing(api.port, closed_within(halves, SILENCE))
    await others_notice_nothing(api.port, closed_within(bodies, BODY))


async def slow_writers(api):
    """A byte now and then is no reason to wait for ever, and what comes in time is taken."""
    body = json.dumps({"nome": "aos poucos", "id_projeto": "00000000-0000-7000-8000-00000000dead"}).encode()

    async def drip(pause):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = f"POST {LIST} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode())
        answering = asyncio.create_task(read_answer(reader))
        with contextlib.suppress(OSError):
            for byte in body:
                if answering.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([answering], timeout=pause)
        answer = await asyncio.wait_for(answering, 5)
        writer.transport.abort()
        return answer.status

    async def all_of_them():
        quick, slow = await asyncio.gather(drip(0.01), drip(1))
        assert (quick, slow) == (422, 408), (quick, slow)

    await others_notice_nothing(api.port, all_of_them())


async def slow_readers(api):
    """Each asks for much and takes none of it."""
    before = api.status()
    readers = []

    async def many():
        for _ in range(100):
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", api.port))
            raw.send((f"GET {LIST}?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + f"GET {LIST}?formato=csv HTTP/1.1\r\nHost: localhost\r\n\r\n").encode())
            readers.append(raw)
            # What is tried is that they do not read, and not that they all ask for much at once.
            await asyncio.sleep(0.05)
        await asyncio.sleep(5)

    await others_notice_nothing(api.port, many())
    during = api.status()
    for raw in readers:
        raw.close()
    assert during["rss"] < before["rss"] + 200, (before, during)
    await asyncio.sleep(2)
    assert api.status()["descriptors"] <= before["descriptors"] + 20, (before, api.status())
    return during["rss"] - before["rss"]


def post(body, *headers):
    head = [f"POST {LIST} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(size):
    """A body of `size` blanks, in chunks of 64 KiB."""
    sizes = [64 * KIB] * (size // (64 * KIB)) + [size % (64 * KIB)] * (size % (64 * KIB) > 0)
    return b"".join(b"%x\r\n%b\r\n" % (chunk, b" " * chunk) for chunk in sizes) + b"0\r\n\r\n"


async def limits(api):
    """At a limit it is taken for what it is, beyond it refused by name."""
    def sized(size):
        return post(b" " * (size - 2) + b"{}", f"Content-Length: {size}")

    assert statuses(await exchange(api.port, sized(KIB * KIB))) == [422]
    assert statuses(await exchange(api.port, sized(KIB * KIB + 1))) == [413]
    for size, status in ((KIB * KIB, 422), (KIB * KIB + 1, 413), (17 * 64 * KIB, 413)):
        assert statuses(await exchange(api.port, post(chunked(size), "Transfer-Encoding: chunked"))) == [status], size
    assert statuses(await exchange(api.port, post(b"", "Content-Length: 99999999999999999999"))) in ([400], [413])
    for sent, status in (
        (f"GET {LIST}?q={'a' * 8000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\n{95 * HEADER}\r\n", 200),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\n{96 * HEADER}\r\n", 431),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {'a' * 127 * KIB}\r\n\r\n", 200),
        # As much without an end is waited for no longer; what happens to be read at once together with its end passes.
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {'a' * 128 * KIB}", 431),
        (f"GET /{'a' * 63 * KIB} HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (f"GET /{'a' * (64 * KIB - 3)} HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (f"GET /{'a' * (64 * KIB - 2)} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (f"GET /{'a' * 200 * KIB} HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    ):
        got = statuses(await exchange(api.port, sent.encode()))
        # Which of the two limits the last one meets first depends on how it is read.
        assert got == [status] or status is None and got in ([400], [431]), (sent[:40], len(sent), got)


BROKEN = [
    b"\r\n\r\n\r\n", b"\0\0\0\0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\n\n" + b"\xff" * 10,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://elsewhere/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G\xc3\x89T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
    b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    b"POST /api/v1/atividades HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET /api/v1/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


async def broken_http(api):
    answers = await asyncio.gather(*(exchange(api.port, sent, seconds=SILENCE) for sent in BROKEN))
    for sent, answer in zip(BROKEN, answers, strict=True):
        got = statuses(answer)
        assert all(status < 500 or status == 501 for status in got), (sent, got)


async def smuggling(api):
    """What is ambiguous is refused and the connection closed: what follows is never a second request."""
    for headers, body in PLAIN:
        got = statuses(await exchange(api.port, post(body, *headers)))
        assert got == [422, 404], f"{headers}: a second request is not seen: {got}"
    tried = [(headers, body) for headers in PAIRS for body in BODIES]
    answers = await asyncio.gather(*(exchange(api.port, post(body, *headers)) for headers, body in tried))
    for (headers, body), answer in zip(tried, answers, strict=True):
        assert statuses(answer) == [400], f"{headers} {body[:5]}: {answer[:500]}"


async def run(binary, base, *, idle):
    cluster = Cluster(base)
    api = Api(binary, base, cluster.url(), "connections")
    try:
        await api.ready()
        async with Client(api.port) as client:
            projeto = json.loads((await client.ask("POST", "/api/v1/projetos", b'{"nome": "P"}')).body)["id"]
            items = [{"nome": f"A {n}", "descricao": "x" * 500, "id_projeto": projeto} for n in range(1000)]
            for _ in range(2):
                answer = await client.ask("POST", f"{LIST}/lote", json.dumps({"items": items}).encode())
                assert answer.status == 201, answer.body
        await limits(api)
        await smuggling(api)
        await asyncio.gather(broken_http(api), half_open_connections(api), slow_writers(api))
        held = await slow_readers(api)
        peak = await idle_connections(api, idle)
        assert api.process.poll() is None and "panicked" not in api.log(), api.log()[-2000:]
        return {"idle connections": idle, "broken requests": len(BROKEN), "ambiguous ones": len(PAIRS) * len(BODIES),
                "MB for 100 who do not read": held, "MB at most": peak}
    finally:
        api.end()
        cluster.end()
