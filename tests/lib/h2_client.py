# SPDX-License-Identifier: MIT
"""h2_client - a bare HTTP/2 client for asyncio that keeps several GETs under way, as a browser does.

It knows what a browser knows of an orderly end: after GOAWAY it opens no stream more, waits for
those that the server says it takes, and asks again on another connection for those above. So what
it counts as failed is failed. (h2load counts what it did not get to send as errors, and python-h2
takes GOAWAY for the end of everything.) Only statuses that stand in HPACK's static table are told.
"""

import asyncio
import ssl

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
STATUS = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Failed(Exception):
    """A request that the server had taken got no whole answer."""


class Ended(Exception):
    """The server has not taken the request: it is to be sent again."""


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
            + payload)


def literal(text):
    raw = text.encode()
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


class Connection:
    """One connection: get() any number of times at once."""

    def __init__(self, reader, writer, scheme, host):
        self.reader, self.writer = reader, writer
        self.scheme, self.host = scheme, host
        self.next_stream = 1
        self.streams = {}  # id: [future, status, body]
        self.last = None   # of GOAWAY: nothing above was taken
        self.error = None
        self.is_closed = False
        self.task = asyncio.create_task(self.read())

    @classmethod
    async def open(cls, port, host="site.test", tls=None):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\x0f\0\0")  # a window of 983,040
                     + frame(WINDOW, 0, 0, (1 << 24).to_bytes(4, "big")))
        return cls(reader, writer, "https" if tls else "http", host)

    def is_open(self):
        return self.last is None and not self.is_closed

    async def get(self, path):
        """(status, body)."""
        if not self.is_open():
            raise Ended()
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        block = (b"\x82" + (b"\x87" if self.scheme == "https" else b"\x86")
                 + b"\x04" + literal(path) + b"\x01" + literal(self.host))
        future = asyncio.get_running_loop().create_future()
        self.streams[stream] = [future, 0, b""]
        self.writer.write(frame(HEADERS, 5, stream, block))
        return await future

    def settle(self, stream, error=None):
        future, status, body = self.streams.pop(stream)
        if future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result((status, body))

    def on_frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            self.writer.write(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.writer.write(frame(PING, 1, 0, payload))
        elif kind == GOAWAY:
            self.last = int.from_bytes(payload[:4], "big") & 0x7fffffff
            if payload[4:8] != b"\0\0\0\0":
                self.error = f"GOAWAY with error {payload[4:8]!r}"
            for above in [one for one in self.streams if one > self.last]:
                self.settle(above, Ended())
        elif stream in self.streams:
            if kind == RESET:
                self.settle(stream, Failed(f"reset, error {payload!r}"))
                return
            if kind == HEADERS and self.streams[stream][1] == 0:
                self.streams[stream][1] = STATUS.get(payload[0], payload[0])
            if kind == DATA:
                self.streams[stream][2] += payload
                if payload:
                    self.writer.write(frame(WINDOW, 0, 0, len(payload).to_bytes(4, "big")))
            if flags & 1:
                self.settle(stream)

    async def read(self):
        why = "closed"
        try:
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self.on_frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7fffffff,
                              payload)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError) as error:
            why = repr(error)
        finally:
            self.is_closed = True
            # Without GOAWAY nobody can tell what was taken.
            for stream in list(self.streams):
                self.settle(stream, Failed(f"{why}, {self.error}, goaway={self.last}, "
                                           f"stream {stream}"))
            self.writer.close()

    async def close(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Client:
    """Asks through one connection at a time, and through a new one when the server says goodbye."""

    def __init__(self, port, host="site.test", tls=None):
        self.port, self.host, self.tls = port, host, tls
        self.connection = None
        self.turn = asyncio.Lock()
        self.opened = []

    async def get(self, path, seconds=30):
        while True:
            async with self.turn:
                if self.connection is None or not self.connection.is_open():
                    self.connection = await Connection.open(self.port, self.host, self.tls)
                    self.opened.append(self.connection)
                connection = self.connection
            try:
                return await asyncio.wait_for(connection.get(path), seconds)
            except Ended:
                continue

    async def close(self):
        for connection in self.opened:
            await connection.close()
