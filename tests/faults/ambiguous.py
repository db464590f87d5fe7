"""Requests about whose end two readers could disagree, so that one of them would find a second request in the first."""

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What follows the head: the hidden request comes first to whoever takes the length for 0, and second to whoever reads a chunk.
BODIES = [HIDDEN, b"0\r\n\r\n" + HIDDEN]
PAIRS = [
    ["Content-Length: 6", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 6"],
    ["Content-Length: 0", f"Content-Length: {len(HIDDEN)}"], [f"Content-Length: 0, {len(HIDDEN)}"], ["Content-Length: +0"],
    ["Content-Length : 0"], ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ["Transfer-Encoding:\x0bchunked"], ["Transfer-Encoding: identity, chunked"], ["X: y\rTransfer-Encoding: chunked"],
    ["Content-Length: 0x0"], [" Content-Length: 0"],
]
# About these nobody disagrees: a second request follows, and a test that does not see it would see none of the others.
PLAIN = [(["Content-Length: 0"], HIDDEN), (["Transfer-Encoding: chunked"], b"0\r\n\r\n" + HIDDEN)]
