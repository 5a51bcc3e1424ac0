#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""descriptors - more clients than the node may have descriptors.

Usage: tests/fault/descriptors.py BRIM

The node is started with a small RLIMIT_NOFILE, and clients come until none is left.
1. It says so in the log and turns one away, and accepting pauses: the others wait, it does not spin.
   Each turn is a line of the log, or one that its rate limit kept back, and a tick lies between two.
2. Those who are connected are answered, from memory and from disk.
3. What needs a descriptor of its own, a miss, gets an answer that names the reason, never a wrong one.
4. Room is made: new clients are answered, and the miss is fetched. The same process throughout.
"""

import os
import re
import resource
import select
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

DESCRIPTORS = 200
CLIENTS = 400
WORKERS = 2
SHED = 4  # clients turned away before the rest begins: several rounds of pause and again
PATIENCE_S = 30
TICK_S = 1 / 32  # of a worker: what ends a pause
BODY = {"/warm": b"warm " * 100, "/disk": b"disk " * 600000, "/cold": b"cold " * 100}


class Handler(http_origin.Handler):
    """Every answer ends its connection: the node has no idle one to fall back on."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.answer(BODY[self.path.split("?")[0]], "max-age=600")


class Client:
    """One HTTP/1.1 connection that stays."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)

    def say(self, path):
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: full\r\n\r\n".encode())

    def hear(self):
        """(status, head, body) of one response."""
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more()
        head, body = got.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        assert length is not None, head
        while len(body) < int(length[1]):
            body += self.more()
        return int(head.split()[1]), head.decode(), body

    def more(self):
        piece = self.sock.recv(1 << 16)
        if not piece:
            raise ConnectionError("closed")
        return piece

    def ask(self, path):
        self.say(path)
        return self.hear()

    def is_ended(self):
        """Turned away; not so if an answer has come, or nothing yet."""
        if not select.select([self.sock], [], [], 0)[0]:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True

    def close(self):
        self.sock.close()


def expect(client, path):
    status, head, body = client.ask(path)
    assert status == 200 and body == BODY[path.split("?")[0]], head


def lines_of(node, event):
    return [line for line in node.log_path.read_text(errors="replace").splitlines()
            if f" {event} " in line + " "]


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def crowd(port):
    """Comes and asks; most will be answered or wait."""
    clients = []
    for _ in range(CLIENTS):
        client = Client(port)
        try:
            client.say("/warm")
        except OSError:  # turned away before it had asked
            client.close()
            continue
        clients.append(client)
    return clients


def sort_out(node, clients):
    """Waits until SHED clients were turned away, and returns (answered, gone, waiting)."""
    answered, gone, waiting = [], [], list(clients)
    deadline = time.monotonic() + PATIENCE_S
    while len(lines_of(node, "listener.descriptors")) < SHED or not answered:
        assert time.monotonic() < deadline, "nobody was turned away:\n" + node.log_tail()
        readable = select.select([one.sock for one in waiting], [], [], 0.1)[0]
        for client in [one for one in waiting if one.sock in readable]:
            waiting.remove(client)
            try:
                status, head, body = client.hear()
                assert status == 200 and body == BODY["/warm"], head
                answered.append(client)
            except ConnectionError:
                client.close()
                gone.append(client)
    return answered, gone, waiting


def check_miss(client):
    """No descriptor for the origin: an error that says so. One may just have become free."""
    status, head, body = client.ask("/cold")
    if status == 200:
        assert body == BODY["/cold"], "wrong bytes"
        return "answered after all"
    assert status in (502, 503, 504), head
    reason = re.search(r"(?im)^proxy-status: *(.*)$", head)
    assert reason is not None and "error=" in reason[1], head
    return f"{status}, {reason[1].strip()}"


def check_room(node, port, leavers, waiting):
    for client in leavers + waiting:
        client.close()

    def is_served():
        client = Client(port)
        try:
            expect(client, "/warm")
            return True
        except ConnectionError:  # the pause is not over
            return False
        finally:
            client.close()

    brim_node.wait_until(is_served, "a new client answered", PATIENCE_S)

    def is_fetched():
        client = Client(port)
        try:
            return client.ask("/cold?again")[0] == 200
        except ConnectionError:
            return False
        finally:
            client.close()

    brim_node.wait_until(is_fetched, "a miss fetched", PATIENCE_S)
    brim_node.wait_until(lambda: brim_node.admin_get(node.admin_port, "/readyz")[0] == 200,
                         "the admin API answers", PATIENCE_S)


def check_pauses(turns, began):
    """However slow the machine is, a worker that pauses has a turn, and no more than one a tick. Of
    those, one can be overdue when all begins, and the next be due at once."""
    most = WORKERS * ((time.monotonic() - began) / TICK_S + 3)
    assert turns <= most, f"accepting does not pause: {turns} turns, {most:.0f} ticks at most"


def run(node, port):
    first = Client(port)
    expect(first, "/warm")
    expect(first, "/disk")
    brim_node.wait_until(lambda: brim_node.metric(node.admin_port, "brim_disk_objects") >= 1,
                         "stored on disk")
    worker, ticks = node.worker_pid(), cpu_ticks(node.worker_pid())
    began = time.monotonic()
    clients = crowd(port)
    answered, gone, waiting = sort_out(node, clients)
    left = sum(one.is_ended() for one in waiting)
    check_pauses(CLIENTS - len(clients) + len(gone) + left, began)
    used = len(os.listdir(f"/proc/{worker}/fd"))
    miss = check_miss(answered[0])
    for client in (first, *answered):
        expect(client, "/warm")
    expect(first, "/disk")
    ticks = cpu_ticks(worker) - ticks
    print(f"descriptors: {used} of {DESCRIPTORS} used, {len(answered)} of {CLIENTS} clients in, "
          f"{len(gone)} turned away, {len(waiting)} waiting; {ticks} ticks of CPU; a miss: {miss}")
    check_room(node, port, answered[len(answered) // 2:], waiting)
    for client in answered[:len(answered) // 2]:
        expect(client, "/warm")
    assert node.worker_pid() == worker, "another process serves:\n" + node.log_tail()
    check_pauses(len(lines_of(node, "listener.descriptors")) +
                 brim_node.metric(node.admin_port, "brim_error_log_dropped_total"), began)
    first.close()


def main():
    origin = http_origin.start(Handler)
    with tempfile.TemporaryDirectory() as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
        config["node"]["workers"] = WORKERS
        config["node"]["core_dumps"] = True  # its descriptors are counted by its user
        config["cache"] = {"path": f"{directory}/cache", "memory": "1MiB", "disk": "256MiB"}
        node = brim_node.Node(directory, config, sys.argv[1])
        with node.running(preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))):
            run(node, port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
