#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""remember - after a restart, and after an upgrade, what was in RAM is in RAM: the first requests
are hits there. A file that is damaged is ignored, with a word in the log.

Usage: tests/fault/remember.py BRIM
"""

import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

OBJECTS = 200


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(self.path.encode(), "max-age=3600")


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
    origin = http_origin.start(Origin)
    with tempfile.TemporaryDirectory() as directory:
        port, admin_port = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin_port, origin.server_port)
        config["cache"] = {"path": f"{directory}/cache", "disk": "64MiB", "memory": "16MiB"}
        node = brim_node.Node(directory, config, sys.argv[1])
        with node.running():
            ask_all(port)
            assert node.stop() == 0
            node.start()
            check_hot(node, port)
            assert node.stop() == 0
            file = Path(directory) / "cache/hot"
            file.write_bytes(file.read_bytes()[:-100])
            node.start()
            ask_all(port)
            brim_node.wait_until(lambda: "cache.remember_ignored" in node.log_path.read_text(),
                                 "it is ignored")  # by a thread that comes after everything else
            assert remembered(node) == 0
            assert node.stop() == 0
            node.start()  # what the damaged one was replaced by
            check_hot(node, port)
            brim_node.set_path(config, "cache.remember", "0s")
            assert node.stop() == 0
            brim_node.write_config(config, node.config_path)
            node.start()
            ask_all(port)
            assert remembered(node) == 0
    print(f"remember: {OBJECTS} objects were in RAM again before anybody asked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
