"""Ambiguous requests: two parsers may disagree on where they end, so that one of them finds a second request inside."""

SMUGGLED = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
# A parser that takes the length for 0 finds the second request at once; a parser of chunks finds it after the last chunk.
BODIES = [SMUGGLED, b"0\r\n\r\n" + SMUGGLED]
HEADERS = [
    ["Content-Length: 6", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 6"],
    ["Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"], [f"Content-Length: 0, {len(SMUGGLED)}"], ["Content-Length: +0"],
    ["Content-Length : 0"], ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ["Transfer-Encoding:\x0bchunked"], ["Transfer-Encoding: identity, chunked"], ["X: y\rTransfer-Encoding: chunked"],
    ["Content-Length: 0x0"], [" Content-Length: 0"],
]
# The control: unambiguous requests, each followed by a second one that every parser finds.
PIPELINED = [(["Content-Length: 0"], SMUGGLED), (["Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED)]
