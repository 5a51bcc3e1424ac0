#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reload_signal - SIGHUP while another reload is under way: what is in the file then is in force in
the end. A signal cannot be answered "come again".

A preloaded library (hold.c) holds the first one where it has opened its file. Ends with 77 where
nothing can be preloaded (sanitizers).

Usage: tests/fault/reload_signal.py BRIM
"""

import http.client
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import injection  # noqa: E402
from upgrade_stages import pending  # noqa: E402


def call(node, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", node.admin_port, timeout=60)
    connection.request("POST", path, body)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def would(node, host):
    return call(node, "/v1/explain", json.dumps({"url": f"http://{host}/"}))["would"]


def text_of(node, host):
    node.config["sites"][0]["hosts"] = [host]
    return (json.dumps(node.config) + "\n").encode()


def put(node, host):
    fresh = Path(f"{node.config_path}.new")
    fresh.write_bytes(text_of(node, host))
    fresh.rename(node.config_path)


def check(node, held):
    pid = node.worker_pid()
    put(node, "first.test")
    os.mkfifo(held)
    calls = threading.Thread(target=call, args=(node, "/v1/reload"))
    calls.start()
    hold = os.open(held, os.O_WRONLY)  # when the node has opened the first: a reload is under way
    held.unlink()
    put(node, "second.test")
    os.kill(pid, signal.SIGHUP)
    brim_node.wait_until(lambda: not pending(pid) & 1 << (signal.SIGHUP - 1), "SIGHUP is heard")
    os.close(hold)
    calls.join()
    brim_node.wait_until(lambda: would(node, "second.test") == "miss", "the second in force")
    assert would(node, "first.test") == "answered 404"


def main():
    if not injection.can_preload(sys.argv[1]):
        print("reload_signal: skipped: nothing can be preloaded here")
        return injection.SKIP
    with tempfile.TemporaryDirectory() as directory:
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
        node = brim_node.Node(directory, config, sys.argv[1])
        held = Path(directory) / "held"
        env = {**os.environ, "LD_PRELOAD": str(injection.build("hold", directory)),
               "BRIM_HOLD": str(node.config_path), "BRIM_HELD_BY": str(held)}
        with node.running(env=env):
            check(node, held)
    print("reload_signal: the last config is in force")
    return 0


if __name__ == "__main__":
    sys.exit(main())
