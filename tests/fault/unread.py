#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unread - limits.unread: however much a client sends, the kernel holds that much of it at most for a
worker to read, and an upload arrives whole all the same.

Usage: tests/fault/unread.py BRIM

libh2o reads all that there is before it looks at it, so what one connection can make of a turn of the
loop is what the kernel holds. Seen from the client: the window that its kernel was told of (TCP_INFO),
after each piece of an upload; and what it can send while the worker is stopped, which none of it is read
by. On the node's own listener, and on one that was handed over; 0 takes the bound from the latter.
"""

import fcntl
import hashlib
import os
import signal
import socket
import struct
import sys
import tempfile
import termios
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

UNREAD = 128 << 10
BODY = os.urandom(9 << 20)
CHUNKS = (1, 1, 16, 1, 200, 5000, 70000)  # bytes, in turns
PIECE = 1 << 16
TCP_INFO_BYTES, SEND_WINDOW_AT = 232, 228  # of struct tcp_info: tcpi_snd_wnd
SO_BUF_LOCK, SOCK_RCVBUF_LOCK = 72, 2
SKIPPED = 77


class Origin(http_origin.Handler):
    """Answers with the digest of what has come."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(body).hexdigest().encode(), "no-store")


def chunked(body):
    coded, at, number = [], 0, 0
    while at < len(body):
        data = body[at:at + CHUNKS[number % len(CHUNKS)]]
        coded.append(b"%x\r\n%s\r\n" % (len(data), data))
        at, number = at + len(data), number + 1
    return b"".join(coded) + b"0\r\n\r\n"


BY_LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
BY_CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY)


def send_window(sock):
    """What its peer lets it send, beyond what is acknowledged; None: this kernel does not tell."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    return struct.unpack_from("=I", info, SEND_WINDOW_AT)[0] if len(info) == TCP_INFO_BYTES else None


def unacknowledged(sock):
    return struct.unpack("=i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


def check_answer(sock):
    got = b""
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < 64:
        piece = sock.recv(PIECE)
        assert piece, got
        got += piece
    assert got.startswith(b"HTTP/1.1 200 "), got
    assert got.endswith(hashlib.sha256(BODY).hexdigest().encode()), "it did not arrive whole"


def upload(port, raw):
    """The largest window that was seen."""
    widest = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for at in range(0, len(raw), PIECE):
            sock.sendall(raw[at:at + PIECE])
            widest = max(widest, send_window(sock))
        check_answer(sock)
    return widest


def fill(sock, raw):
    """Sends what goes while nobody reads. (Bytes that were sent, those that the other kernel has.)"""
    sent, state, same = 0, None, 0

    def is_full():
        nonlocal sent, state, same
        try:
            sent += sock.send(raw[sent:sent + PIECE])
            same = 0
        except BlockingIOError:
            before, state = state, (sent, unacknowledged(sock))
            same = same + 1 if state == before else 0
        return same >= 20 or sent == len(raw)

    sock.setblocking(False)
    brim_node.wait_until(is_full, "no more can be sent")
    sock.settimeout(60)
    return sent, sent - unacknowledged(sock)


def upload_to_stopped(node, port, raw):
    """How much the kernel has taken of an upload that nobody reads."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(BY_LENGTH)
        check_answer(sock)  # it has been accepted, and its window has had the time to grow
        pid = node.worker_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            brim_node.wait_until(lambda: brim_node.is_stopped(pid), "it has stopped")
            sent, held = fill(sock, raw)
        finally:
            os.kill(pid, signal.SIGCONT)
        sock.sendall(raw[sent:])
        check_answer(sock)
    return held


def check_bounded(node, port, what):
    for how, raw in (("a length", BY_LENGTH), ("chunks", BY_CHUNKS)):
        widest, held = upload(port, raw), upload_to_stopped(node, port, raw)
        print(f"unread: {what}, {len(raw)} bytes with {how}: a window of {widest}, {held} unread")
        assert 0 < widest <= UNREAD and 0 < held <= UNREAD, "that is more than limits.unread"


def check_lifted(directory, config, handed, admin):
    """Nobody knows what a socket that was handed over has been through."""
    config["limits"]["unread"] = 0
    assert handed.getsockopt(socket.SOL_SOCKET, SO_BUF_LOCK) & SOCK_RCVBUF_LOCK
    node = brim_node.Node(directory, config, sys.argv[1])
    with node.running(**brim_node.hand_over([handed, admin], ["handed", "admin"])):
        assert not handed.getsockopt(socket.SOL_SOCKET, SO_BUF_LOCK) & SOCK_RCVBUF_LOCK
        upload(handed.getsockname()[1], BY_LENGTH)


def main():
    origin = http_origin.start(Origin)
    handed, admin = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with socket.create_connection(handed.getsockname()) as sock:
        if send_window(sock) is None:
            print("unread: this kernel does not tell what window it was given")
            return SKIPPED
    with tempfile.TemporaryDirectory(prefix="brim-unread-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, admin.getsockname()[1], origin.server_port)
        config["listeners"].append({"address": ":1", "socket": "handed"})
        config["limits"] = {"unread": UNREAD}
        node = brim_node.Node(directory, config, sys.argv[1])
        with node.running(**brim_node.hand_over([handed, admin], ["handed", "admin"])):
            check_bounded(node, port, "a socket of its own")
            check_bounded(node, handed.getsockname()[1], "one that was handed over")
        check_lifted(directory, config, handed, admin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
