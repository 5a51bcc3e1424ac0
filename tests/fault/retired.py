#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""retired - a large response comes to its end though its bytes leave the disk for others meanwhile.

Usage: tests/fault/retired.py BRIM

Some clients begin to read a file that is on disk alone and stop; others fill the disk until the file's
segments are retired. It is a miss for whoever asks then, and those who go on get all of what they began,
the whole or by Range. So do all who ask for a file whose beginning has left the disk while its end is
still on its way. What is kept for them has a bound, an eighth of the disk, or more where the largest
object that is stored, a quarter of it, takes more: where readers of several files hold more, the oldest
is cut off from its readers, who can tell, and the disk takes what comes. What is asked for all the
time stays, its variants too.
"""

import hashlib
import http.client
import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

DISK, SEGMENTS, SMALL_SEGMENT, SMALL_SEGMENTS = "64MiB", 8, "2MiB", 32
LARGE = 6 << 20
LARGEST = 16 << 20
GROWING = 2 << 20
OTHER = 3 << 20
READ_FIRST = 64 << 10
READERS = 6
RANGE = (1 << 20, LARGE - 1)


def content(path):
    size = (LARGEST if path == "/largest" else LARGE if path.startswith("/large") else
            GROWING if path == "/growing" else OTHER)
    seed = hashlib.sha256(path.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Origin(http_origin.Handler):
    may_end = threading.Event()

    def do_GET(self):
        if self.path == "/growing":
            return self.answer_slowly()
        if self.path.startswith("/varied"):
            return self.answer(content(self.path)[:2000], "max-age=600", Vary="X-Kind")
        return self.answer(content(self.path), "max-age=600")

    def answer_slowly(self):
        """All but the last byte; that, when it may."""
        body = content(self.path)
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-1])
        self.may_end.wait(300)
        self.wfile.write(body[-1:])


class Node(brim_node.Node):
    @property
    def port(self):
        return int(self.config["listeners"][0]["address"].rsplit(":", 1)[1])

    def count(self, name):
        return brim_node.metric(self.admin_port, name)

    def is_stored(self, path):
        """Asked so that it is not fetched: that would want as much room as is kept for readers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": "a", "Cache-Control": "only-if-cached"})
        response = connection.getresponse()
        connection.close()
        assert response.status in (200, 504), response.status
        return response.status == 200

    def get(self, path):
        """(cache-status, whether all of it came)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": "a"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.headers["Cache-Status"], body == content(path)


class Reader:
    """Begins to read, and reads on when it is told to."""

    def __init__(self, port, path, is_range):
        self.path = path
        self.first, self.last = RANGE if is_range else (0, len(content(path)) - 1)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        headers = {"Host": "a"}
        if is_range:
            headers["Range"] = f"bytes={self.first}-{self.last}"
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == (206 if is_range else 200), self.response.status
        self.status = self.response.headers["Cache-Status"]
        self.begun = self.response.read(READ_FIRST)

    def finish(self):
        """Whether all of it came; never anything else."""
        expected = content(self.path)[self.first:self.last + 1]
        try:
            body = self.begun + self.response.read()
        except (http.client.IncompleteRead, ConnectionError) as error:
            body = self.begun + getattr(error, "partial", b"")
            assert expected.startswith(body) and len(body) < len(expected), "other bytes came"
        self.connection.close()
        assert body == expected[:len(body)], "other bytes came"
        return len(body) == len(expected)


def turn_over(node, prefix, segments):
    """Fills the disk until so many segments more have gone."""
    before, number = node.count("brim_disk_segments_retired_total"), 0
    while node.count("brim_disk_segments_retired_total") < before + segments:
        number += 1
        assert number < 200, "nothing is retired"
        _, is_whole = node.get(f"/{prefix}{number}")
        assert is_whole, f"/{prefix}{number}"


def begin(node, path):
    """Readers of a file that is on disk."""
    assert node.get(path)[1]
    brim_node.wait_until(lambda: "; hit" in node.get(path)[0], f"{path} is stored")
    readers = [Reader(node.port, path, number % 2 == 1) for number in range(READERS)]
    assert all("; hit" in reader.status for reader in readers), [reader.status for reader in readers]
    return readers


def check_kept(node, path):
    readers = begin(node, path)
    turn_over(node, f"fill{path[1:]}", SEGMENTS)
    assert not node.is_stored(path)
    whole = sum(reader.finish() for reader in readers)
    assert whole == READERS, f"{READERS - whole} of {READERS} readers of {path} broke off"
    assert node.count("brim_disk_segments_cut_total") == 0
    print(f"retired: {READERS} of {READERS} readers of {path} came to the end")


def check_growing(node):
    """What is still on its way is on disk already, and can neither be had anew nor be stored."""
    readers = [Reader(node.port, "/growing", False)]
    turn_over(node, "other", SMALL_SEGMENTS)
    readers += [Reader(node.port, "/growing", False) for _ in range(READERS)]
    Origin.may_end.set()
    whole = sum(reader.finish() for reader in readers)
    assert whole == len(readers), f"{len(readers) - whole} of {len(readers)} broke off"
    print(f"retired: {whole} of {len(readers)} readers of what was still on its way came to the end")


def ask_variant(node, path, kind):
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
    connection.request("GET", path, headers={"Host": "a", "X-Kind": kind})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers["Cache-Status"]


def check_variants(node):
    """Those in use stay on disk, and so must what says that there are variants, or none is found; that
    is written again for a new one, if it has gone with older ones."""
    with node.running():
        ask_variant(node, "/varied", "one")
        ask_variant(node, "/varied-unused", "one")
        for number in range(SEGMENTS + 2):
            assert "; hit" in ask_variant(node, "/varied", "one")
            turn_over(node, f"turn{number}-", 1)
        assert "fwd=" in ask_variant(node, "/varied-unused", "two")
    with node.running():
        assert "; hit" in ask_variant(node, "/varied", "one"), "a variant in use was lost"
        assert "; hit" in ask_variant(node, "/varied-unused", "two"), "a new variant was lost"
    print("retired: variants are there after a restart")


def check_cut(node):
    """Of several files, in more segments than may be kept."""
    readers = []
    for number in range(6):
        readers += begin(node, f"/large{number}")
    turn_over(node, "more", SEGMENTS)
    brim_node.wait_until(lambda: node.count("brim_disk_segments_cut_total") > 0, "one is cut off")
    whole = sum(reader.finish() for reader in readers)
    assert whole < len(readers), "all came to the end"
    assert all(node.get(f"/after{number}")[1] for number in range(10)), "the disk goes on"
    print(f"retired: {whole} of {len(readers)} readers came to the end where too much was held")


def main():
    origin = http_origin.start(Origin)
    with tempfile.TemporaryDirectory(prefix="brim-retired-") as directory:
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(),
                                       origin.server_port)
        config["cache"] |= {"path": f"{directory}/cache", "disk": DISK, "memory_object": "64KiB",
                            "slice": 0}
        # Who waits here, does so until the disk has turned over, however long that takes.
        config["timeouts"] = {"write": "300s"}
        config["origins"][0]["between_bytes_timeout"] = "300s"
        node = Node(directory, config, sys.argv[1])
        with node.running():
            check_kept(node, "/large")
            check_kept(node, "/largest")
            check_cut(node)
        config["cache"] |= {"path": f"{directory}/small", "segment": SMALL_SEGMENT}
        node = Node(directory, config, sys.argv[1])
        with node.running():
            check_growing(node)
        config["cache"] |= {"path": f"{directory}/varied", "segment": "128MiB"}
        check_variants(Node(directory, config, sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
