#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""end_readers - a node ends in order though clients read from its disk and will not end.

Usage: tests/fault/end_readers.py BRIM

Readers of a file that is on disk alone stop in the middle, one of them behind HTTP/2 and one by Range;
the file's segments are retired behind the first of them; an exchange with the origin hangs. When
drain_timeout is over, all of them are cut off, nothing is left behind, and the next node serves what
was stored.
"""

import http.client
import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402
from drain import PREFACE, read_until  # noqa: E402

SIZE = 6 << 20
OTHERS = 24  # of 3 MiB: more than the disk has
# :method GET, :scheme http, :authority a, :path /kept; END_STREAM and END_HEADERS
H2_GET = b"\x82\x86\x41\x01a\x44\x05/kept"
H2_REQUEST = len(H2_GET).to_bytes(3, "big") + b"\1\5\0\0\0\1" + H2_GET


class Origin(http_origin.Handler):
    may_end = threading.Event()

    def do_GET(self):
        if self.path == "/hangs":
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.send_header("Cache-Control", "max-age=600")
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.may_end.wait()
            return
        self.answer(b"y" * (3 << 20 if self.path.startswith("/other") else SIZE), "max-age=600")


def get(port, path):
    """(cache-status, bytes)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Host": "a"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.headers["Cache-Status"], len(body)


def begin(port, request, wanted):
    """A client that reads the front of an answer and no more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(60)
    client.connect(("127.0.0.1", port))
    client.sendall(request)
    read_until(client, wanted)
    return client


def begin_h1(port, path, fields=b"", wanted=b"; hit"):
    return begin(port, b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, fields), wanted)


def end_with(node, clients):
    """SIGTERM while they hang; what they have is cut off."""
    assert node.stop(60) == 0, node.log_tail()
    log = node.log_path.read_text()
    assert "worker.left" not in log and "node.died" not in log, node.log_tail()
    for client in clients:
        client.close()


def check(node, port):
    with node.running():
        assert get(port, "/kept")[1] == SIZE
        brim_node.wait_until(lambda: "; hit" in get(port, "/kept")[0], "it is stored")
        gone = [begin_h1(port, b"/kept"), begin_h1(port, b"/kept", b"Range: bytes=1000-\r\n")]
        for i in range(OTHERS):
            assert get(port, f"/other{i}")[1] == 3 << 20
        assert "uri-miss" in get(port, "/kept")[0], "its segments are retired"
        brim_node.wait_until(lambda: "; hit" in get(port, "/kept")[0], "it is stored again")
        kept = [begin_h1(port, b"/kept"), begin_h1(port, b"/kept", b"Range: bytes=1000-\r\n"),
                begin(port, PREFACE + H2_REQUEST, b"y" * 100),
                begin_h1(port, b"/hangs", wanted=b"x" * 100)]
        end_with(node, gone + kept)
        node.start()
        assert get(port, "/kept")[1] == SIZE
        assert "; hit" in get(port, "/kept")[0]


def main():
    origin = http_origin.start(Origin)
    with tempfile.TemporaryDirectory() as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.server_port)
        config["node"]["drain_timeout"] = "1s"
        config["timeouts"] = {"write": "300s", "idle": "300s"}
        config["cache"] = {"memory": "1MiB", "path": f"{directory}/cache", "disk": "64MiB"}
        try:
            check(brim_node.Node(directory, config, sys.argv[1]), port)
        finally:
            Origin.may_end.set()
    print("end_readers: the node ended in order, and its successor has what it stored")
    return 0


if __name__ == "__main__":
    sys.exit(main())
