#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipelined - thousands of requests in one write: all answered, in order, but not in one turn of the
loop, in which nobody else would be served.

Usage: tests/fault/pipelined.py BRIM

libh2o goes from one request to the next as long as there is one in what it has read. The count of
those that were put off says that there were several turns; and where others' requests came with
all of them, the access log says that these were answered behind one turn's at the most.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import pool_server  # noqa: E402

REQUESTS, PATHS = 4000, 7
TURN_REQUESTS = 128
WAITING = 1000  # what a socket's buffers have room for
CLOSE = b"Connection: close\r\n"


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
    raw += ask(numbers[-1], CLOSE)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.setblocking(True)
        sock.sendall(raw)
        return bodies_of(read_all(sock))


def exchange(sock, path):
    """The body of one byte, of one request."""
    sock.sendall(ask(path))
    got = sock.recv(1 << 16)
    while not got.partition(b"\r\n\r\n")[2]:
        got += sock.recv(1 << 16)
    return bodies_of(got)[0]


def answered(log, count):
    """Paths in the order in which they were answered."""
    brim_node.wait_until(lambda: log.read_bytes().count(b"\n") >= count, f"{count} are logged")
    return [json.loads(line)["target"] for line in log.read_text().splitlines()]


def between(node, port, log, before):
    """How many of a client's requests are answered before that of others, which came with them: one
    ahead of them and one behind, as the loop may begin at either end."""
    with contextlib.ExitStack() as stack:
        ahead, many, behind = (stack.enter_context(socket.create_connection(
            ("127.0.0.1", port), timeout=60)) for _ in range(3))
        assert [exchange(sock, 0) for sock in (ahead, many, behind)] == [0] * 3  # are accepted
        before = len(answered(log, before + 3))
        pid = node.worker_pid()
        os.kill(pid, signal.SIGSTOP)
        brim_node.wait_until(lambda: brim_node.is_stopped(pid), "it has stopped")
        ahead.sendall(ask(2, CLOSE))
        many.sendall(b"".join(ask(1) for _ in range(WAITING - 1)) + ask(1, CLOSE))
        behind.sendall(ask(3, CLOSE))
        os.kill(pid, signal.SIGCONT)
        assert bodies_of(read_all(many)) == [1] * WAITING
        assert [bodies_of(read_all(sock)) for sock in (ahead, behind)] == [[2], [3]]
    paths = answered(log, before + WAITING + 2)[before:]
    last = max(paths.index("/2"), paths.index("/3"))
    return paths[:last].count("/1")


def main():
    origin = pool_server.PoolServer("origin")
    origin.answer = lambda request: (200, {"Cache-Control": "max-age=600"},
                                     request.path.strip("/").encode())
    with tempfile.TemporaryDirectory(prefix="brim-pipelined-") as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.port)
        config["node"]["workers"] = 1
        log = Path(directory) / "access.log"
        config["access_log"] = {"path": str(log)}
        node = brim_node.Node(directory, config, sys.argv[1] if len(sys.argv) > 1 else None).start()
        try:
            assert pipeline(port, list(range(PATHS))) == list(range(PATHS))  # now they are stored
            numbers = [number % PATHS for number in range(REQUESTS)]
            assert pipeline(port, numbers) == numbers, "not what was asked for, or not in order"
            put_off = brim_node.metric(admin, "brim_requests_postponed_total")
            assert put_off > 0, "the client had a turn of the loop for all of its requests"
            assert put_off <= REQUESTS // TURN_REQUESTS, f"{put_off} were put off"
            first = between(node, port, log, PATHS + REQUESTS)
            assert first <= TURN_REQUESTS, f"{first} of {WAITING} came before others' one"
        finally:
            node.stop()
    print(f"pipelined: {REQUESTS} answered in order, {put_off} put off; "
          f"others' one was behind {first} of {WAITING}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
