# SPDX-License-Identifier: MIT
"""pool_server - a server of an origin whose answers a test scripts, and that counts what it is asked.

Health checks ask for /healthz; everything else is answered with the server's name as the body.
"""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from brim_node import free_port


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        pool = self.server.pool
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path == "/healthz":
            pool.note(pool.checks, dict(self.headers))
            status, fields, body = pool.health()
        else:
            pool.note(pool.asked, (self.command, self.path, dict(self.headers), body))
            status, fields, body = pool.answer(self)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def process_request(self, request, address):
        self.pool.opened(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.pool.closed(request)
        super().shutdown_request(request)

    def handle_error(self, request, address):
        pass


class PoolServer:
    """Set health_status, status, fields, or answer (of a handler: status, fields, body)."""

    def __init__(self, name):
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.checks, self.asked = [], []
        self.health_status, self.health_body = 200, b"fine"
        self.status, self.fields = 200, {"Cache-Control": "no-store"}
        self.connections, self.most_connections, self.all_connections = set(), 0, 0
        self.server = None
        self.start()

    def start(self):
        self.server = _Server(("127.0.0.1", self.port), _Handler)
        self.server.pool = self
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        """No connection is taken any more, and those that there are end."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def note(self, where, what):
        with self.lock:
            where.append(what)

    def opened(self, connection):
        with self.lock:
            self.connections.add(connection)
            self.all_connections += 1
            self.most_connections = max(self.most_connections, len(self.connections))

    def closed(self, connection):
        with self.lock:
            self.connections.discard(connection)

    def health(self):
        return self.health_status, {}, self.health_body

    def answer(self, _handler):
        return self.status, self.fields, self.name.encode()
