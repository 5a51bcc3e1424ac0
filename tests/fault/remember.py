#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""remember - after a restart, and after an upgrade, what was in RAM is in RAM: the first requests
are hits there. A file that is damaged is ignored, with a word in the log.

Usage: tests/fault/remember.py BRIM
"""

import http.server
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

OBJECTS = 200


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_):
        pass


def ask_all(port):
    for i in range(OBJECTS):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{i}", timeout=30) as answer:
            assert answer.read() == f"/{i}".encode()


def hits(node):
    return brim_node.metric(node.admin_port, 'brim_tier_hits_total{tier="hot"}')


def remembered(node):
    return brim_node.metric(node.admin_port, "brim_hot_remembered_total")


def check_hot(node, port):
    brim_node.wait_until(lambda: remembered(node) == OBJECTS, "all of it in RAM")
    before = hits(node)
    ask_all(port)
    assert hits(node) - before == OBJECTS, (before, hits(node))


def main():
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        port, admin_port = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin_port, origin.server_port)
        config["cache"] = {"path": f"{directory}/cache", "disk": "64MiB", "memory": "16MiB"}
        node = brim_node.Node(directory, config, sys.argv[1]).start()
        try:
            ask_all(port)
            assert node.stop() == 0
            node.start()
            check_hot(node, port)
            assert node.stop() == 0
            file = Path(directory) / "cache/hot"
            file.write_bytes(file.read_bytes()[:-100])
            node.start()
            ask_all(port)
            assert remembered(node) == 0
            assert "cache.remember_ignored" in node.log_path.read_text()
            assert node.stop() == 0
            node.start()  # what the damaged one was replaced by
            check_hot(node, port)
            brim_node.set_path(config, "cache.remember", "0s")
            assert node.stop() == 0
            brim_node.write_config(config, node.config_path)
            node.start()
            ask_all(port)
            assert remembered(node) == 0
        except BaseException:
            print(node.log_tail(60), file=sys.stderr)
            raise
        finally:
            status = node.stop()
    assert status == 0, status
    print(f"remember: {OBJECTS} objects were in RAM again before anybody asked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
