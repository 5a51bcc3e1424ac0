#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""origin - an origin that is an enemy: whatever it sends, clients see one well-formed answer each.

Usage: tests/fault/origin.py BRIM [--list]

Every case is the raw bytes that a server answers one URL with; it keeps the connection open unless
the case says otherwise, so that what is behind an answer lies in wait for the next request. A client
asks for the case and then, on the same connection, for a canary; then another one asks for the case
again. What may come of a case:

  GOOD    the answer that the case says, whole, and the same again
  BAD     502, nothing of it stored
  CUT     502, or an answer that is visibly broken off; nothing of it stored
  EITHER  GOOD or BAD, where the RFCs leave the choice

and never a byte of it in somebody else's answer, nor a field or a line that a client could take for
another answer.
"""

import re
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import http_origin  # noqa: E402
import raw_cases  # noqa: E402

GOOD, BAD, CUT, EITHER = "GOOD", "BAD", "CUT", "EITHER"
SECONDS = 60
BODY = b"hello"
OK = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nEVIL"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Cases:
    def __init__(self):
        self.all = []  # (what, bytes, expected, body, close)

    def add(self, what, raw, expected, body=BODY, close=False):
        self.all.append((what, raw, expected, body, close))

    def fields(self, what, lines, expected, rest=BODY, body=BODY):
        self.add(what, OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + rest, expected,
                 body)

    def chunks(self, what, raw, expected, body=BODY, close=False):
        self.add("chunks: " + what, CHUNKED + raw, expected, body, close)


def lengths(cases):
    for value in (b"+5", b"-5", b"5 5", b"5,5", b"5, 6", b"0x5", b"5a", b"5;", b"5.0", b"1e1", b"",
                  b"99999999999999999999", b"18446744073709551621", b"\x0b5", b"5\xa0", b"'5'"):
        cases.fields(f"length {value}", [b"Content-Length: " + value], BAD)
    for value in (b" 5", b"5 ", b"\t5", b"05"):
        cases.fields(f"length {value}", [b"Content-Length:" + value], EITHER)
    cases.fields("two lengths", [b"Content-Length: 5", b"Content-Length: 6"], BAD)
    cases.fields("one length twice", [b"Content-Length: 5", b"Content-Length: 5"], BAD)
    cases.fields("length, other case", [b"Content-Length: 5", b"content-lengtH: 0"], BAD)
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    cases.fields("length and coding", [b"Content-Length: 5", b"Transfer-Encoding: chunked"], BAD,
                 chunked)
    cases.fields("coding and length", [b"Transfer-Encoding: chunked", b"Content-Length: 5"], BAD,
                 chunked)
    cases.fields("a shorter length than body", [b"Content-Length: 5"], GOOD, BODY + EVIL)
    cases.add("a longer length than body", OK + b"Content-Length: 50\r\n\r\nhello", CUT, close=True)
    cases.add("no length, closed", OK + b"\r\nhello", GOOD, close=True)
    cases.add("no length, Connection: close", OK + b"Connection: close\r\n\r\nhello", GOOD,
              close=True)
    cases.add("204 with a body", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nEVIL", EITHER,
              b"")
    cases.add("204 and another answer", b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL, EITHER, b"")
    cases.add("304 that nobody asked for", b"HTTP/1.1 304 Not Modified\r\n\r\n" + EVIL, EITHER, b"")


def codings(cases):
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    for value in (b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked",
                  b"chunked;q=1", b"\x0bchunked", b"chunked\x00", b"chunked,", b",chunked", b"",
                  b"'chunked'", b"chunked identity", b"x"):
        cases.fields(f"coding {value}", [b"Transfer-Encoding: " + value], BAD, chunked)
    for value in (b"Chunked", b"chunked ", b"\tchunked"):
        cases.fields(f"coding {value}", [b"Transfer-Encoding:" + value], EITHER, chunked)
    cases.fields("two codings", [b"Transfer-Encoding: chunked"] * 2, BAD, chunked)
    cases.fields("a folded coding", [b"Transfer-Encoding:\r\n chunked"], BAD, chunked)
    cases.fields("a coding with space", [b"Transfer-Encoding : chunked"], BAD, chunked)
    cases.add("a coding on 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
              BAD, close=True)


def chunks(cases):
    end = b"0\r\n\r\n"
    cases.chunks("plain", b"5\r\nhello\r\n" + end, GOOD)
    cases.chunks("two", b"2\r\nhe\r\n3\r\nllo\r\n" + end, GOOD)
    cases.chunks("hex", b"00000005\r\nhello\r\n" + end, EITHER)
    cases.chunks("an extension", b"5;a=b\r\nhello\r\n" + end, EITHER)
    cases.chunks("a huge extension", b"5;" + b"a" * 100000 + b"\r\nhello\r\n" + end, EITHER)
    cases.chunks("trailers", b"5\r\nhello\r\n0\r\nX-T: 1\r\nSet-Cookie: a=EVIL\r\n\r\n", GOOD)
    cases.chunks("a trailer that frames", b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n"
                 b"Transfer-Encoding: x\r\n\r\n", EITHER)
    cases.chunks("another answer behind", b"5\r\nhello\r\n" + end + EVIL, GOOD)
    for size in (b"-5", b"+5", b"0x5", b" 5", b"g", b"", b"fffffffffffffffff", b"ffffffffffffffff"):
        cases.chunks(f"size {size}", size + b"\r\nhello\r\n" + end, CUT, close=True)
    # libcurl skips what stands behind a size, as it does extensions, and takes LF behind a chunk: the
    # body that it reads so is framed anew for clients, and nothing behind it is used.
    for size in (b"5 5", b"5,", b"5\x00"):
        cases.chunks(f"size {size}", size + b"\r\nhello\r\n" + end, EITHER, close=True)
    cases.chunks("too short", b"6\r\nhello\r\n" + end, EITHER, b"hello\r", close=True)
    cases.chunks("too long", b"5\r\nhelloX\r\n" + end, CUT, close=True)
    cases.chunks("no end of line", b"5\r\nhello" + end, CUT, close=True)
    cases.chunks("closed in a chunk", b"5\r\nhe", CUT, close=True)
    cases.chunks("closed between", b"5\r\nhello\r\n", CUT, close=True)
    cases.chunks("closed in the end", b"5\r\nhello\r\n0\r\n", CUT, close=True)
    cases.chunks("a huge chunk, closed", b"7fffffffffffffff\r\nhello", CUT, close=True)
    cases.chunks("endless trailers", b"5\r\nhello\r\n0\r\n" + b"X-T: 1\r\n" * 200000, CUT,
                 close=True)


def fields(cases):
    length = b"Content-Length: 5"
    for line in (b"X-A : b", b"X A: b", b" X: b", b"X(: b", b"X\x00: b", b": b", b"X", b"X-\xc3\xa9: b",
                 b"X-A: b\r\n folded", b"X-A: b\x00c", b"X-A: b\rEVIL: c", b"X-A: \x01", b"X-A: b\x7f",
                 b"X-A: b\x0bc", b"X;a: b", b"\tX: b", b"X-A: b\r\r", b"X/a: b"):
        cases.fields(f"field {line}", [line, length], BAD)
    for line in (b"X-A:", b"X-A: \xc3\xa9", b"X-A:\tb", b"X-A: b ", b"X-A: %0d%0aEVIL: x",
                 b"X-A: \xe5\x98\x8a\xe5\x98\x8dEVIL: x"):
        cases.fields(f"field {line}", [line, length], GOOD)
    cases.add("bare LF", (OK + length + b"\r\n\r\n").replace(b"\r\n", b"\n") + BODY, BAD)
    cases.add("one bare LF", OK + b"X: y\n" + length + b"\r\n\r\n" + BODY, BAD)
    cases.fields("a line of 100 KB", [b"X: " + b"a" * 100000, length], BAD)
    cases.fields("3,000 fields", [b"X-%d: a" % i for i in range(3000)] + [length], BAD)
    cases.fields("a block of 1 MB", [b"X-%d: %s" % (i, b"a" * 10000) for i in range(100)], BAD)
    cases.add("an endless line", OK + b"X: " + b"a" * 2000000, BAD, close=True)
    cases.add("an endless block", OK + b"X: a\r\n" * 300000, BAD, close=True)
    cases.fields("hop by hop", [b"Connection: x-secret", b"X-Secret: EVIL", b"Keep-Alive: EVIL",
                                b"Proxy-Authenticate: EVIL", length], GOOD)
    cases.fields("an upgrade", [b"Upgrade: EVIL", b"Connection: upgrade", length], GOOD)


def status_lines(cases):
    rest = b"\r\nContent-Length: 5\r\n\r\nhello"
    for line in (b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 abc OK", b"HTTP/1.1 099 OK",
                 b"HTTP/1.1 000 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1  200 OK",
                 b"HTTP/2 200", b"HTTP/3 200 OK", b"HTTP/1.2.3 200 OK", b"ICY 200 OK", b"200 OK",
                 b"http/1.1 200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1",
                 b"HTTP/1.1\t200 OK", b"HTTP/1.1 200 OK\rEVIL", b"GET / HTTP/1.1", b"\xff\xfe"):
        cases.add(f"status line {line}", line + rest, BAD, close=True)
    cases.add("status 600", b"HTTP/1.1 600 OK" + rest, EITHER)
    cases.add("no reason", b"HTTP/1.1 200" + rest, EITHER)
    cases.add("an empty reason", b"HTTP/1.1 200 " + rest, GOOD)
    cases.add("an empty line first", b"\r\nHTTP/1.1 200 OK" + rest, EITHER)
    cases.add("HTTP/1.0", b"HTTP/1.0 200 OK" + rest, GOOD, close=True)
    cases.add("HTTP/0.9", b"hello EVIL\n", BAD, close=True)
    cases.add("nothing", b"", BAD, close=True)
    cases.add("half a header", OK + b"X-A", BAD, close=True)
    cases.add("binary", bytes(range(256)) * 40, BAD, close=True)
    cases.add("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400), BAD, close=True)


def interim(cases):
    final = OK + b"Content-Length: 5\r\n\r\nhello"
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </EVIL>\r\n\r\n"
    cases.add("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + final, GOOD)
    cases.add("102, 103", b"HTTP/1.1 102 Processing\r\n\r\n" + hints + final, GOOD)
    cases.add("40 interim answers", hints * 40 + final, BAD)
    cases.add("20,000 interim answers", hints * 20000, BAD, close=True)
    cases.add("101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
              b"Connection: upgrade\r\n\r\n" + EVIL, BAD)
    cases.add("100 and nothing", b"HTTP/1.1 100 Continue\r\n\r\n", BAD, close=True)
    cases.add("100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\n" + final,
              EITHER)
    cases.add("100 with a coding", b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" +
              final, EITHER)


def late(cases):
    final = OK + b"Content-Length: 5\r\n\r\nhello"
    for garbage in (EVIL, EVIL * 50, b"\r\n", b"\0" * 100, b"HTTP/1.1 ", b"EVIL" * 100000,
                    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nEVIL"):
        cases.add(f"behind the answer: {garbage[:20]}", final + garbage, GOOD)
    cases.add("an empty body and another answer", OK + b"Content-Length: 0\r\n\r\n" + EVIL, EITHER,
              b"")


# ---- the origin ----

class Origin(http_origin.Raw):
    def __init__(self, cases):
        self.cases, self.asked = cases, {}
        self.faults = []
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while (line := stream.readline(65536)):
                while stream.readline(65536) not in (b"\r\n", b""):
                    pass
                if not self.answer(connection, line.split()[1]):
                    break
        except (OSError, IndexError):
            pass
        finally:
            stream.close()
            connection.close()

    def answer(self, connection, target):
        """Whether the connection stays."""
        number = int(re.search(rb"/(\d+)$", target)[1])
        if target.startswith(b"/canary/"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                               b"Content-Length: %d\r\n\r\n%s" % (len(target), target))
            return True
        with self.lock:
            self.asked[number] = self.asked.get(number, 0) + 1
        _, raw, _, _, close = self.cases[number]
        connection.sendall(raw)
        return not close


# ---- asking ----

class Broken(Exception):
    """The answer ended before it was whole, which a client can tell."""


class Malformed(Exception):
    pass


def read_answer(stream):
    """(status, fields, body)."""
    line = stream.readline(65536)
    if line == b"":
        raise Broken
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n", line)
    if not match:
        raise Malformed(f"status line {line[:100]!r}")
    fields = []
    while (line := stream.readline(65536)) != b"\r\n":
        if line == b"":
            raise Broken
        field = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)\r\n", line)
        if not field:
            raise Malformed(f"field {line[:100]!r}")
        fields.append((field[1].lower(), field[2]))
    return int(match[1]), fields, read_body(stream, int(match[1]), fields)


def read_body(stream, status, fields):
    values = dict(fields)
    if status in (204, 304):
        return b""
    if b"content-length" in values:
        body = stream.read(int(values[b"content-length"]))
        if len(body) < int(values[b"content-length"]):
            raise Broken
        return body
    if values.get(b"transfer-encoding") != b"chunked":
        return stream.read()
    body = b""
    while (size := stream.readline(100)) != b"0\r\n":
        if not re.fullmatch(rb"[0-9a-fA-F]+\r\n", size):
            raise Broken  # closed, or what libh2o writes for its readers to fail at
        body += stream.read(int(size, 16))
        stream.readline(2)
    if stream.readline(100) != b"\r\n":
        raise Broken
    return body


def ask(stream, connection, target):
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: t.example\r\n\r\n" % target)
    return read_answer(stream)


def ask_case(port, number):
    """What came of the case, and of the canary behind it."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        stream = connection.makefile("rb")
        try:
            answer = ask(stream, connection, b"/case/%d" % number)
        except Broken:
            return "broken", None
        if dict(answer[1]).get(b"connection") == b"close":
            return answer, None
        return answer, ask(stream, connection, b"/canary/%d" % number)


def is_good(answer, body):
    return answer != "broken" and answer[0] != 502 and answer[2] == body


def judge(case, first, second, asked):
    """None, or what is wrong."""
    _, _, expected, body, _ = case
    evil = [answer for answer in (first, second) if answer != "broken" and
            (b"EVIL" in answer[2] and b"EVIL" not in body or
             any(b"evil" == name or value == b"EVIL" for name, value in answer[1]))]
    if evil:
        return f"something of it in an answer: {evil}"
    good = is_good(first, body) and is_good(second, body)
    bad = all(answer != "broken" and answer[0] == 502 for answer in (first, second)) and asked >= 2
    shared = second != "broken" and b"collapsed" in dict(second[1]).get(b"cache-status", b"")
    cut = all(answer == "broken" or answer[0] == 502 for answer in (first, second)) and (
        asked >= 2 or shared)
    if {GOOD: good, BAD: bad, CUT: cut, EITHER: good or bad}[expected]:
        return None
    return f"{expected}, but {str(first)[:300]}, then {str(second)[:300]}; asked {asked} times"


def run_case(port, origin, number, case):
    target = b"/canary/%d" % number
    try:
        first, canary = ask_case(port, number)
        second, again = ask_case(port, number)
    except (Malformed, OSError, Broken) as error:
        return f"case {number}, {case[0]}: {type(error).__name__} {error}"
    for answer in (canary, again):
        if answer is not None and (answer[0] != 200 or answer[2] != target):
            return f"case {number}, {case[0]}: the canary's answer is {str(answer)[:300]}"
    with origin.lock:
        asked = origin.asked.get(number, 0)
    wrong = judge(case, first, second, asked)
    return None if wrong is None else f"case {number}, {case[0]}: {wrong}"


def main():
    cases = Cases()
    for add in (lengths, codings, chunks, fields, status_lines, interim, late):
        add(cases)
    return raw_cases.run("origin", cases.all, (GOOD, BAD, CUT, EITHER), lambda: Origin(cases.all),
                         run_case, sites__0__cache__negative_ttl="0s",
                         # an enemy is not ejected here: every case is asked
                         origins__0__eject_failures=0, origins__0__eject_percent=0)


if __name__ == "__main__":
    sys.exit(main())
