# SPDX-License-Identifier: MIT
"""crowd_clients - many clients that do little: idle ones, and ones that read a response by the sip.

Each comes from an address of its own in 127.0.0.0/16, as far as there are enough, for the sake of limits
by address and of ephemeral ports. Blocking sockets in one thread; only sips do not wait.
"""

import http.server
import itertools
import re
import resource
import select
import socket
import threading

import h2_client

SOURCE_CLIENTS = 2000  # of one process of several
SIP_BYTES = 256
RECEIVE_BUFFER = 4096
SMALL = b"small " * 50
LARGE_BYTES = 8 << 20
_numbers = itertools.count()


def byte_pattern(size):
    """Bytes whose place can be told from them: lines of their own offset."""
    return b"".join(b"%015d\n" % offset for offset in range(0, size, 16))


LARGE = byte_pattern(LARGE_BYTES)
BODY = {"/small": SMALL, "/large": LARGE, "/unstored": LARGE}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        body = BODY[path]
        self.send_response(200)
        self.send_header("Cache-Control", "no-store" if path == "/unstored" else "max-age=86400")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # the node has gone, or its client has
            pass

    def log_message(self, *_):
        pass


def start_origin():
    """Port of an origin of these bodies."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def come_from(source):
    """The SOURCE-th process, from 2: its clients come from other addresses than those of others."""
    global _numbers
    _numbers = itertools.count((source - 2) * SOURCE_CLIENTS)


def allow_descriptors(count):
    """Raises the limit of this process and what it starts, the hard one too where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))


def dial(port, receive_buffer=0):
    sock = socket.socket()
    sock.settimeout(60)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    number = next(_numbers)
    sock.bind((f"127.0.{number // 250 % 250}.{2 + number % 250}", 0))
    sock.connect(("127.0.0.1", port))
    return sock


def read_some(sock):
    piece = sock.recv(1 << 16)
    if not piece:
        raise ConnectionError("the node closed the connection")
    return piece


class IdleH1:
    """Asks once, and stays."""

    def __init__(self, port):
        self.sock = dial(port)
        self.ask()

    def ask(self):
        self.sock.sendall(b"GET /small HTTP/1.1\r\nHost: crowd\r\n\r\n")
        got = b""
        while not got.partition(b"\r\n\r\n")[2].endswith(SMALL):
            got += read_some(self.sock)
            assert len(got) < 4096, got
        assert got.startswith(b"HTTP/1.1 200 "), got

    def close(self):
        self.sock.close()


class IdleH2:
    """The same with HTTP/2 by prior knowledge."""

    def __init__(self, port):
        self.sock = dial(port)
        self.stream = -1
        self.pending = b""
        self.sock.sendall(h2_client.PREFACE + h2_client.frame(h2_client.SETTINGS, 0, 0))
        self.ask()

    def frames(self):
        while True:
            while len(self.pending) >= 9:
                size = 9 + int.from_bytes(self.pending[:3], "big")
                if len(self.pending) < size:
                    break
                one, self.pending = self.pending[:size], self.pending[size:]
                yield one[3], one[4], int.from_bytes(one[5:9], "big"), one[9:]
            self.pending += read_some(self.sock)

    def ask(self):
        self.stream += 2
        block = (b"\x82\x86\x04" + h2_client.literal("/small") + b"\x01"
                 + h2_client.literal("crowd"))
        self.sock.sendall(h2_client.frame(h2_client.HEADERS, 5, self.stream, block))
        status, body = 0, b""
        for kind, flags, stream, payload in self.frames():
            if kind == h2_client.SETTINGS and not flags & 1:
                self.sock.sendall(h2_client.frame(h2_client.SETTINGS, 1, 0))
            assert kind not in (h2_client.RESET, h2_client.GOAWAY), (kind, payload)
            if stream != self.stream:
                continue
            if kind == h2_client.HEADERS:
                status = h2_client.STATUS.get(payload[0], payload[0])
            if kind == h2_client.DATA:
                body += payload
            if flags & 1:
                break
        assert status == 200 and body == SMALL, (status, body)

    def close(self):
        self.sock.close()


class SlowReader:
    """Asks for a large body and takes a few bytes now and then; each is compared."""

    def __init__(self, port, path="/large"):
        self.sock = dial(port, RECEIVE_BUFFER)
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = self.sock.recv(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        assert length and int(length[1]) == LARGE_BYTES, head
        self.taken = 0

    def take(self, piece):
        if not piece:
            raise ConnectionError(f"ended after {self.taken} bytes")
        assert piece == LARGE[self.taken:self.taken + len(piece)], f"wrong bytes at {self.taken}"
        self.taken += len(piece)

    def sip(self):
        """If there is something: with a timeout, recv() would wait for it whatever its flags say."""
        ready = select.poll()
        ready.register(self.sock, select.POLLIN)
        if ready.poll(0):
            self.take(self.sock.recv(SIP_BYTES))

    def finish(self):
        while self.taken < LARGE_BYTES:
            self.take(self.sock.recv(1 << 16))

    def close(self):
        self.sock.close()


def idle_client(port):
    """HTTP/1.1 and HTTP/2 in turns."""
    idle_client.count += 1
    return (IdleH1 if idle_client.count % 2 else IdleH2)(port)


idle_client.count = 0
