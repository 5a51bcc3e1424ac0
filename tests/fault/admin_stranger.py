#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""admin_stranger - who does not know the token of the admin API cannot make it keep his bytes.

Usage: tests/fault/admin_stranger.py BRIM

Strangers fill the listener's connections: each says in its own way that a large body follows, sends
as much of it as is taken, and then stays. All are refused while their bodies are still to come, the
node's memory does not grow by them, and who knows the token posts bodies of every size meanwhile.
"""

import http.client
import json
import re
import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

TOKEN = "correct-horse-battery-staple"
STRANGERS = 60  # of 64 connections
MIB = 1 << 20
BODY = 8 * MIB  # libh2o would refuse a larger one by itself
SENT = 7 * MIB  # so that all of it is held while the rest is still to come
GROWTH_MAX = 32 * MIB  # they send 420
SECONDS = 60

POST = b"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: %d\r\n" % BODY
WRONG = b"Authorization: Bearer wrong-horse-battery-staple\r\n"
RIGHT = b"Authorization: Bearer %s\r\n" % TOKEN.encode()
CHUNK = b"%x\r\n" % BODY
WAYS = {  # what is sent in front of the body, and the statuses that refuse it
    "no token": (POST + LENGTH + b"\r\n", (401, 429)),
    "a wrong token": (POST + LENGTH + WRONG + b"\r\n", (401, 429)),
    "a right and a wrong one": (POST + RIGHT + LENGTH + WRONG + b"\r\n", (401, 429)),
    "the right one in the body": (POST + LENGTH + b"\r\n" + RIGHT + b"\r\n", (401, 429)),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK, (401, 429)),
    "asked to go on": (POST + LENGTH + b"Expect: 100-continue\r\n\r\n", (401, 429)),
    "a probe with a body": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + LENGTH + b"\r\n",
                            (401, 429)),
    "no such call": (b"POST /no HTTP/1.1\r\nHost: localhost\r\n" + LENGTH + b"\r\n", (401, 429)),
    "behind a probe": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + POST + LENGTH + b"\r\n",
                       (200,)),
    "bare LF": (b"POST /v1/purge HTTP/1.1\nHost: localhost\n" + LENGTH + b"\n", (400,)),
    "two lengths": (POST + LENGTH + LENGTH + b"\r\n", (400,)),
    "an endless field": (POST + b"X: ", (431,)),
    "no end of fields": (POST + b"X: y\r\n" * 30000, (431,)),
}


class Stranger(threading.Thread):
    def __init__(self, port, way):
        super().__init__(daemon=True)
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.way, self.answer, self.sent = way, b"", threading.Event()

    def run(self):
        try:
            self.connection.sendall(WAYS[self.way][0])
            for _ in range(SENT // 65536):
                self.connection.sendall(b" " * 65536)
        except OSError:
            pass  # refused while it sends
        self.sent.set()
        try:
            while data := self.connection.recv(65536):
                self.answer += data
        except OSError:
            pass

    def fault(self):
        statuses = [int(line.split()[1]) for line in self.answer.split(b"\r\n")
                    if line.startswith(b"HTTP/1.1 ")]
        # A cut may overtake the answer of who is still sending.
        if statuses and (len(statuses) > 1 or statuses[0] not in WAYS[self.way][1]):
            return f"{self.way}: {self.answer[:300]!r}"
        if self.is_alive():
            return f"{self.way}: not refused"
        return None


def post(port, body, path="/v1/purge", token=TOKEN):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("POST", path, body, {"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text)


def rightful(port):
    """What is wrong with the answers to those who know the token."""
    tags = json.dumps({"tags": ["a"]}).encode()
    for size, expected in ((len(tags), 200), (4 * MIB, 200), (4 * MIB + 1, 413), (8 * MIB - 1, 413)):
        status, answer = post(port, tags.ljust(size))
        if status != expected:
            yield f"{size} bytes with the token: {status} {answer}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    for number in range(6):  # one connection, checked anew at each request of it
        connection.request("POST", "/v1/purge", tags, {
            "Authorization": f"Bearer {TOKEN if number < 5 else TOKEN + 'x'}"})
        response = connection.getresponse()
        response.read()
        if (response.status == 200) != (number < 5):
            yield f"request {number} of a connection: {response.status}"


def told(node):
    """What is wrong with what the node says of the strangers."""
    text = brim_node.admin_get(node.admin_port, "/metrics", Authorization=f"Bearer {TOKEN}")[1]
    for reason in ("body_without_token", "malformed"):
        if not re.search(rf'^brim_admin_refused_total{{reason="{reason}"}} [1-9]', text, re.M):
            yield f"the reason {reason} is not counted"
    lines = node.log_path.read_text().splitlines()
    if not any(" admin.call method=POST path=/v1/purge " in line and " status=401 " in line
               for line in lines):
        yield "no refused purge is in the log"
    if len(lines) > 100 + STRANGERS or TOKEN in "".join(lines):
        yield f"the log has {len(lines)} lines, or the token"


def run(directory, binary):
    wrong = []
    (directory / "token").write_text(TOKEN + "\n")
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
    config["admin"]["token"] = str(directory / "token")
    node = brim_node.Node(directory, config, binary, supervise=False)
    try:
        node.start()
        port, before = node.admin_port, node.rss_bytes()
        ways = list(WAYS)
        strangers = [Stranger(port, ways[number % len(ways)]) for number in range(STRANGERS)]
        for stranger in strangers:
            stranger.start()
        for stranger in strangers:
            stranger.sent.wait(SECONDS)
        growth = node.rss_bytes() - before
        wrong += rightful(port)
        for stranger in strangers:
            stranger.join(0 if wrong else SECONDS)
        if growth > GROWTH_MAX:
            wrong.append(f"the node has grown by {growth >> 20} MiB")
        wrong += [fault for fault in (stranger.fault() for stranger in strangers) if fault]
        answered = sum(bool(stranger.answer) for stranger in strangers)
        wrong += told(node)
        if node.stop() != 0:
            wrong.append("the node did not end cleanly")
    finally:
        if node.process and node.process.poll() is None:
            node.kill()
    print(f"admin_stranger: {STRANGERS} strangers, {answered} answered, grown by {growth >> 10} KiB, "
          f"{len(wrong)} faults")
    for fault in wrong[:20]:
        print("  fault:", fault)
    return 1 if wrong else 0


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    with tempfile.TemporaryDirectory(prefix="brim-stranger-") as directory:
        return run(Path(directory), binary)


if __name__ == "__main__":
    sys.exit(main())
