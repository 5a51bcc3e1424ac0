#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""drain - SIGTERM under way: /readyz turns 503, idle connections are ended, HTTP/2 clients get
GOAWAY, what has begun is finished, and a service manager is told of every step, if it listens.

Usage: tests/fault/drain.py BRIM
"""

import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

GOAWAY = 7
END_S = 60
GET = b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


BEGIN = (b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 10\r\n\r\n"
         b"begin")


class Origin(threading.Thread):
    """Answers one request: begins at once, ends when told to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.may_end = threading.Event()

    def accept(self):
        client, _ = self.listener.accept()
        while b"\r\n\r\n" not in client.recv(65536):
            pass
        return client

    def run(self):
        client = self.accept()
        client.sendall(BEGIN)
        self.may_end.wait()
        client.sendall(b" ends")
        client.close()


class LateOrigin(Origin):
    """When the first may end, another request, which has come meanwhile, is answered, too."""

    def __init__(self):
        super().__init__()
        self.is_asked = threading.Event()

    def run(self):
        first = self.accept()
        first.sendall(BEGIN)
        second = self.accept()
        self.is_asked.set()
        self.may_end.wait()
        first.sendall(b" ends")
        second.sendall(BEGIN + b" ends")
        first.close()
        second.close()


def read_until(client, wanted):
    got = b""
    while wanted not in got:
        part = client.recv(65536)
        assert part, f"ended before {wanted!r}: {got!r}"
        got += part
    return got


def frame_types(client):
    """Of all frames until the connection ends."""
    got, types = b"", []
    while part := client.recv(65536):
        got += part
    while len(got) >= 9:
        types.append(got[3])
        got = got[9 + int.from_bytes(got[:3], "big"):]
    return types


class Manager:
    """Stands for systemd at the other end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = f"{directory}/notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(30)

    def expect(self, wanted):
        """Skips signs of life."""
        while True:
            told = self.sock.recv(4096).decode().split("\n")[0]
            if told == wanted:
                return
            assert told == "WATCHDOG=1", (told, wanted)

    def fill(self):
        """It no longer reads: nothing more goes into its queue."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                while True:
                    sender.sendto(b"X_FULL=1", self.path)
            except BlockingIOError:
                pass


def check_drain(node, origin, port):
    clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(4)]
    busy, late, idle, h2 = clients
    h2.sendall(PREFACE)
    assert h2.recv(9, socket.MSG_PEEK)
    busy.sendall(GET)
    read_until(busy, b"begin")
    late.sendall(GET)
    origin.is_asked.wait()
    idle.sendall(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")  # refused by the guard: no origin asked
    while idle.recv(65536):
        pass
    waiting = socket.create_connection(("127.0.0.1", port), timeout=30)
    node.process.send_signal(signal.SIGTERM)
    brim_node.wait_until(lambda: brim_node.admin_get(node.admin_port, "/readyz")[0] == 503,
                         "readyz 503")
    assert GOAWAY in frame_types(h2)
    assert waiting.recv(1) == b""
    assert brim_node.admin_get(node.admin_port, "/readyz")[0] == 503
    assert node.process.poll() is None
    origin.may_end.set()
    read_until(busy, b" ends")
    assert busy.recv(1) == b""  # by the node: nobody waits for the client to close or time out
    answer = read_until(late, b" ends")  # which begins when the end is known, and says so
    assert b"\r\nconnection: close\r\n" in answer.lower(), answer
    assert late.recv(1) == b""
    for client in (*clients, waiting):
        client.close()


def check_alive(node, manager):
    """However often somebody has the log reopened: the manager is told that the node is alive."""
    over = threading.Event()

    def ask():
        while not over.wait(0.1):
            node.process.send_signal(signal.SIGUSR1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        manager.expect("WATCHDOG=1")
    finally:
        over.set()
        thread.join()


def check_deaf(node, manager):
    """A manager that does not read is told nothing, and waited for by nobody."""
    node.start()
    manager.expect("READY=1")
    manager.fill()
    assert node.stop(END_S) == 0


def main():
    origin = LateOrigin()
    origin.start()
    with tempfile.TemporaryDirectory() as directory:
        port, admin_port = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin_port, origin.port)
        config["node"]["workers"] = 1  # if one client was told, all were
        config["node"]["drain_timeout"] = "300s"  # nothing here may last until then
        config["timeouts"] = {"request": "300s", "idle": "300s"}
        manager = Manager(directory)
        os.environ.update(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="4500000")
        os.environ.pop("WATCHDOG_PID", None)
        node = brim_node.Node(directory, config, sys.argv[1]).start()
        try:
            manager.expect("READY=1")
            node.process.send_signal(signal.SIGHUP)
            manager.expect("RELOADING=1")
            manager.expect("READY=1")
            manager.expect("WATCHDOG=1")
            check_alive(node, manager)
            check_drain(node, origin, port)
            manager.expect("STOPPING=1")
            assert node.stop(END_S) == 0
            check_deaf(node, manager)
        except BaseException:
            print(node.log_tail(60), file=sys.stderr)
            raise
        finally:
            origin.may_end.set()
            if node.process.poll() is None:
                node.kill()
    print("drain: nothing was cut off, everybody was told")
    return 0


if __name__ == "__main__":
    sys.exit(main())
