#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""access_log - a node's access log at a datagram socket: redacted, sampled, and without the cookies.

Usage: tests/cli/access_log.py [BRIM]
"""

import http.client
import json
import socket
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(b"", "no-store", 503 if self.path.startswith("/down") else 200)


class TestAccessLog(unittest.TestCase):
    def start(self, **settings):
        temporary = tempfile.TemporaryDirectory(prefix="brim-access-log-")
        self.addCleanup(temporary.cleanup)
        origin = http_origin.start(Origin)
        self.addCleanup(origin.server_close)
        self.addCleanup(origin.shutdown)
        self.collector = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.collector.close)
        self.collector.bind(f"{temporary.name}/collector")
        self.collector.settimeout(30)
        self.port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, admin, origin.server_port)
        config["node"]["workers"] = 1
        config["access_log"] = {"path": f"unix:{temporary.name}/collector", **settings}
        node = brim_node.Node(temporary.name, config, BRIM, supervise=False).start()
        self.addCleanup(node.stop)

    def get(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Connection": "close", **headers})
        connection.getresponse().read()
        connection.close()

    def next_line(self):
        return json.loads(self.collector.recv(65536).decode())

    def test_what_is_secret_is_not_told(self):
        self.start()
        self.get("/a?b=c&access_token=hush", Referer="http://x.example/?password=hush&q=1",
                 Cookie="session=hush", Authorization="Bearer hush")
        line = self.next_line()
        self.assertEqual(line["target"], "/a?b=c&access_token=***")
        self.assertEqual(line["referer"], "http://x.example/?password=***&q=1")
        self.assertNotIn("hush", json.dumps(line))

    def test_one_in_so_many_is_told_and_every_failure(self):
        self.start(sample=10)
        for number in range(20):
            self.get(f"/ok/{number}")
        for number in range(3):
            self.get(f"/down/{number}")
        seen = [self.next_line()["target"] for _ in range(5)]
        self.assertEqual(seen, ["/ok/0", "/ok/10", "/down/0", "/down/1", "/down/2"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
