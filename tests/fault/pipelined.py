#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipelined - thousands of requests in one write: all answered, in order, but not in one turn of the
loop, in which nobody else would be served.

Usage: tests/fault/pipelined.py BRIM

libh2o goes from one request to the next as long as there is one in what it has read. The count of
those that were put off says that others had their turn in between.
"""

import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import pool_server  # noqa: E402

REQUESTS, PATHS = 4000, 7
TURN_REQUESTS = 128


def ask(path, fields=b""):
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, fields)


def bodies_of(got):
    """In their order; each answer has a body of one byte."""
    return [int(part[:1]) for part in got.split(b"\r\n\r\n")[1:]]


def read_all(sock):
    got = bytearray()
    while piece := sock.recv(1 << 16):
        got += piece
    return bytes(got)


def pipeline(port, numbers):
    """What is answered to one write of all of them."""
    raw = b"".join(ask(number) for number in numbers[:-1])
    raw += ask(numbers[-1], b"Connection: close\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.setblocking(True)
        sock.sendall(raw)
        return bodies_of(read_all(sock))


def main():
    origin = pool_server.PoolServer("origin")
    origin.answer = lambda request: (200, {"Cache-Control": "max-age=600"},
                                     request.path.strip("/").encode())
    with tempfile.TemporaryDirectory(prefix="brim-pipelined-") as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.port)
        config["node"]["workers"] = 1
        node = brim_node.Node(directory, config, sys.argv[1] if len(sys.argv) > 1 else None).start()
        try:
            assert pipeline(port, list(range(PATHS))) == list(range(PATHS))  # now they are stored
            numbers = [number % PATHS for number in range(REQUESTS)]
            assert pipeline(port, numbers) == numbers, "not what was asked for, or not in order"
            put_off = brim_node.metric(admin, "brim_requests_postponed_total")
            assert put_off > 0, "the client had a turn of the loop for all of its requests"
            assert put_off <= REQUESTS // TURN_REQUESTS, f"{put_off} were put off"
        finally:
            node.stop()
    print(f"pipelined: {REQUESTS} answered in order, {put_off} put off")
    return 0


if __name__ == "__main__":
    sys.exit(main())
