#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""framing_h2 - HTTP/2 requests that would be two, or another, when written as HTTP/1 to the origin.

Usage: tests/fault/framing_h2.py BRIM [--list]     (exit status 77 without Debian's python3-hpack)

Each case is a header block, and maybe a body and trailers, on a connection of its own, made with no
regard for what may stand in them. A strict origin, as in framing.py, notes what reaches it.

  REFUSED  4xx, a stream error, or the end of the connection; the origin has seen nothing
  ONE      the origin has seen exactly this one request, with the body that the case says
  EITHER   one of the two, where the RFCs leave the choice
"""

import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import raw_cases  # noqa: E402
import strict_origin  # noqa: E402

try:
    import hpack
except ImportError:
    hpack = None

REFUSED, ONE, EITHER = "REFUSED", "ONE", "EITHER"
SECONDS = 60
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INJECTED = b"GET /admin?case=%NUMBER% HTTP/1.1\r\nHost: t.example\r\n\r\n"


def pseudo(method=b"GET", path=b"/p?%CASE%", scheme=b"http", authority=b"t.example"):
    given = ((b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path))
    return [(name, value) for name, value in given if value is not None]


class Cases:
    def __init__(self):
        self.all = []  # (what, header list, expected, body or None, trailers or None)

    def add(self, what, headers, expected, body=None, trailers=None):
        self.all.append((what, headers, expected, body, trailers))

    def field(self, name, value, expected=REFUSED):
        self.add(f"field {name}: {value[:40]}", pseudo() + [(name, value)], expected)


def names(cases):
    for code in [*range(0, 33), 127]:
        cases.field(b"x-" + bytes([code]) + b"a", b"b")
    for name in (b"X-Upper", b"x y", b"x:y", b"x(y)", b'x"y', b"x,y", b"x/y", b"x;y", b"x@y", b"x[y]",
                 b"x{y}", b"x\xc3\xa9", b"", b" x", b"x ", b"x\r\nhost", b"x: y\r\nevil",
                 b"content-length: 0\r\n\r\nGET /x HTTP/1.1\r\na"):
        cases.field(name, b"b")


def values(cases):
    for code in [*range(0, 9), *range(10, 32), 127]:
        cases.field(b"x-a", b"b" + bytes([code]) + b"c")
    for value in (b"b\r\nx-evil: c", b"b\r\n\r\n" + INJECTED, b"b\nx-evil: c", b"b\rx-evil: c",
                  b"b\x00", b"\r\n", b"\n", b"b\r\n folded"):
        cases.field(b"x-a", value)
    for value in (b" b", b"b ", b"\tb", b"b\tc", b"", b"\xc3\xa9"):
        cases.field(b"x-a", value, EITHER)
    cases.field(b"x-a", b"b, c; d=\"e\"", ONE)


def pseudo_fields(cases):
    for name in (b":method", b":path", b":scheme", b":authority"):
        left = [(n, v) for n, v in pseudo() if n != name]
        cases.add(f"no {name}", left, REFUSED)
        cases.add(f"an empty {name}", left + [(name, b"")],
                  EITHER if name == b":scheme" else REFUSED)
        cases.add(f"{name} twice", pseudo() + [(name, dict(pseudo())[name])], REFUSED)
        cases.add(f"{name} behind a field", left + [(b"x-a", b"b"), (name, dict(pseudo())[name])],
                  REFUSED)
    for name in (b":status", b":evil", b":", b":protocol", b":Path", b":path "):
        cases.add(f"pseudo field {name}", pseudo() + [(name, b"200")], REFUSED)
    for method in (b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET", b"G T", b"GET\r\n", b"GE\x00T", b"GET ",
                   b" GET", b"G\xc3\xa9T", b"GET:", b"CONNECT", b"TRACE"):
        cases.add(f"method {method}", pseudo(method=method), REFUSED)
    for path in (b"/ HTTP/1.1\r\nHost: evil\r\n\r\n" + INJECTED, b"/a b?%CASE%", b"/a\r\nx?%CASE%",
                 b"/a\nb?%CASE%", b"/a\x00b?%CASE%", b"/a\tb?%CASE%", b"a?%CASE%", b"*", b"",
                 b"http://t.example/?%CASE%", b"/a?%CASE%#b", b"/a\\b?%CASE%", b"/\xc3\xa9?%CASE%",
                 b"/%00?%CASE%", b"/%?%CASE%", b"/%zz?%CASE%", b"?%CASE%", b" /a?%CASE%",
                 b"/a?%CASE% ", b"/../a?%CASE%", b"/%2e%2e/a?%CASE%", b"/a\x7f?%CASE%"):
        cases.add(f"path {path[:40]}", pseudo(path=path), REFUSED)
    for scheme in (b"ftp", b"http://t.example/x?", b"http\r\n", b"", b"javascript", b"HTTP:"):
        # libh2o reads whatever is not "https" as "http", before anybody else sees it, and then it
        # is the connection's that counts (t00032.vtc): one meaning, and the key says the same.
        cases.add(f"scheme {scheme}", pseudo(scheme=scheme), EITHER)
    # What a proxy before us may say of its own client.
    cases.add("scheme https in cleartext", pseudo(scheme=b"https"), ONE)


def hosts(cases):
    for authority in (b"u@t.example", b"t.example/x", b"t.example?x", b"t.example#x", b"t example",
                      b"t.example\r\nx: y", b"t.example\x00", b"t.example:x", b"t.example:65536",
                      b"t.example, other", b"[::1", b"http://t.example", b"\xc3\xa9.example",
                      b"t.example\\x", b" t.example", b"t.example "):
        cases.add(f"authority {authority}", pseudo(authority=authority), REFUSED)
    # libh2o drops Host beside :authority, before anybody else sees it: site, key and origin have one.
    cases.add("another host", pseudo() + [(b"host", b"other.example")], EITHER)
    cases.add("the same host", pseudo() + [(b"host", b"t.example")], EITHER)
    cases.add("two hosts", pseudo() + [(b"host", b"t.example"), (b"host", b"t.example")], EITHER)
    cases.add("only a host", pseudo(authority=None) + [(b"host", b"t.example")], EITHER)
    cases.add("only a bad host", pseudo(authority=None) + [(b"host", b"t.example\r\nx: y")], REFUSED)


def connection_fields(cases):
    for name, value in ((b"connection", b"close"), (b"connection", b"x-a"), (b"keep-alive", b"5"),
                        (b"proxy-connection", b"close"), (b"transfer-encoding", b"chunked"),
                        (b"transfer-encoding", b"identity"), (b"upgrade", b"h2c"), (b"te", b"gzip"),
                        (b"te", b"trailers, gzip"), (b"http2-settings", b"AAMAAABkAAQAAP__")):
        cases.field(name, value, EITHER if name == b"http2-settings" else REFUSED)
    cases.field(b"te", b"trailers", ONE)
    cases.add("a coding and a body", pseudo(b"POST") + [(b"transfer-encoding", b"chunked")], REFUSED,
              b"0\r\n\r\n" + INJECTED)
    cases.add("cookies in pieces", pseudo() + [(b"cookie", b"a=b"), (b"cookie", b"c=d")], ONE)


def bodies(cases):
    post = pseudo(b"POST")
    cases.add("a body", post, ONE, b"hello")
    cases.add("a body with its length", post + [(b"content-length", b"5")], ONE, b"hello")
    cases.add("a body that is a request", post, ONE, b"0\r\n\r\n" + INJECTED)
    for value in (b"4", b"6", b"0", b"5, 5", b"+5", b"-5", b"5 5", b"0x5", b"", b"a", b"5\r\nx: y",
                  b"99999999999999999999", b"18446744073709551621"):
        cases.add(f"length {value} of 5", post + [(b"content-length", value)], REFUSED, b"hello")
    for value in (b"05", b" 5", b"5 "):
        cases.add(f"length {value}", post + [(b"content-length", value)], EITHER, b"hello")
    cases.add("two lengths", post + [(b"content-length", b"5"), (b"content-length", b"0")], REFUSED,
              b"hello")
    cases.add("a length and no body", post + [(b"content-length", b"5")], REFUSED)
    cases.add("trailers", post, EITHER, b"hello", [(b"x-t", b"1")])
    for trailers in ([(b":path", b"/x")], [(b":status", b"200")], [(b"x-t", b"1\r\nevil: 2")],
                     [(b"X-T", b"1")], [(b"x t", b"1")]):
        cases.add(f"trailers {trailers}", post, EITHER, b"hello", trailers)


# ---- asking ----

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + \
        payload


def read_exactly(connection, count):
    got = b""
    while len(got) < count:
        piece = connection.recv(count - len(got))
        if not piece:
            raise ConnectionResetError
        got += piece
    return got


def outcome(connection):
    """The status of stream 1, "reset" or "closed"."""
    decoder = hpack.Decoder()
    try:
        while True:
            head = read_exactly(connection, 9)
            payload = read_exactly(connection, int.from_bytes(head[:3], "big"))
            kind, stream = head[3], int.from_bytes(head[5:9], "big")
            if kind == SETTINGS and not head[4] & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            elif kind == HEADERS and stream == 1:
                return int(dict(decoder.decode(payload, raw=True))[b":status"])
            elif kind == RST_STREAM and stream == 1:
                return "reset"
            elif kind == GOAWAY:
                return "closed"
    except ConnectionError:
        return "closed"
    except TimeoutError:
        return "silence"


def run_case(port, origin, number, case):
    what, headers, expected, body, trailers = case
    encoder = hpack.Encoder()

    def fill(text):
        return text.replace(b"%CASE%", b"case=%d" % number).replace(b"%NUMBER%", b"%d" % number)

    def block(fields):
        return encoder.encode([(fill(name), fill(value)) for name, value in fields])

    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        last = body is None and trailers is None
        raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(
            HEADERS, END_HEADERS | (END_STREAM if last else 0), 1, block(headers))
        if body is not None:
            raw += frame(DATA, END_STREAM if trailers is None else 0, 1, fill(body))
        if trailers is not None:
            raw += frame(HEADERS, END_HEADERS | END_STREAM, 1, block(trailers))
        try:
            connection.sendall(raw)
        except ConnectionError:
            pass
        got = outcome(connection)
    with origin.lock:
        seen = list(origin.seen.get(number, []))
    refused = not seen and (got in ("reset", "closed") or isinstance(got, int) and 400 <= got < 600)
    one = len(seen) == 1 and seen[0][2] == fill(body or b"") and got == 200
    if {REFUSED: refused, ONE: one, EITHER: refused or one}[expected]:
        return None
    return f"case {number}, {what}: {expected}, but {got}, and the origin saw {seen}"


def main():
    if hpack is None:
        print("framing_h2: skipped: python3-hpack is missing")
        return 77
    cases = Cases()
    for add in (names, values, pseudo_fields, hosts, connection_fields, bodies):
        add(cases)
    return raw_cases.run("framing_h2", cases.all, (REFUSED, ONE, EITHER), strict_origin.Origin,
                         run_case)


if __name__ == "__main__":
    sys.exit(main())
