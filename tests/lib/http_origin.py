# SPDX-License-Identifier: MIT
"""http_origin - what the origins of tests share: how they are started, answer, and keep quiet."""

import asyncio
import http.server
import socket
import threading

PIECE_BYTES = 1 << 16


class Handler(http.server.BaseHTTPRequestHandler):
    """With do_GET() of the test's own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes

    def answer(self, body, cache_control, status=200, **fields):
        """fields: X_Name=value."""
        self.send_response(status)
        self.send_header("Cache-Control", cache_control)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Server6(_Server):
    address_family = socket.AF_INET6


def start(handler, address="127.0.0.1", port=0):
    """A server (its port: server_port) of threads that end with the process."""
    server = (_Server6 if ":" in address else _Server)((address, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Raw:
    """An origin that has each connection to itself, byte by byte, on a thread that ends with the
    process. A test says in serve() what happens there: it may be called before __init__() returns."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        raise NotImplementedError


class Many:
    """An origin of asyncio, for crowds of connections. A test says what it answers."""

    def __init__(self):
        self.requests = 0

    async def answer(self, path):
        """(header lines but Content-Length, body); None: there is no answer."""
        raise NotImplementedError

    async def start(self):
        """Its port."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                answer = await self.answer(head.split(b" ", 2)[1])
                if answer is None:
                    await reader.read()  # until it is given up
                    return
                fields, body = answer
                writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n"
                             % (fields, len(body)))
                for at in range(0, len(body), PIECE_BYTES):  # or all that is not taken is copied
                    writer.write(body[at:at + PIECE_BYTES])
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
