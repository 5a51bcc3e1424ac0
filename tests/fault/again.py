#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""again - who has read an answer that must be validated asks the origin again, however soon.

Usage: tests/fault/again.py BRIM [REQUESTS]     (of each client; default 3000)

Each client has a URL of its own, whose answers say no-cache, and asks again as soon as it has the
last byte: in the moment in which the exchange has ended and its object is being published. An
answer that was there before the request came must not be used without asking (RFC 9111 4,
5.2.2.4). The same for a client that says no-cache itself to an answer that would be fresh, and for
one that has just purged softly: each request is one at the origin. And who has forced a newer
answer gets that one when he then asks without force, never the older (RFC 9111 4); where the newer
could not be kept, one that is newer still; the same for a handler that asks with brim.fetch on his
behalf. Who has read the answer to a POST that stands for the page
finds it there: nobody asks again.

The node's threads meet in rare orders meanwhile (jitter.c), where a library can be preloaded.
"""

import collections
import http.client
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402
import injection  # noqa: E402

CONTROL = {"response": "no-cache", "request": "max-age=3600", "purged": "max-age=3600",
           "forced": "max-age=3600", "forced-large": "max-age=3600", "posted": "max-age=3600",
           "forced-fetched": "max-age=3600", "fetched": "no-cache"}
LARGE = 48 << 10  # more than stays in RAM: goes to disk as it comes, and the disk may refuse it
ASKED = collections.Counter()
UNCONDITIONAL = collections.Counter()


def is_forced(kind):
    return kind.startswith("forced")


def version_of(body):
    return int(body.split()[1])


class Origin(http_origin.Handler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self):  # one client a kind, so that nobody else counts there
        kind = self.path.split("/")[1]
        ASKED[kind] += 1
        tag = f'"{self.path[1:]}"'
        matches = self.headers.get("If-None-Match") == tag
        UNCONDITIONAL[kind] += not matches
        is_same = matches and not is_forced(kind) and ASKED[kind] % 2  # by turns a 304
        self.send_response(304 if is_same else 200)
        self.send_header("Cache-Control", CONTROL[kind])
        self.send_header("ETag", tag)
        if self.command == "POST":
            self.send_header("Content-Location", self.path)
        body = f"version {ASKED[kind]}".encode().ljust(LARGE if kind == "forced-large" else 0)
        if not is_same:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not is_same:
            self.wfile.write(body)


HANDLERS = """
return {viewer_request = function(req)
  if req.path == "/purge" then
    brim.cache.purge{prefixes = {"//www.example/purged"}, soft = true}
    return {status = 204}
  end
  local page = req.path:match("^/fetch(/.*)")
  if page then
    local answer = brim.fetch("http://www.example" .. page)
    return {status = answer.status, body = answer.body}
  end
end}
"""


def purge_softly(connection):
    connection.request("GET", "/purge", headers={"Host": "www.example"})
    response = connection.getresponse()
    response.read()
    return response.status == 204


def walk(port, kind, requests, wrong):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    fields = {"Host": "www.example"}
    newest = 0
    for number in range(requests):
        if kind == "request" or (is_forced(kind) and number % 2 == 0):
            fields["Cache-Control"] = "no-cache"
        elif is_forced(kind):
            del fields["Cache-Control"]
        path, method = f"/{kind}", "GET"
        if kind == "posted":  # each page once, and then asked for
            path += f"/{number // 2}"
            method = "GET" if number % 2 else "POST"
        if kind == "fetched" or kind == "forced-fetched" and number % 2:  # the handler asks for it
            path = "/fetch" + path
        if kind == "purged":  # each page twice, and a purge before the second time
            path += f"/{number // 2}"
            if number % 2 and not purge_softly(connection):
                wrong.append(f"{path}: not purged")
        connection.request(method, path, body=b"x" if method == "POST" else None, headers=fields)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or not body.startswith(b"version "):
            wrong.append(f"{path}: {response.status} {body[:20]!r}")
            continue
        if is_forced(kind) and version_of(body) < newest:
            wrong.append(f"{path}: version {version_of(body)} after {newest}")
        if method == "GET" and kind == "posted" and version_of(body) != newest:
            wrong.append(f"{path}: version {version_of(body)}, posted was {newest}")
        newest = version_of(body)
    connection.close()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    origin = http_origin.start(Origin)
    wrong = []
    with tempfile.TemporaryDirectory(prefix="brim-again-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
        handlers = Path(directory) / "handlers.lua"
        handlers.write_text(HANDLERS)
        config["cache"] = {"memory": "16MiB", "memory_object": "16KiB", "disk": "64MiB",
                           "path": str(Path(directory) / "cache")}
        config["sites"][0]["handlers"] = {"file": str(handlers), "cpu": "10s", "wall": "10m"}
        node = brim_node.Node(directory, config, binary)
        with node.running(env=injection.jitter(directory, binary)):
            # Beside a purge what was posted is not kept; the large ones are fast when alone.
            for kinds in (set(CONTROL) - {"posted", "forced-large"}, {"posted"}, {"forced-large"}):
                brim_node.at_once(walk, [(port, kind, requests, wrong) for kind in kinds])
    for kind in CONTROL:
        expected = requests // 2 if is_forced(kind) or kind == "posted" else requests
        if ASKED[kind] < expected or ASKED[kind] > expected and kind != "forced-large":
            wrong.append(f"{kind}: {ASKED[kind]} requests at the origin, not {expected}")
    if UNCONDITIONAL["purged"] != requests // 2:  # what was purged softly is stale, not gone
        wrong.append(f"purged: {UNCONDITIONAL['purged'] - requests // 2} asked without their tag")
    print(f"again: {len(CONTROL)} clients, {requests} requests each, "
          f"{sum(ASKED.values())} at the origin, {len(wrong)} wrong")
    for text in wrong[:10]:
        print("  wrong:", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
