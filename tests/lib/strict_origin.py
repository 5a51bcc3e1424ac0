# SPDX-License-Identifier: MIT
"""strict_origin - reads requests by the letter of RFC 9112 and nothing else, and notes what reached it."""

import re
import threading

import http_origin

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


class Strict(Exception):
    pass


class Origin(http_origin.Raw):
    """Reads requests by the letter; what it cannot read is a fault of the node's."""

    def __init__(self):
        self.seen = {}  # case number in the target -> [(method, target, body)]
        self.faults = []
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while (request := self.read(stream)) is not None:
                self.note(request)
                body = b"" if request[0] == b"HEAD" else b"ok"
                connection.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                                   b"Content-Length: 2\r\n\r\n" + body)
        except Strict as fault:
            with self.lock:
                self.faults.append(str(fault))
        except OSError:
            pass
        finally:
            connection.close()

    def note(self, request):
        number = re.search(rb"case=(\d+)", request[1])
        with self.lock:
            if number is None:
                self.faults.append(f"a request that nobody made: {request}")
            else:
                self.seen.setdefault(int(number[1]), []).append(request)

    @staticmethod
    def line(stream):
        line = stream.readline(65536)
        if line and not line.endswith(b"\r\n"):
            raise Strict(f"a line without CRLF: {line!r}")
        return line[:-2]

    def read(self, stream):
        """(method, target, body), None at the end of the connection."""
        first = stream.readline(65536)
        if not first:
            return None
        match = re.fullmatch(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.1\r\n", first)
        if not match or b"#" in match[2] or not match[2].startswith((b"/", b"*")):
            raise Strict(f"request line {first!r}")
        fields = []
        while (line := self.line(stream)) != b"":
            field = re.fullmatch(rb"(" + TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*", line)
            if not field:
                raise Strict(f"field {line!r} of {first!r}")
            fields.append((field[1].lower(), field[2]))
        names = [name for name, _ in fields]
        for name in (b"host", b"content-length", b"transfer-encoding"):
            if names.count(name) > 1:
                raise Strict(f"several {name!r} in {first!r}")
        values = dict(fields)
        if not re.fullmatch(rb"[0-9A-Za-z.:\[\]-]+", values.get(b"host", b"")):
            raise Strict(f"host {values.get(b'host')!r} of {first!r}")
        if b"content-length" in values and b"transfer-encoding" in values:
            raise Strict(f"two lengths in {first!r}")
        return match[1], match[2], self.body(stream, values)

    def body(self, stream, values):
        if b"transfer-encoding" in values:
            if values[b"transfer-encoding"] != b"chunked":
                raise Strict(f"coding {values[b'transfer-encoding']!r}")
            return self.chunks(stream)
        length = values.get(b"content-length", b"0")
        if not re.fullmatch(rb"[0-9]+", length):
            raise Strict(f"length {length!r}")
        body = stream.read(int(length))
        if len(body) != int(length):
            raise Strict("a body cut off")
        return body

    def chunks(self, stream):
        body = b""
        while True:
            size = self.line(stream)
            if not re.fullmatch(rb"[0-9A-Fa-f]+", size):
                raise Strict(f"chunk size {size!r}")
            if int(size, 16) == 0:
                break
            body += stream.read(int(size, 16))
            if self.line(stream) != b"":
                raise Strict("a chunk without its end")
        while self.line(stream) != b"":
            pass
        return body
