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
import http.server
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

CLIENTS = 4
ASKED = collections.Counter()
ASKED_LOCK = threading.Lock()


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes

    def do_GET(self):
        with ASKED_LOCK:
            ASKED[self.path] += 1
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


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
    origin = QuietServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="brim-once-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            clients = [threading.Thread(target=walk, args=(port, urls, wrong))
                       for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            if node.stop() != 0:
                wrong.append("the node did not end cleanly")
        finally:
            if node.process and node.process.poll() is None:
                node.kill()
    again = {path: count for path, count in ASKED.items() if count > 1}
    print(f"once: {urls} URLs, {CLIENTS} clients, {sum(ASKED.values())} origin requests, "
          f"{len(again)} URLs more than once, {len(wrong)} wrong answers")
    for text in wrong[:10]:
        print("  wrong:", text)
    return 1 if again or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
