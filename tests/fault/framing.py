#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""framing - requests that two servers could read in two ways: the origin sees one, or none.

Usage: tests/fault/framing.py BRIM [--list]

Every case is raw bytes on a connection of its own, with a second request, the canary, behind it. A
strict origin, which reads by the letter of RFC 9112 and nothing else, notes what reaches it. A case
says what must come of it:

  REFUSED  4xx or 501 or 505, the connection is closed, and the origin has seen nothing: neither the
           case nor its canary
  ONE      the origin has seen exactly this one request, with the body that the case says, and the
           canary after it
  EITHER   one of the two, where the RFCs leave the choice

The cases are made from the grammar (each byte that it excludes, in each place) and from what is
known of request smuggling: lengths and codings in two voices, names that only some servers read,
line ends that only some accept, targets and hosts that disagree.
"""

import re
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import raw_cases  # noqa: E402
import strict_origin  # noqa: E402

REFUSED, ONE, EITHER = "REFUSED", "ONE", "EITHER"
SECONDS = 60
TARGET_MAX, HEADER_MAX, FIELDS_MAX = 8192, 32768, 100
CANARY = "/canary"


# ---- the cases ----

class Cases:
    def __init__(self):
        self.all = []  # (what, bytes with %CASE%, expected, body)

    def add(self, what, raw, expected, body=b""):
        self.all.append((what, raw, expected, body))

    def fields(self, what, lines, expected, body=b"", rest=b"", method=b"POST"):
        """A request with these field lines, ended by CRLF each."""
        self.add(what, method + b" /%CASE% HTTP/1.1\r\nHost: t.example\r\n" +
                 b"".join(line + b"\r\n" for line in lines) + b"\r\n" + rest, expected, body)


def lengths(cases):
    # White space behind a value is nothing to RFC 9112 and refused by libh2o, in these two fields.
    good = {b"5": ONE, b" 5": ONE, b"\t5": ONE, b" 5 ": EITHER, b"5\t": EITHER, b"05": EITHER}
    bad = (b"", b" ", b"+5", b"-5", b"-0", b"0x5", b"5 5", b"5,5", b"5, 5", b"5;", b"5.0", b"5e0", b"5\x0b",
           b"\x0c5", b"\xa05", b"5a", b"a", b"'5'", b'"5"', b"5\x00", b"\xd9\xa5", b"1_0", b"0b101",
           b"99999999999999999999", b"18446744073709551621", b"4294967301" * 3)
    for value, expected in good.items():
        cases.fields(f"length {value}", [b"Content-Length:" + value], expected, b"hello", b"hello")
    for value in bad:
        cases.fields(f"length {value}", [b"Content-Length: " + value], REFUSED, rest=b"hello")
    for first, second in ((b"5", b"5"), (b"5", b"6"), (b"0", b"5"), (b"5", b"0"), (b"5", b"")):
        cases.fields(f"lengths {first} {second}", [b"Content-Length: " + first,
                                                   b"Content-Length: " + second], REFUSED,
                     rest=b"hello")
        cases.fields(f"lengths {first} {second}, apart",
                     [b"content-length: " + first, b"X: y", b"CONTENT-LENGTH: " + second], REFUSED,
                     rest=b"hello")
    for name in (b"Content-Length ", b"Content-Length\t", b" Content-Length", b"\tContent-Length",
                 b"Content-Length\x00", b"Content-Length\x0b", b"Content Length"):
        cases.fields(f"name {name}", [name + b": 5"], REFUSED, rest=b"hello")
    for name in (b"Content_Length", b"Content-Lengths", b"X-Content-Length"):
        cases.fields(f"name {name}", [name + b": 5"], ONE)


def codings(cases):
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    for value in (b"chunked", b" chunked ", b"\tchunked", b"Chunked", b"CHUNKED"):
        cases.fields(f"coding {value}", [b"Transfer-Encoding:" + value],
                     EITHER if value.endswith(b" ") else ONE, b"hello", chunked)
        cases.fields(f"coding {value} and a length",
                     [b"Transfer-Encoding:" + value, b"Content-Length: 5"], REFUSED, rest=chunked)
        cases.fields(f"a length and coding {value}",
                     [b"Content-Length: 5", b"Transfer-Encoding:" + value], REFUSED, rest=chunked)
    for value in (b"", b"xchunked", b"chunkedx", b"chunked,", b",chunked", b"chunked, identity",
                  b"identity, chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip",
                  b"chunked, chunked", b"chunked;q=1", b"chunked; x", b'"chunked"', b"'chunked'",
                  b"chun ked", b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"\xa0chunked",
                  b"chunked\x85", b"cow, chunked", b"trailers", b"deflate", b"compress, chunked",
                  b"chunke", b"chunKed x"):
        cases.fields(f"coding {value}", [b"Transfer-Encoding: " + value], REFUSED, rest=chunked)
        cases.fields(f"coding {value} and a length",
                     [b"Content-Length: 15", b"Transfer-Encoding: " + value], REFUSED, rest=chunked)
    for second in (b"chunked", b"identity", b"x", b""):
        cases.fields(f"codings chunked {second}", [b"Transfer-Encoding: chunked",
                                                   b"Transfer-Encoding: " + second], REFUSED,
                     rest=chunked)
        cases.fields(f"codings {second} chunked", [b"Transfer-Encoding: " + second,
                                                   b"Transfer-Encoding: chunked"], REFUSED,
                     rest=chunked)
    for name in (b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding",
                 b"Transfer-Encoding\x00", b"Transfer-Encoding\x0b", b"X\nTransfer-Encoding",
                 b"X\rTransfer-Encoding", b"X: y\nTransfer-Encoding", b"X: y\rTransfer-Encoding"):
        cases.fields(f"name {name}", [name + b": chunked"], REFUSED, rest=chunked)
    for name in (b"Transfer_Encoding", b"TransferEncoding", b"X-Transfer-Encoding",
                 b"Transfer-Encodin"):
        cases.fields(f"name {name}", [b"Content-Length: 15", name + b": chunked"], ONE, chunked,
                     chunked)
    cases.fields("folded coding", [b"Transfer-Encoding:\r\n chunked"], REFUSED, rest=chunked)
    cases.add("coding on HTTP/1.0", b"POST /%CASE% HTTP/1.0\r\nHost: t.example\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n" + chunked, REFUSED)


def chunks(cases):
    def add(what, rest, expected, body=b""):
        cases.fields(f"chunks: {what}", [b"Transfer-Encoding: chunked"], expected, body, rest)

    add("one", b"5\r\nhello\r\n0\r\n\r\n", ONE, b"hello")
    add("two", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", ONE, b"hello")
    add("none", b"0\r\n\r\n", ONE)
    add("hex in capitals", b"A\r\n0123456789\r\n0\r\n\r\n", ONE, b"0123456789")
    for size in (b"", b"g", b"0x5", b"-5", b"+5", b" 5", b"5\x00", b"5\x0b", b"\t5", b"5,", b"'5'",
                 b"5 hello", b"5.", b"\xff", b"FFFFFFFFFFFFFFFFF", b"10000000000000005", b"5h"):
        add(f"size {size}", size + b"\r\nhello\r\n0\r\n\r\n", REFUSED)
    for size in (b"5;x", b"5;x=y", b'5;x="y"', b"5 ;x", b"05", b"0000000005", b"5 ", b"5\t"):
        add(f"size {size}", size + b"\r\nhello\r\n0\r\n\r\n", EITHER, b"hello")
    for extension in (b"5;\n", b"5;x\ny", b"5;x\ry", b"5\n", b"5\r"):
        add(f"line end in {extension}", extension + b"\r\nhello\r\n0\r\n\r\n", REFUSED)
    add("bare LF after the size", b"5\nhello\r\n0\r\n\r\n", REFUSED)
    add("bare LF after the data", b"5\r\nhello\n0\r\n\r\n", REFUSED)
    add("bare LF after the last", b"5\r\nhello\r\n0\n\r\n", REFUSED)
    add("bare LF at the end", b"5\r\nhello\r\n0\r\n\n", REFUSED)
    add("data longer than its size", b"4\r\nhello\r\n0\r\n\r\n", REFUSED)
    add("data shorter than its size", b"6\r\nhello\r\n0\r\n\r\n", REFUSED)
    add("a trailer", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", EITHER, b"hello")
    for line in (b"Content-Length: 9", b"Transfer-Encoding: chunked", b"Host: other", b"X : y", b"X",
                 b" X: y", b"X: \x00", b"X: a\nb"):
        add(f"trailer {line}", b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n", EITHER, b"hello")


def fields(cases):
    for code in [*range(0x00, 0x21), *b'"(),/;<=>?@[\\]{}', 0x7f, 0x80, 0xff]:
        byte = bytes([code])
        if code != 0x0a:  # that is a line end
            cases.fields(f"byte {code:#x} in a name", [b"X" + byte + b"y: z"], REFUSED, method=b"GET")
        if code < 0x20 and code not in (0x09, 0x0a):
            cases.fields(f"byte {code:#x} in a value", [b"X: y" + byte + b"z"], REFUSED,
                         method=b"GET")
    cases.fields("0x7f in a value", [b"X: y\x7fz"], REFUSED, method=b"GET")
    for what, line, expected in (
            ("tab in a value", b"X: y\tz", ONE), ("high bytes in a value", b"X: \xc3\xa9", ONE),
            ("an empty value", b"X:", ONE), ("no colon", b"X y", REFUSED), ("no name", b": y", REFUSED),
            ("only a colon", b":", REFUSED), ("a folded value", b"X: y\r\n z", REFUSED),
            ("a folded value, tab", b"X: y\r\n\tz", REFUSED), ("bare LF", b"X: y\nZ: z", REFUSED),
            ("bare LF before a fold", b"X: y\n z", REFUSED), ("bare CR", b"X: y\rZ: z", REFUSED),
            ("CR CR LF", b"X: y\r", REFUSED), ("a space before the first", b" X: y", REFUSED),
            ("NUL at the end", b"X: y\x00", REFUSED), ("name of a pseudo field", b":path: /x", REFUSED)):
        cases.fields(what, [line], expected, method=b"GET")
    host = b"Host: t.example\r\n"
    cases.add("a folded first field", b"GET /%CASE% HTTP/1.1\r\n X: y\r\n" + host + b"\r\n", REFUSED)
    cases.add("bare LF at the end of the head", b"GET /%CASE% HTTP/1.1\r\n" + host + b"\n", REFUSED)
    cases.add("bare LF everywhere", b"GET /%CASE% HTTP/1.1\nHost: t.example\n\n", REFUSED)
    cases.add("bare CR everywhere", b"GET /%CASE% HTTP/1.1\rHost: t.example\r\r\r\n\r\n", REFUSED)
    cases.fields("too many fields", [b"X%d: y" % n for n in range(FIELDS_MAX + 20)], REFUSED,
                 method=b"GET")
    cases.fields("too large a head", [b"X: " + b"y" * (HEADER_MAX + 100)], REFUSED, method=b"GET")
    for line in (b"Connection: content-length", b"Connection: transfer-encoding, close",
                 b"Connection: host", b"Connection: x-forwarded-for"):
        cases.fields(line.decode(), [line, b"Content-Length: 5"], EITHER, b"hello", b"hello")
    cases.fields("two requests in a GET with a length", [b"Content-Length: 23"], EITHER,
                 b"GET /evil HTTP/1.1\r\n\r\nx", b"GET /evil HTTP/1.1\r\n\r\nx", b"GET")
    cases.fields("Expect of another kind", [b"Expect: 200-ok", b"Content-Length: 5"], REFUSED,
                 rest=b"hello")
    cases.fields("Upgrade to h2c", [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                    b"HTTP2-Settings: AAMAAABkAAQAAP__"], EITHER, method=b"GET")


def targets(cases):
    host = b"Host: t.example\r\n\r\n"

    def add(what, line, expected, rest=host):
        cases.add(what, line + b"\r\n" + rest, expected)

    for code in [*range(0x00, 0x21), 0x7f, 0x80, 0xff, *b"#"]:
        if code != 0x0a:
            add(f"byte {code:#x} in the target", b"GET /a" + bytes([code]) + b"b%CASE% HTTP/1.1",
                REFUSED)
    for code in [*range(0x00, 0x21), *b'"(),/:;<=>?@[\\]{}', 0x7f, 0x80, 0xff]:
        if code != 0x0a:
            add(f"byte {code:#x} in the method", b"GE" + bytes([code]) + b"T /%CASE% HTTP/1.1",
                REFUSED)
    for escape in (b"%", b"%4", b"%zz", b"%4g", b"%00", b"%0", b"%%41"):
        add(f"escape {escape}", b"GET /a" + escape + b"?%CASE% HTTP/1.1", REFUSED)
    for version in (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1", b"HTTP/1.", b"HTTP/1.10",
                    b"HTTP/01.1", b"http/1.1", b"HTTP/1,1", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTPS/1.1",
                    b"", b"X", b"HTTP/1.1 ", b"HTTP/1.1\t", b" HTTP/1.1", b"HTTP/1.1 x"):
        expected = EITHER if version == b"HTTP/1.2" else REFUSED
        add(f"version {version}", b"GET /%CASE% " + version, expected)
    add("no target", b"GET HTTP/1.1", REFUSED)
    add("only a method", b"GET", REFUSED)
    add("two spaces", b"GET  /%CASE% HTTP/1.1", REFUSED)
    add("a tab", b"GET\t/%CASE%\tHTTP/1.1", REFUSED)
    add("a space first", b" GET /%CASE% HTTP/1.1", REFUSED)
    add("two targets", b"GET /%CASE% /other HTTP/1.1", REFUSED)
    add("a relative target", b"GET a%CASE% HTTP/1.1", REFUSED)
    add("a backslash target", b"GET \\a%CASE% HTTP/1.1", REFUSED)
    add("a query only", b"GET ?%CASE% HTTP/1.1", REFUSED)
    add("CONNECT", b"CONNECT t.example:80 HTTP/1.1", REFUSED)
    add("TRACE", b"TRACE /%CASE% HTTP/1.1", REFUSED)
    add("PRI", b"PRI * HTTP/2.0", REFUSED, b"\r\nSM\r\n\r\n")
    add("a star for GET", b"GET * HTTP/1.1", REFUSED)
    add("a fragment", b"GET /a?%CASE%#b HTTP/1.1", REFUSED)
    add("too long a target", b"GET /%CASE%" + b"a" * TARGET_MAX + b" HTTP/1.1", REFUSED)
    add("too long a method", b"G" * 40 + b" /%CASE% HTTP/1.1", REFUSED)
    add("absolute form", b"GET http://t.example/%CASE% HTTP/1.1", ONE)
    for uri in (b"http://other.example/%CASE%", b"http://t.example:81/%CASE%",
                b"http://u@t.example/%CASE%", b"http://t.example@other/%CASE%",
                b"http:///%CASE%", b"http:/%CASE%", b"http://t.example#x/%CASE%",
                b"ftp://t.example/%CASE%", b"javascript:%CASE%", b"http://t.example\\@x/%CASE%",
                b"https://t.example/%CASE%", b"t.example/%CASE%", b"//t.example"):
        expected = EITHER if uri in (b"//t.example", b"https://t.example/%CASE%") else REFUSED
        add(f"target {uri}", b"GET " + uri + (b"?%CASE%" if b"%CASE%" not in uri else b"") +
            b" HTTP/1.1", expected)
    for lines in (b"\r\n", b"\r\n\r\n", b"\n"):
        cases.add(f"{lines} before the request", lines + b"GET /%CASE% HTTP/1.1\r\n" + host, EITHER)


def hosts(cases):
    for value in (b"t.example", b"t.example:80", b" t.example ", b"T.EXAMPLE", b"[::1]", b"[::1]:80",
                  b"127.0.0.1"):
        cases.add(f"host {value}", b"GET /%CASE% HTTP/1.1\r\nHost:" + value + b"\r\n\r\n", ONE)
    for value in (b"", b" ", b"u@t.example", b"u:p@t.example", b"t.example/", b"t.example/x",
                  b"t.example?x", b"t.example#x", b"t example", b"t.example, other", b"t.example,",
                  b"t.example\tother", b"t.example:", b"t.example:x", b"t.example:-1",
                  b"t.example:65536", b"t.example:80:80", b"[::1", b"::1", b"[zz]", b"[]",
                  b"t.example\x00", b"\xc3\xa9.example", b"http://t.example", b"t.example%00",
                  b"t.example%2f", b"t.example;x", b"t.example\\x", b"<t.example>", b"'t.example'"):
        expected = EITHER if value in (b"t.example:", b"t.example%2f", b"t.example;x",
                                       b"'t.example'") else REFUSED
        cases.add(f"host {value}", b"GET /%CASE% HTTP/1.1\r\nHost: " + value + b"\r\n\r\n", expected)
    for lines in ([], [b"Host: t.example", b"Host: t.example"], [b"Host: t.example", b"Host: other"],
                  [b"Host: other", b"X: y", b"hOsT: t.example"], [b"Host:", b"Host: t.example"],
                  [b"Host : t.example"], [b" Host: t.example"], [b"X: y\r\n Host: t.example"],
                  [b"Host\t: t.example"], [b"Hosts: t.example"]):
        cases.add(f"hosts {lines}", b"GET /%CASE% HTTP/1.1\r\n" +
                  b"".join(line + b"\r\n" for line in lines) + b"\r\n", REFUSED)
    cases.add("absolute form, other host", b"GET http://t.example/%CASE% HTTP/1.1\r\n"
              b"Host: other.example\r\n\r\n", REFUSED)


# ---- asking ----

def exchange(port, raw):
    """What comes back, to the end of the connection or until the canary's answer is whole."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(raw)
            while got.count(b"HTTP/1.1 ") < 2 or not got.endswith(b"ok"):
                piece = connection.recv(65536)
                if not piece:
                    return got, True
                got += piece
        except ConnectionError:
            return got, True
        except TimeoutError:
            return got, False
    return got, False


def judge(case, number, got, closed, seen):
    """None, or what is wrong."""
    _, _, expected, body = case
    own = [request for request in seen if CANARY.encode() not in request[1]]
    canaries = len(seen) - len(own)
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", got, re.M)]
    refused = (not own and not canaries and closed and len(statuses) <= 1 and
               all(400 <= status < 600 for status in statuses))
    one = (len(own) == 1 and own[0][2] == body and canaries <= 1 and statuses[:1] == [200] and
           (canaries == 1 or closed))
    if expected == REFUSED and not statuses:
        refused = refused and closed  # cut off without a word: allowed, as nothing was let through
    if (expected == ONE and one and canaries == 1) or (expected == REFUSED and refused) or (
            expected == EITHER and (one or refused)):
        return None
    return f"{expected}, but statuses {statuses}, closed {closed}, origin saw {seen}"


def run_case(port, origin, number, case):
    target = b"?case=%d" % number if b"?" not in case[1].split(b"\r\n")[0] else b"&case=%d" % number
    raw = case[1].replace(b"?%CASE%", b"?case=%d" % number).replace(b"%CASE%", target, 1)
    raw += b"GET %s?case=%d HTTP/1.1\r\nHost: t.example\r\n\r\n" % (CANARY.encode(), number)
    got, closed = exchange(port, raw)
    with origin.lock:
        seen = list(origin.seen.get(number, []))
    wrong = judge(case, number, got, closed, seen)
    return None if wrong is None else f"case {number}, {case[0]}: {wrong}"


def main():
    cases = Cases()
    for add in (lengths, codings, chunks, fields, targets, hosts):
        add(cases)
    return raw_cases.run("framing", cases.all, (REFUSED, ONE, EITHER), strict_origin.Origin, run_case)


if __name__ == "__main__":
    sys.exit(main())
