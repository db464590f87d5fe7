"""HTTP/2 by hand, byte for byte: what no client library would send."""

import contextlib
import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# The status if no response came: the stream was reset, or the connection ended.
RESET, GONE = 0, -1
# Where the static table of HPACK has a response's status (RFC 7541, appendix A).
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def connect(address, source, name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    tls = context.wrap_socket(socket.create_connection((address, 443), 5, source_address=(source, 0)), server_hostname=name)
    assert tls.selected_alpn_protocol() == "h2"
    return tls


def frame(kind, flags, stream, payload):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def text(value):
    """A string as it is, with its length in seven bits and more."""
    left, length = len(value) - 127, bytes([min(len(value), 127)])
    while left >= 0:
        length, left = length + bytes([left % 128 | (128 if left > 127 else 0)]), left // 128 or -1
    return length + value


def exchange(address, source, name, headers, data=None):
    """The status of the response to one request, whose headers are sent as they stand; `name` is the server's in the handshake."""
    block = b"".join(b"\0" + text(name.encode("latin-1")) + text(value.encode("latin-1")) for name, value in headers)
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
    sent += frame(HEADERS, END_HEADERS | (END_STREAM if data is None else 0), 1, block)
    if data is not None:
        sent += frame(DATA, END_STREAM, 1, data)
    with connect(address, source, name) as tls:
        tls.settimeout(5)
        with contextlib.suppress(OSError):
            tls.sendall(sent)
            return status(tls)
    return GONE


def status(tls):
    with tls.makefile("rb") as responses:
        while len(head := responses.read(9)) == 9:
            size, kind, stream = int.from_bytes(head[:3], "big"), head[3], int.from_bytes(head[5:], "big")
            payload = responses.read(size)
            if kind == RST_STREAM and stream == 1:
                return RESET
            if kind == GOAWAY:
                return GONE
            if kind == HEADERS:
                # The status comes first: by its number, or as text under the name that number 8 has.
                return STATUSES[payload[0] & 127] if payload[0] & 128 else int(payload[2:5])
    return GONE
