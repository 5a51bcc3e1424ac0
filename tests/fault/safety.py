#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""safety - what one client sends must not become what others get.

Usage: tests/fault/safety.py BRIM [--list]

Each case is an attacker's request and then a victim's for the same page (or for the page that the
attacker hoped to have stored under that URL), on fresh URLs. The origin tells what it was asked in
the body of a cacheable answer, and behaves as origins do that are easy to trick: it believes
X-Forwarded-Host, obeys X-HTTP-Method-Override, answers 400 to a large header, 304 to any condition,
reads the body of a GET, and takes dot segments away. The rule for each group stands in the README.
"""

import concurrent.futures
import json
import re
import socket
import sys
import tempfile
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

SECONDS = 60
THREADS = 4
HEADER_MAX = 6000  # of this origin
EVIL = "evil.example"


class Origin(http_origin.Raw):
    def serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while (line := stream.readline(65536)):
                fields = {}
                while (field := stream.readline(65536)) not in (b"\r\n", b""):
                    name, value = field.decode("latin-1").split(":", 1)
                    fields.setdefault(name.lower(), []).append(value.strip())
                body = stream.read(int(fields.get("content-length", ["0"])[0]))
                method, target, _ = line.decode("latin-1").split()
                connection.sendall(self.answer(method, target, fields, body.decode("latin-1")))
        except (OSError, ValueError):
            pass
        finally:
            stream.close()
            connection.close()

    def answer(self, method, target, fields, body):
        first = {name: values[0] for name, values in fields.items()}
        method = first.get("x-http-method-override", method)
        path = urllib.parse.unquote(target.split("?")[0])
        status, extra = "200 OK", "Cache-Control: max-age=60\r\n"
        if sum(len(name) + len(value) for name, value in first.items()) > HEADER_MAX:
            status, extra = "400 Bad Request", ""
        elif "range" in first and not re.fullmatch(r"bytes=\d+-\d*", first["range"]):
            status, extra = "416 Range Not Satisfiable", ""
        elif "if-none-match" in first or "if-modified-since" in first:
            status, extra = "304 Not Modified", "Cache-Control: max-age=60\r\n"
        elif "if-match" in first:
            status, extra = "412 Precondition Failed", ""
        elif "expect" in first and first["expect"] != "100-continue":
            status, extra = "417 Expectation Failed", ""
        elif method not in ("GET", "HEAD"):
            status, extra = "405 Method Not Allowed", ""
        elif first.get("x-forwarded-proto") not in (None, "http"):
            status, extra = "301 Moved Permanently", "Location: https://x/\r\n"
        elif "/account" in path:  # whatever stands behind it, as many frameworks do
            extra = "Cache-Control: private\r\n"
        elif "/profile" in path:  # one that forgot to say so
            extra = ""
        elif "vary" in path:
            extra += f"Vary: {urllib.parse.unquote(target.split('vary=')[1])}\r\n" if "vary=" in target else ""
        text = json.dumps({"method": method, "target": target, "body": body, "fields": fields})
        if status.startswith("304"):
            return f"HTTP/1.1 {status}\r\n{extra}\r\n".encode()
        return (f"HTTP/1.1 {status}\r\n{extra}Content-Type: application/json\r\n"
                f"Content-Length: {len(text)}\r\n\r\n" +
                ("" if method == "HEAD" else text)).encode()


# ---- asking ----

class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body
        self.cache = fields.get("cache-status", "")
        try:
            self.seen = json.loads(body)
        except ValueError:
            self.seen = {}

    def __repr__(self):
        return f"{self.status} {self.cache} {self.body[:200]!r}"


def ask(port, raw):
    """None: closed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(raw)
        stream = connection.makefile("rb")
        line = stream.readline()
        if not line:
            return None
        fields = {}
        while (field := stream.readline()) not in (b"\r\n", b""):
            name, value = field.decode("latin-1").split(":", 1)
            fields[name.lower()] = value.strip()
        head = raw.startswith(b"HEAD ") or line.split()[1] in (b"304", b"204")
        body = b"" if head else stream.read(int(fields.get("content-length", "0")))
        return Answer(int(line.split()[1]), fields, body.decode("latin-1"))


def request(target, lines=(), method="GET", body="", host="t.example"):
    text = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n" + "".join(
        line + "\r\n" for line in lines)
    return (text + "\r\n" + body).encode("latin-1")


# ---- cases: (what, attacker's request, victim's request, judge(attacker, victim) -> fault or None)

class Cases:
    def __init__(self):
        self.all = []

    def url(self, path="/p"):
        return f"{path}{len(self.all)}"

    def add(self, what, attack, victim, judge):
        self.all.append((what, attack, victim, judge))


def unharmed(_attacker, victim):
    """The victim has the page, made by nobody's wish but its own."""
    if victim is None or victim.status != 200:
        return "the victim has not got the page"
    if EVIL in victim.body or victim.seen.get("body") or victim.seen.get("method") != "GET":
        return "the victim has got what the attacker made"
    return None


def unkeyed(cases):
    for name in ("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Scheme",
                 "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-IP", "True-Client-IP", "X-Client-IP", "X-Host",
                 "X-Forwarded-SSL", "X-Forwarded-Protocol", "Front-End-Https", "X-Url-Scheme",
                 "X-Forwarded-Uri", "X-Forwarded-Path", "Script-Name", "Path-Info", "X-Sendfile-Type",
                 "X-Accel-Mapping", "X-Original-URL", "X-Original-Host", "X-Rewrite-URL", "Forwarded", "X-HTTP-Method",
                 "X-Method-Override", "X-HTTP-Method-Override", "Via", "CDN-Loop",
                 "X-Forwarded-For"):
        value = f"for=1;host={EVIL}" if name == "Forwarded" else EVIL
        url = cases.url()

        def judge(attacker, victim, name=name):
            seen = str(attacker and attacker.seen.get("fields", {}))
            if name in ("Via", "CDN-Loop", "X-Forwarded-For"):  # grow: brim's is the last word
                return None if f"{EVIL}, " in seen or EVIL not in seen else "is the last word"
            return f"{name} reached the origin" if EVIL in seen else unharmed(attacker, victim)
        cases.add(f"unkeyed {name}", request(url, [f"{name}: {value}"]), request(url), judge)
    for value in ("POST", "DELETE", "HEAD"):
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            url = cases.url()
            cases.add(f"{name}: {value}", request(url, [f"{name}: {value}"]), request(url), unharmed)
    url = cases.url()
    cases.add("X-Forwarded-Proto twice", request(url, ["X-Forwarded-Proto: nothttps"] * 2),
              request(url), unharmed)
    for names in ("X-Forwarded-For", "Host", "Via", "X-Forwarded-For, X-Forwarded-Proto", "close, Host"):
        url = cases.url()

        def judge(attacker, victim):
            fields = attacker.seen.get("fields", {}) if attacker else {}
            if attacker and attacker.status == 200 and not (
                    fields.get("host") == ["t.example"] and "via" in fields and
                    "x-forwarded-for" in fields):
                return "Connection took away what brim says"
            return unharmed(attacker, victim)
        cases.add(f"Connection: {names}", request(url, [f"Connection: {names}"]), request(url), judge)


def hosts(cases):
    for host in ("T.EXAMPLE", "t.example:80", "t.example."):
        url = cases.url()

        def judge(attacker, victim, host=host):
            if attacker is None or attacker.status >= 400:
                return None
            return unharmed(attacker, victim)
        cases.add(f"host {host}", request(url, host=host), request(url), judge)
    for host in (EVIL, "t.example:8080", "t.example:443", f"t.example.{EVIL}"):
        url = cases.url()
        cases.add(f"another host {host}", request(url, host=host), request(url),
                  lambda a, v: unharmed(a, v) or ("; hit" in v.cache and "shared" or None))
    for host in (f"t.example@{EVIL}", f"t.example, {EVIL}", f"t.example\r\nHost: {EVIL}", "t.example/x",
                 f"t.example:80@{EVIL}"):
        url = cases.url()
        cases.add(f"host {host!r}", request(url, host=host), request(url),
                  lambda a, v: "not refused" if a and a.status != 400 else unharmed(a, v))


def oversized(cases):
    url = cases.url()
    cases.add("a large header (CPDoS)", request(url, ["X-Large: " + "a" * 9000]), request(url),
              unharmed)
    url = cases.url()
    cases.add("many fields (CPDoS)", request(url, [f"X-{i}: " + "a" * 100 for i in range(80)]),
              request(url), unharmed)
    for line in ("X-Meta: a\x07b", "X-Meta: a\x00b", "X-Meta: a\rb", "X-M\x0beta: a"):
        url = cases.url()
        cases.add(f"a control byte (CPDoS) {line!r}", request(url, [line]), request(url), unharmed)
    for line in ("Range: bytes=cow", "Range: bytes=99999999-1", "Range: lines=0-1", "Range: bytes=-0",
                 "If-None-Match: *", 'If-None-Match: "a"', 'If-Match: "a"',
                 "If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT", "Expect: something",
                 "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT", "Upgrade: h2c",
                 "Content-Type: " + "a" * 200, "Accept: " + EVIL + "/" + "a" * 7000, "TE: trailers",
                 "Transfer-Encoding: chunked", "Content-Length: 0", "Max-Forwards: 0",
                 "Accept-Encoding: " + "br;q=0," * 900, "Pragma: akamai-x-get-cache-key"):
        url = cases.url()
        if line.startswith("Transfer"):
            cases.add(line, request(url, [line], body="0\r\n\r\n"), request(url), unharmed)
        else:
            cases.add(line[:40], request(url, [line]), request(url), lambda a, v: None if v and
                      v.status == 200 and v.seen.get("method") == "GET" else "no page")


def methods(cases):
    body = f"q={EVIL}"
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "FOO"):
        url = cases.url()
        cases.add(f"a fat {method}", request(url, [f"Content-Length: {len(body)}"], method, body),
                  request(url), unharmed)
    for method in ("HEAD", "OPTIONS", "get", "GETX", "TRACE"):
        url = cases.url()
        cases.add(f"{method} first", request(url, method=method), request(url), unharmed)
    for value in ("bytes=0-4", "bytes=0-", "bytes=5-9", "bytes=-5"):
        url = cases.url()
        cases.add(f"a part first {value}", request(url, [f"Range: {value}"]), request(url), unharmed)


def varying(cases):
    for fields in ("X-A", "X-A, X-B", "*", "Cookie", "x" * 300, ", ".join(f"X-{i}" for i in range(60)),
                   "X-A,,X-A", "X A"):
        url = f"/vary{len(cases.all)}?vary={urllib.parse.quote(fields)}"

        def judge(_attacker, victim):
            if victim is None or victim.status not in (200, 502):
                return "no page"
            return "the victim has got the attacker's" if EVIL in victim.body else None
        url = f"/vary{len(cases.all)}?vary={urllib.parse.quote(fields, safe=',*')}"
        cases.add(f"varies by {fields[:30]}", request(url, [f"X-A: {EVIL}", f"Cookie: {EVIL}",
                                                            f"X-0: {EVIL}", f"{'x' * 300}: {EVIL}"]),
                  request(url), judge)


def deception(cases):
    """The attacker is a page that sends the victim to a URL; then it asks for the same itself: here
    the first request is the victim's, with its cookie, and the second the attacker's."""
    secret = f"Cookie: session={EVIL}"
    for page in ("/account", "/profile"):
        for rest in ("/x.css", "%2fx.css", ";x.css", "%3bx.css", "%00.css", ".css", "/.css", "/x.css.",
                     "%20x.css", "%0ax.css", "?x.css", "%3fx.css", "%23x.css", "//x.css", "/./x.css",
                     "/%2e%2e/x.css", "/..%2fx.css", "/x.js", "/x.png", "%5cx.css", "/x.css%20", "/"):
            url = f"/{len(cases.all)}{page}{rest}"

            def judge(_victim, attacker):
                return "somebody's page was stored" if attacker and EVIL in attacker.body else None
            cases.add(f"deception {page}{rest}", request(url, [secret]), request(url), judge)
    for url in ("/static/../account", "/static/%2e%2e/account", "/static/..%2faccount",
                "/static/..%5caccount", "/static//../account", "/static/.%2e/account",
                "/static/;/../account", "/static/..;/account", "//account", "/static/x/../../profile",
                "/static/..%2fprofile", "/static/.%2e%2fprofile", "/static/..%5cprofile",
                "/static/%2e%2e%5cprofile", "/static/..;x/profile"):
        url += f"?{len(cases.all)}"

        def judge(victim, attacker):
            if attacker and EVIL in attacker.body:
                return "somebody's page was stored by the rule of a route that it is not of"
            return None
        cases.add(f"deception {url}", request(url, [secret]), request(url), judge)


def spellings(cases):
    """Two spellings are two keys, and each reaches the origin as it came: brim never answers one
    with what the origin said of the other."""
    for one, two in (("/a%2fb", "/a/b"), ("/a%2Fb", "/a%2fb"), ("/a;x", "/a"), ("/a%3bx", "/a;x"),
                     ("/a/", "/a"), ("//a", "/a"), ("/a.", "/a"), ("/A", "/a"), ("/%61", "/a"),
                     ("/a?", "/a"), ("/a?x&y", "/a?y&x"), ("/a?x;y", "/a?x&y"), ("/a?utm=1", "/a"),
                     ("/a%20", "/a"), ("/a/./b", "/a/b"), ("/a/x/../b", "/a/b"), ("/a%3f", "/a?"),
                     ("/a+b", "/a%20b"), ("/a%00", "/a"), ("/a%25", "/a%")):
        prefix = f"/s{len(cases.all)}"

        def judge(_attacker, victim, target=prefix + two):
            if victim is None or victim.status == 400:
                return None
            seen = victim.seen.get("target")
            return None if seen == target else f"{target} is answered with {seen}"
        cases.add(f"spelling {one} for {two}", request(prefix + one), request(prefix + two), judge)


def run_case(port, number, case):
    what, attack, victim, judge = case
    try:
        first, second = ask(port, attack), ask(port, victim)
    except OSError as error:
        return f"case {number}, {what}: {type(error).__name__} {error}"
    wrong = judge(first, second)
    return f"case {number}, {what}: {wrong}: {first}, then {second}" if wrong else None


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    cases = Cases()
    groups = (unkeyed, hosts, oversized, methods, varying, deception, spellings)
    counts = {}
    for add in groups:
        before = len(cases.all)
        add(cases)
        counts[add.__name__] = len(cases.all) - before
    if "--list" in sys.argv:
        for number, case in enumerate(cases.all):
            print(number, case[0], case[1][:120])
        return 0
    origin = Origin()
    with tempfile.TemporaryDirectory(prefix="brim-safety-") as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.port)
        brim_node.set_path(config, "log.level", "warn")
        # what an operator does who trusts a path to be static
        config["sites"][0]["routes"] = [{"path": "/static/", "cache": {"default_ttl": "1h"}}]
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                wrong = [fault for fault in pool.map(
                    lambda pair: run_case(port, *pair), enumerate(cases.all)) if fault]
            if brim_node.metric(admin, "brim_node_restarts_total") or node.stop() != 0:
                wrong.append("the node did not stay, or did not end cleanly")
        finally:
            if node.process and node.process.poll() is None:
                node.kill()
    print(f"safety: {len(cases.all)} cases {counts}, {len(wrong)} faults")
    for fault in wrong[:60]:
        print("  fault:", fault)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
