#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""once - a cacheable URL is asked of the origin once, at whatever moment the next client comes.

Usage: tests/fault/once.py BRIM [URLS]     (default 4000)

Several clients walk through the same URLs, each asking again as soon as it has its answer: so many
requests arrive in the moment in which an exchange with the origin ends and its object is published.
A request that finds neither is a second request to the origin for what was there all the time.
"""

import collections
import http.client
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

CLIENTS = 4
ASKED = collections.Counter()
ASKED_LOCK = threading.Lock()


class Origin(http_origin.Handler):
    def do_GET(self):
        with ASKED_LOCK:
            ASKED[self.path] += 1
        self.answer(b"hello", "max-age=3600")


def walk(port, urls, wrong):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(urls):
        for _ in range(2):
            connection.request("GET", f"/{number}", headers={"Host": "www.example"})
            response = connection.getresponse()
            if response.read() != b"hello":
                wrong.append(f"/{number}: {response.status}")
    connection.close()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    urls = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    origin = http_origin.start(Origin)
    wrong = []
    with tempfile.TemporaryDirectory(prefix="brim-once-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
        with brim_node.Node(directory, config, binary).running():
            brim_node.at_once(walk, [(port, urls, wrong)] * CLIENTS)
    again = {path: count for path, count in ASKED.items() if count > 1}
    print(f"once: {urls} URLs, {CLIENTS} clients, {sum(ASKED.values())} origin requests, "
          f"{len(again)} URLs more than once, {len(wrong)} wrong answers")
    for text in wrong[:10]:
        print("  wrong:", text)
    return 1 if again or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
