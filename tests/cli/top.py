#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""top - `brim top` shows what a running node does. Usage: tests/cli/top.py [BRIM]"""

import http.client
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(b"hello", "max-age=600")


class TestTop(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brim-top-")
        self.addCleanup(temporary.cleanup)
        origin = http_origin.start(Origin)
        self.addCleanup(origin.server_close)
        self.addCleanup(origin.shutdown)
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, origin.server_port)
        node = brim_node.Node(temporary.name, config, BRIM, supervise=False).start()
        self.addCleanup(node.stop)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": "a.example", "Connection": "close"})
        connection.getresponse().read()
        connection.close()

    def live(self):
        return json.loads(brim_node.admin_get(self.admin, "/v1/live")[1])

    def command(self, *arguments):
        return [BRIM, "top", "--admin", f"127.0.0.1:{self.admin}", *arguments]

    def test_live_counts_urls_while_somebody_looks(self):
        self.get("/before")
        # The client has its answer a moment before the request is counted.
        brim_node.wait_until(
            lambda: brim_node.metric(self.admin, "brim_request_duration_seconds_count") == 1, "it is over")
        self.assertEqual(self.live()["urls"], [])
        for path in ("/a?secret=1", "/a?secret=2", "/b"):
            self.get(path)
        brim_node.wait_until(lambda: sum(u["count"] for u in self.live()["urls"]) >= 1, "counted")
        brim_node.wait_until(lambda: sum(self.live()["times"]) == 4, "four requests are over")
        live = self.live()
        self.assertNotIn("secret", json.dumps(live))
        self.assertTrue({url["url"] for url in live["urls"]} <= {"a.example/a", "a.example/b"})
        self.assertEqual(live["numbers"]["miss"], 4)
        self.assertEqual(live["sites"], [{"name": "*", "requests": 4}])
        (origin,) = live["origins"]
        self.assertEqual((origin["name"], origin["requests"], sum(origin["times"])),
                         ("origin", 4, 4))
        self.assertEqual(len(live["times"]), len(live["bounds_ms"]) + 1)

    def test_once_is_one_picture_of_what_came_meanwhile(self):
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                self.get("/popular")

        self.live()
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            run = subprocess.run(self.command("--once"), stdout=subprocess.PIPE, text=True,
                                 stderr=subprocess.PIPE, timeout=60, check=False)
        finally:
            stop.set()
            asking.join()
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertNotIn("\x1b", run.stdout)
        self.assertEqual(run.stdout.count("hit ratio"), 1)
        self.assertRegex(run.stdout, r"requests   \d+\.\d/s  hit \d+")
        self.assertRegex(run.stdout, r"latency    p50 <=\S+ ms  p95 <=\S+ ms")
        self.assertRegex(run.stdout, r"\n +\d+  a\.example/popular\n")
        self.assertRegex(run.stdout, r"req/s  SITE\n +\d+\.\d  \*\n")

    def test_a_terminal_is_drawn_in_place(self):
        master, slave = pty.openpty()
        process = subprocess.Popen(self.command("--interval", "1"), stdout=slave)
        os.close(slave)
        seen = b""
        while seen.count(b"\x1b[H\x1b[2J") < 2:
            seen += os.read(master, 4096)
        process.terminate()
        process.wait(30)
        os.close(master)
        self.assertIn(b"hit ratio", seen)

    def test_without_a_node_it_fails(self):
        run = subprocess.run([BRIM, "top", "--once", "--admin",
                              f"127.0.0.1:{brim_node.free_port()}"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, b""))
        for interval in ("0", "x", "9999"):
            run = subprocess.run(self.command("--interval", interval), stderr=subprocess.PIPE,
                                 timeout=60, check=False)
            self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
