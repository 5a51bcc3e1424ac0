#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""slow_tls - a client that does not read a large response over TLS is ended, and frees what it held.

Usage: tests/fault/slow_tls.py BRIM

HTTP/1.1 that reads nothing (timeouts.write), HTTP/1.1 that sips (limits.response_rate), and HTTP/2 that
leaves its window shut. Each is ended with its reason, while one that reads is answered all along.
"""

import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crowd_clients  # noqa: E402
import h2_client  # noqa: E402
import stillness  # noqa: E402

ASK = b"GET %s HTTP/1.1\r\nHost: slow\r\n\r\n"
SIP_BYTES, SIP_PAUSE_S = 4096, 0.01  # some 400 KB a second
REASONS = ("not_reading", "reading_slowly", "stream_held")


def dial(port, protocol, receive_buffer=crowd_clients.RECEIVE_BUFFER):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(crowd_clients.dial(port, receive_buffer))


def ended(node, *reasons):
    return sum(brim_node.metric(node.admin_port, f'brim_connections_ended_total{{reason="{one}"}}')
               for one in reasons)


def read_small(port):
    """A neighbour: its answer is whole."""
    with dial(port, "http/1.1", 0) as sock:
        sock.sendall(ASK % b"/small")
        got = b""
        while not got.endswith(crowd_clients.SMALL):
            got += crowd_clients.read_some(sock)


def rest_of(sock):
    """Bytes that can still be read."""
    total = 0
    try:
        while piece := sock.recv(1 << 16):
            total += len(piece)
    except (ConnectionError, ssl.SSLError):
        pass
    return total


def check(node, port, name, reasons, start, reader=None):
    before = {reason: ended(node, reason) for reason in REASONS}
    with start(port) as sock:
        sipper = reader(sock) if reader else None

        def is_ended():
            read_small(port)
            return ended(node, *REASONS) > sum(before.values())

        brim_node.wait_until(is_ended, f"{name}: ended", 60)
        if sipper:
            sipper.join()
        got = rest_of(sock) + (sipper.taken if sipper else 0)
        assert got < crowd_clients.LARGE_BYTES, f"{name}: all of it came"
        for reason in set(REASONS) - set(reasons):
            assert ended(node, reason) == before[reason], f"{name}: ended with {reason}"
    print(f"slow_tls: {name}: ended, {got} bytes came")


def start_h1(port):
    sock = dial(port, "http/1.1")
    sock.sendall(ASK % b"/large")
    return sock


def start_h2(port):
    sock = dial(port, "h2")
    assert sock.selected_alpn_protocol() == "h2"
    block = b"\x82\x87\x04" + h2_client.literal("/large") + b"\x01" + h2_client.literal("slow")
    sock.sendall(h2_client.PREFACE + h2_client.frame(h2_client.SETTINGS, 0, 0)
                 + h2_client.frame(h2_client.HEADERS, 5, 1, block))
    return sock


class Sipper(threading.Thread):
    """Takes a little all the time, however long its neighbours have to wait for what they ask."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.taken = sock, 0
        self.start()

    def run(self):
        try:
            while piece := self.sock.recv(SIP_BYTES):
                self.taken += len(piece)
                time.sleep(SIP_PAUSE_S)
        except (ConnectionError, ssl.SSLError):
            pass


def not_reading(node, port):
    check(node, port, "h1, reads nothing", ("not_reading",), start_h1)
    check(node, port, "h2, window shut", REASONS, start_h2)


def sipping(node, port):
    """Who is kept from sipping for as long as timeouts.write does not read."""
    stillness.undisturbed(
        lambda: check(node, port, "h1, sips", ("reading_slowly",), start_h1, Sipper))


def with_node(binary, part, write, limits):
    with tempfile.TemporaryDirectory() as directory:
        pem, key = f"{directory}/slow.pem", f"{directory}/slow.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=slow",
                        "-keyout", key, "-out", pem], check=True, capture_output=True)
        port = brim_node.free_port()
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(),
                                       crowd_clients.start_origin(), port, [(pem, key)])
        config["cache"] = {"memory": "64MiB", "memory_object": "16MiB"}
        config["timeouts"] = {"write": write, "handshake": "60s"}
        config["limits"] = limits
        node = brim_node.Node(directory, config, binary)
        with node.running():
            part(node, port)
            brim_node.wait_until(lambda: brim_node.metric(
                node.admin_port, "brim_client_memory_bytes") < 1 << 20, "their memory is free", 60)


def main():
    with_node(sys.argv[1], not_reading, "300ms", {"response_rate": 0})
    with_node(sys.argv[1], sipping, "2s", {"response_rate": "10MiB"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
