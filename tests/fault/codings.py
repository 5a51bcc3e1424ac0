#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""codings - every combination of validator, coding, condition, range and method: no two mixed.

Usage: tests/fault/codings.py BRIM

Pages with a strong, a weak and no entity tag, which the origin sends as they are or in gzip, are
asked for before their codings are made, when they are, and after a restart from disk; with
either value of compress.first. A strong tag must always name the same bytes; what is decoded
must be the page; HEAD must say what GET says; a 304 must name a tag that the client has; a 206 must
be a part of the bytes that its tag names, and of nothing else.
"""

import collections
import gzip
import http.client
import http.server
import itertools
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

PAGE = b"".join(b"<p class=row>line %d of a page that says much the same again</p>\n" % n
                for n in range(400))
TAGS = {"/strong": '"v1"', "/weak": 'W/"v1"', "/none": None,
        "/gzip/strong": '"v1"', "/gzip/weak": 'W/"v1"', "/gzip/none": None}
GZIPPED = gzip.compress(PAGE, 1, mtime=0)
MODIFIED = "Tue, 03 Mar 2020 10:00:00 GMT"
CODINGS = ("br", "zstd", "gzip")
ACCEPTS = (None, "", "identity", "gzip", "br", "zstd", "gzip, deflate, br, zstd", "*",
           "br;q=0.1, gzip", "gzip;q=0, br;q=0", "identity;q=0, zstd", "x-unknown")
DECODED = {}


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked = collections.Counter()

    def do_GET(self):
        Origin.asked[self.path] += 1
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Vary", "X-Nothing")
        self.send_header("Content-MD5", "c3R1ZmY=")
        if TAGS[self.path]:
            self.send_header("ETag", TAGS[self.path])
        body = PAGE
        if own_coding(self.path):
            body = GZIPPED
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def own_coding(path):
    """What the origin sends."""
    return "gzip" if path.startswith("/gzip/") else None


def decode(coding, body):
    if (coding, body) not in DECODED:
        if coding == "gzip":
            plain = gzip.decompress(body)
        elif coding in ("br", "zstd"):
            tool = {"br": "brotli", "zstd": "zstd"}[coding]
            plain = subprocess.run([tool, "-d", "-c"], input=body, capture_output=True,
                                   check=True).stdout
        else:
            plain = body
        DECODED[(coding, body)] = plain
    return DECODED[(coding, body)]


def ask(port, method, path, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def accepts(accept, coding):
    """Whether a client that said this may get the coding; only the values of ACCEPTS."""
    if coding is None:
        return True
    if accept == "*":
        return True
    return any(member.split(";")[0].strip() == coding and "q=0" not in member.split(";")[-1:][0]
               or member.strip() == f"{coding};q=0.1" for member in (accept or "").split(","))


class Matrix:
    def __init__(self, port):
        self.port = port
        self.bytes_of = {}  # strong tag -> body
        self.faults = []
        self.later = []  # parts of what has not been seen whole yet
        self.is_early = True
        self.asked = 0

    def fault(self, what, path, headers, response):
        self.faults.append(f"{path} {headers}: {what} ({response.status}, "
                           f"etag {response.getheader('ETag')}, "
                           f"coding {response.getheader('Content-Encoding')})")

    def check_whole(self, path, headers, response, body):
        coding, tag = response.getheader("Content-Encoding"), response.getheader("ETag")
        if decode(coding, body) != PAGE:
            self.fault("the body does not decode to the page", path, headers, response)
        if coding != own_coding(path) and response.getheader("Content-MD5"):
            self.fault("a digest of other bytes", path, headers, response)
        if tag and not tag.startswith("W/") and self.bytes_of.setdefault((path, tag), body) != body:
            self.fault("the tag has named other bytes before", path, headers, response)

    def check_part(self, path, headers, response, body):
        first, last = response.getheader("Content-Range")[6:].split("/")[0].split("-")
        coding, tag = response.getheader("Content-Encoding"), response.getheader("ETag")
        total = int(response.getheader("Content-Range").split("/")[1])
        wholes = [coded for (name, coded) in DECODED if name == coding]
        if tag and not tag.startswith("W/"):
            wholes = [self.bytes_of[path, tag]] if (path, tag) in self.bytes_of else []
        if not wholes and self.is_early:
            self.later.append((path, headers, response, body))
        elif body not in [whole[int(first):int(last) + 1] for whole in wholes
                        if len(whole) == total]:
            self.fault("not a part of what the tag names", path, headers, response)

    def check(self, path, headers, method="GET"):
        response, body = ask(self.port, "GET", path, headers)
        self.asked += 1
        accept = headers.get("Accept-Encoding")
        if "accept-encoding" not in (response.getheader("Vary") or "").lower():
            self.fault("Vary does not say it", path, headers, response)
        if response.status != 304 and not accepts(accept, response.getheader("Content-Encoding")):
            self.fault("a coding that was not asked for", path, headers, response)
        if bool(response.getheader("ETag")) != bool(TAGS[path]):
            self.fault("a tag is missing, or invented", path, headers, response)
        if response.status == 200:
            self.check_whole(path, headers, response, body)
        elif response.status == 206:
            self.check_part(path, headers, response, body)
        elif response.status == 304:
            tag = response.getheader("ETag")
            inm = headers.get("If-None-Match")
            if inm and inm != "*" and (tag or "").removeprefix("W/") not in inm:
                self.fault("a 304 with a tag that the client has not", path, headers, response)
            if (inm or "").startswith('W/"v1-') and tag and not tag.startswith("W/"):
                self.fault("a 304 that calls other bytes the same", path, headers, response)
        else:
            self.fault("what is this", path, headers, response)
        return response

    def check_head(self, path, headers):
        """HEAD ignores Range, so it is compared where there is none."""
        got, _ = ask(self.port, "GET", path, headers)
        head, body = ask(self.port, "HEAD", path, headers)
        names = ("ETag", "Content-Encoding", "Content-Length", "Vary", "Content-Type",
                 "Last-Modified")
        differ = [name for name in names if got.getheader(name) != head.getheader(name)]
        if got.status != head.status or differ or body:
            self.fault(f"HEAD differs in {differ}", path, headers, head)

    def run(self, where, is_early=False):
        """Early: codings come to be meanwhile, so that two answers to one question may differ."""
        before = self.asked
        self.is_early = is_early
        conditions = [None, '"v1"', 'W/"v1"', '"other"', "*", '"v1-identity"'] + [
            f'{weak}"v1-{coding}"' for coding in CODINGS for weak in ("", "W/")]
        ranges = [(None, None), ("bytes=0-9", None), ("bytes=-5", None)] + [
            ("bytes=3-40", tag) for tag in ['"v1"', 'W/"v1"', MODIFIED] +
            [f'"v1-{c}"' for c in CODINGS]]
        for path, accept in itertools.product(TAGS, ACCEPTS):
            for condition in conditions:
                if not is_early:
                    self.check_head(path, {"Accept-Encoding": accept,
                                           "If-None-Match": condition})
                for byte_range, if_range in ranges:
                    self.check(path, {"Accept-Encoding": accept, "If-None-Match": condition,
                                      "Range": byte_range, "If-Range": if_range})
        if not is_early:
            for path, headers, response, body in self.later:
                self.check_part(path, headers, response, body)
            self.later = []
        print(f"codings: {where}: {self.asked - before} combinations, {len(self.faults)} faults")


def wait_for_codings(port):
    for path, coding in itertools.product(TAGS, CODINGS):
        brim_node.wait_until(lambda: ask(port, "GET", path, {"Accept-Encoding": coding})[0]
                             .getheader("Content-Encoding") == coding, f"{path} in {coding}", 60)


def walk(binary, first):
    Origin.asked.clear()
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="brim-codings-") as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.server_port)
        brim_node.set_path(config, "cache.path", f"{directory}/cache")
        brim_node.set_path(config, "compress.first", first)
        node = brim_node.Node(directory, config, binary)
        matrix = Matrix(port)
        try:
            node.start()
            matrix.run(f"first: {first}: while the codings are made", is_early=True)
            wait_for_codings(port)
            matrix.run("when they are")
            made = sum(brim_node.metric(admin, f'brim_encoded_total{{coding="{coding}"}}')
                       for coding in CODINGS)
            if made != sum(len(CODINGS) - (own_coding(path) is not None) for path in TAGS):
                matrix.faults.append(f"{made} codings were made, not each once")
            node.stop()
            node.start()
            matrix.run("after a restart")
            again = sum(brim_node.metric(admin, f'brim_encoded_total{{coding="{coding}"}}')
                        for coding in CODINGS)
            if again != 0:
                matrix.faults.append(f"{again} codings were made again after the restart")
            if any(count != 1 for count in Origin.asked.values()):
                matrix.faults.append(f"the origin was asked more than once: {dict(Origin.asked)}")
            if node.stop() != 0:
                matrix.faults.append("the node did not end cleanly")
        finally:
            if node.process and node.process.poll() is None:
                node.kill()
    for text in matrix.faults[:12]:
        print("  fault:", text)
    return not matrix.faults


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    # a list, so that the second walk is made whatever the first found
    return 0 if all([walk(binary, first) for first in ("identity", "fast")]) else 1


if __name__ == "__main__":
    sys.exit(main())
