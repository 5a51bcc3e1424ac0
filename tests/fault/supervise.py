#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""supervise - a supervisor that cannot start a node, since the machine has nothing left for one, keeps
the sockets and tries until it can; told to end meanwhile, it ends.

Usage: tests/fault/supervise.py BRIM
"""

import os
import resource
import signal
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402


def kill_and_starve(node):
    """Returns what the limit was."""
    parent, worker = node.process.pid, node.worker_pid()
    limits = resource.prlimit(parent, resource.RLIMIT_NOFILE)
    resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(worker, signal.SIGKILL)
    brim_node.wait_until(lambda: "node.fork_failed" in node.log_path.read_text(),
                         "the supervisor says that it cannot")
    return limits


def check_tries_again(node):
    limits = kill_and_starve(node)
    waiting = socket.create_connection(("127.0.0.1", node.admin_port), timeout=30)
    waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, limits)
    answer = waiting.recv(12)
    assert answer == b"HTTP/1.1 200", f"who connected meanwhile is answered: {answer}"
    waiting.close()
    node.wait_ready()


def check_ends(node):
    kill_and_starve(node)
    assert node.stop() != 0, "the node that it had did not end as it should"


def main():
    for check in (check_tries_again, check_ends):
        with tempfile.TemporaryDirectory() as directory:
            config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
            node = brim_node.Node(directory, config, sys.argv[1])
            try:
                check(node.start())
            except BaseException:
                print(node.log_tail(), file=sys.stderr)
                raise
            finally:
                node.stop()
            print(f"supervise: {check.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
