#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""linger - a client that writes all of a request before it reads gets the answer that refuses it.

Usage: tests/fault/linger.py BRIM

An upload that is refused before its end: too large by its Content-Length, too large by its chunks, broken
chunks, two lengths; the first of these also behind a request, in one write, that waits for its origin. BODY is more than the kernels of both sides hold. In the clear and on TLS, TIMES each:
the reset that an early close brings loses the answer only some of the time.
"""

import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

TIMES = 20
BODY = bytes(8 << 20)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FETCHED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
REFUSED = {
    "length": (HEAD + LENGTH + b"\r\n", b"413"),
    "chunks": (HEAD + CHUNKED + b"\r\n%x\r\n" % len(BODY), b"413"),
    "broken": (HEAD + CHUNKED + b"\r\nx\r\n", b"400"),
    "two": (HEAD + LENGTH + CHUNKED + b"\r\n0\r\n\r\n", b"400"),
    "behind": (FETCHED + HEAD + LENGTH + b"\r\n", b"413"),
}


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(b"fetched", "no-store")


def dial(port, is_tls):
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    if not is_tls:
        return sock
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(sock)


def answer_of(reader):
    """The head of an answer with a Content-Length, whose body is there."""
    head = b"".join(iter(reader.readline, b"\r\n"))
    lines = [line for line in head.lower().splitlines() if line.startswith(b"content-length: ")]
    assert len(lines) == 1, head
    length = int(lines[0].split()[1])
    body = reader.read(length)
    assert len(body) == length > 0, (head, body)
    return head


def check(port, is_tls, name):
    head, status = REFUSED[name]
    for time in range(TIMES):
        with dial(port, is_tls) as sock:
            try:
                sock.sendall(head)
                sock.sendall(BODY)
                reader = sock.makefile("rb")
                if head.startswith(FETCHED):
                    assert answer_of(reader).startswith(b"HTTP/1.1 200 ")
                answer = answer_of(reader)
            except OSError as error:
                raise AssertionError(f"{name}, TLS {is_tls}, time {time}: {error!r}") from error
        assert answer.startswith(b"HTTP/1.1 " + status), answer
    print(f"linger: {name}, TLS {is_tls}: {TIMES} answers of {TIMES}")


def main():
    with tempfile.TemporaryDirectory(prefix="brim-linger-") as directory:
        pem, key = f"{directory}/linger.pem", f"{directory}/linger.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=linger",
                        "-keyout", key, "-out", pem], check=True, capture_output=True)
        ports = {False: brim_node.free_port(), True: brim_node.free_port()}
        config = brim_node.make_config(ports[False], brim_node.free_port(),
                                       http_origin.start(Origin).server_port, ports[True],
                                       [(pem, key)])
        config["limits"] = {"request_body": "64KiB"}
        node = brim_node.Node(directory, config, sys.argv[1])
        with node.running():
            for is_tls, port in ports.items():
                for name in REFUSED:
                    check(port, is_tls, name)
            lingered = brim_node.metric(node.admin_port, "brim_connections_lingering_total")
            assert lingered == 2 * TIMES * len(REFUSED), lingered
            brim_node.wait_until(lambda: brim_node.metric(
                node.admin_port, "brim_connections") == 0, "all of them have closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
