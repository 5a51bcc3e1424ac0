#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""orphan - a node whose supervisor is killed finishes what it has begun, and lets go of its sockets
at once, so that the next supervisor finds them free.

Usage: tests/fault/orphan.py BRIM
"""

import http.client
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import drain  # noqa: E402


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/", headers={"Host": "a..b"})  # refused by the guard: no origin asked
    return connection.getresponse().status


def check(first, second, origin, ports):
    busy = socket.create_connection(("127.0.0.1", ports[0]), timeout=30)
    busy.sendall(drain.GET)
    drain.read_until(busy, b"begin")
    orphan = first.worker_pid()
    first.process.kill()
    first.process.wait()
    for port in ports:
        brim_node.wait_until(lambda port=port: is_refused(port), f"port {port} free")
    second.start()
    assert ask(ports[0]) == 400
    assert brim_node.is_running(orphan), "it still had a response to finish"
    origin.may_end.set()
    drain.read_until(busy, b" ends")
    brim_node.wait_until(lambda: not brim_node.is_running(orphan), "the orphan ended")
    assert ask(ports[0]) == 400
    return orphan


def main():
    origin = drain.Origin()
    origin.start()
    ports = (brim_node.free_port(), brim_node.free_port())
    config = brim_node.make_config(*ports, origin.port)
    config["node"]["drain_timeout"] = "300s"
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = brim_node.Node(one, config, sys.argv[1]).start()
        second = brim_node.Node(two, config, sys.argv[1])
        orphan = first.worker_pid()
        try:
            check(first, second, origin, ports)
        except BaseException:
            print(first.log_tail(60), second.log_tail(60), sep="\n", file=sys.stderr)
            if brim_node.is_running(orphan):
                os.kill(orphan, signal.SIGKILL)
            raise
        finally:
            origin.may_end.set()
            status = second.stop(90)
    assert status == 0, status
    print("orphan: the next supervisor found the sockets free")
    return 0


if __name__ == "__main__":
    sys.exit(main())
