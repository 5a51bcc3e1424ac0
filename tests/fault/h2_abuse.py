#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""h2_abuse - every known way to abuse an HTTP/2 server, against brim: the attacker's connection ends
for the reason it should, or costs what it may cost; a neighbour on the same thread is served.

Usage: tests/fault/h2_abuse.py BRIM [NAME...]   without names: all

Each attack meets a fresh node of one worker. Where a connection has to end, one of its streams waits
for the origin meanwhile, so that no idle timeout ends it, and abuse.strikes is 0: what is tried is the
budget of a connection. Besides the reason that brim counts, the client has to see the end, and memory
and requests to the origin have to stay bounded.

That they can fail was seen with builds that lacked one thing each. Without the filter of guard_h2.c:
every flood, address, paced_reset and header_drip run to their end, drain leaves a thread that spins,
late_windows aborts the node. Without the scan of requests: hpack_small_bombs and cookie_crumbs cost 280
and 421 MiB. Without the sweep of conns.c: the holds and drips are not ended. Before windows of what is
not stored were counted: nobody of zero_windows_own was ended. nameless_fields,
self_dependency and made_reset_second_headers pass without any of these; others refuse them too.
"""

import asyncio
import signal
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_attacks as attacks  # noqa: E402
import h2_client  # noqa: E402
import http_origin  # noqa: E402

ATTACKER = "127.0.0.7"
UNITS_MAX = 40000  # of a flood: far beyond what any budget allows
GROWTH_MAX = 64 << 20
LARGE_BYTES = 8 << 20
CLIENT_MEMORY = 96 << 20
SMALL = b"x" * 100
BODIES = {b"/large": b"x" * LARGE_BYTES, b"/own": b"x" * (2 << 20), b"/kib": b"x" * 1024}
ORIGIN_MAX = 500   # requests that a client who takes each back may cause, of 4,000
ENDED = "brim_connections_ended_total"
PROTOCOL_ERROR, STREAM_CLOSED = 1, 5
BURST = 50         # streams at a time of who waits in between
HELD_CONNECTIONS, HELD_STREAMS = 20, 100
BLOCK_FRAMES = 30
NOTHING = attacks.Script([], 1, False)

# attack: why its connection ends, and what its requests ask for. "#": each something else.
FLOODS = {
    "rapid_reset": ("resets", "/wait/#"),
    "made_reset_zero_update": ("made_resets", "/wait/#"),
    "made_reset_window_overflow": ("made_resets", "/wait/#"),
    "made_reset_half_closed": ("made_resets", "/wait/#"),
    "made_reset_content_length": ("made_resets", "/small"),
    "made_reset_too_many": ("made_resets", "/small"),
    "made_reset_malformed": ("made_resets", "/small"),
    "settings_flood": ("control_frames", "/small"),
    "settings_table_size": ("control_frames", "/small"),
    "settings_windows": ("control_frames", "/large"),
    "ping_flood": ("control_frames", "/small"),
    "priority_flood": ("control_frames", "/large"),
    "empty_data": ("control_frames", "/small"),
    "padded_data": ("control_frames", "/small"),
    "goaway_flood": ("control_frames", "/small"),
    "unknown_frames": ("control_frames", "/small"),
    "empty_continuation": ("block_bytes", "/small"),
    "endless_continuation": ("block_bytes", "/small"),
    "hpack_bomb": ("block_fields", "/small"),
    "table_updates": ("block_fields", "/small"),
    "window_updates": ("window_updates", "/small"),
    "data_dribble": ("window_updates", "/large"),
    "late_resets": ("resets", "/small"),
}


def never():
    return False


class Origin(http_origin.Many):
    """/wait...: no answer; else BODIES, or 100 bytes. /own...: not stored."""

    def __init__(self):
        super().__init__()
        loop = asyncio.new_event_loop()
        self.port = loop.run_until_complete(self.start())
        threading.Thread(target=loop.run_forever, daemon=True).start()

    async def answer(self, path):
        if path.startswith(b"/wait"):
            return None
        kept = b"no-store" if path.startswith(b"/own") else b"max-age=600"
        return b"Cache-Control: %s\r\n" % kept, BODIES.get(path.rpartition(b"/")[0] or path, SMALL)


class Neighbour(threading.Thread):
    """Asks for /small, one request after the other, over HTTP/2; notes what went wrong."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.answers = 0
        self.wrong = []
        self.is_over = False

    def path(self):
        return "/small"

    def run(self):
        asyncio.run(self.ask())

    async def ask(self):
        client = h2_client.Client(self.port)
        while not self.is_over and not self.wrong:
            try:
                status, body = await client.get(self.path())
                if (status, body) != (200, SMALL):
                    self.wrong.append(f"status {status}, {len(body)} bytes")
                self.answers += 1
            except (h2_client.Failed, OSError, asyncio.TimeoutError) as error:
                self.wrong.append(repr(error))
            await asyncio.sleep(0.005)
        await client.close()

    def wait_for_more(self, count=3):
        """It is served now, and not only was before."""
        wanted = self.answers + count
        brim_node.wait_until(lambda: self.answers >= wanted or self.wrong, "the neighbour is served")


class Rig:
    def __init__(self, directory, binary, origin, **options):
        self.origin = origin
        self.port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, admin, origin.port)
        config["node"] = {"workers": 1, "fetchers": 1, "drain_timeout": "20s"}
        config["log"]["level"] = "warn"
        config["cache"] = {"memory": "64MiB"}
        config["abuse"] = {"strikes": 0}
        brim_node.set_path(config, "origins.0.pool", 4096)
        for path, value in options.items():
            brim_node.set_path(config, path.replace("__", "."), value)
        self.node = brim_node.Node(directory, config, binary).start()
        self.worker = self.node.worker_pid()
        self.neighbour = Neighbour(self.port)
        self.neighbour.start()
        self.neighbour.wait_for_more()
        self.before = self.node.rss_bytes()
        self.origin_before = origin.requests

    def flood(self, script, first=b"", **more):
        return attacks.Flood(self.port, script, ATTACKER, first, **more)

    def waiting(self, script):
        """A flood with one stream that waits for the origin."""
        return self.flood(script, attacks.get(1, "/wait/first"))

    def ended(self, reason):
        return brim_node.metric(self.node.admin_port, f'{ENDED}{{reason="{reason}"}}')

    def all_ended(self):
        """Of all reasons, for the one who reads about a fault."""
        return "\n".join(line for line in brim_node.admin_get(self.node.admin_port, "/metrics")[
            1].splitlines() if line.startswith(ENDED) and not line.endswith(" 0"))

    def peak_bytes(self):
        status = Path(f"/proc/{self.node.worker_pid()}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def grown(self):
        return self.peak_bytes() - self.before

    def asked(self):
        return self.origin.requests - self.origin_before

    def check(self, growth_max=GROWTH_MAX):
        """What holds after every attack."""
        self.neighbour.wait_for_more()
        assert not self.neighbour.wrong, f"the neighbour: {self.neighbour.wrong}"
        assert self.node.worker_pid() == self.worker, "the node was started again"
        grown = self.grown()
        assert grown < growth_max * brim_node.GROWTH, f"memory grew by {grown >> 20} MiB"

    def end_neighbour(self):
        self.neighbour.is_over = True
        self.neighbour.join(10)

    def close(self):
        self.end_neighbour()
        if self.node.process.poll() is None:
            self.node.kill()


def run_flood(rig, name):
    reason, path = FLOODS[name]
    script = attacks.ATTACKS[name](path)
    with rig.waiting(script) as flood:
        flood.run(UNITS_MAX)
        # Whoever is not ended answers a PING behind the last frame, or has to be waited for.
        assert flood.settle() and flood.is_cut, (
            f"not ended after {flood.units} units: GOAWAY {flood.goaway}, {flood.resets} resets")
        assert flood.goaway is None, f"GOAWAY {flood.goaway} before a budget was spent"
    assert rig.ended(reason) == 1, rig.all_ended()
    assert rig.asked() <= ORIGIN_MAX, f"the origin was asked {rig.asked()} times"
    return f"ended as {reason}, {rig.asked()} requests to the origin"


CASES = {name: lambda rig, name=name: run_flood(rig, name) for name in FLOODS}
OPTIONS = {}
# What is counted once a second may be exceeded meanwhile; what malloc has it keeps. Of 2,000 MiB.
GROWTHS = {"zero_windows_own": CLIENT_MEMORY + GROWTH_MAX}


def case(**options):
    def keep(function):
        CASES[function.__name__] = function
        OPTIONS[function.__name__] = options
        return function
    return keep


# libh2o calls these errors of the connection, so each connection has one, and it is over.
GOODBYES = {"self_dependency": PROTOCOL_ERROR, "made_reset_second_headers": STREAM_CLOSED}
GOODBYE_TRIES = 20


def run_goodbye(rig, name):
    """A reset of the connection may overtake the GOAWAY, as not all that was sent is read: then again."""
    for tries in range(1, GOODBYE_TRIES + 1):
        with rig.waiting(attacks.ATTACKS[name]("/wait/#")) as flood:
            flood.run(UNITS_MAX)
            assert flood.wait(never), "not ended"
        if flood.goaway is not None:
            break
    assert flood.goaway == GOODBYES[name], f"GOAWAY {flood.goaway}"
    assert rig.asked() <= 2 * tries, f"the origin was asked {rig.asked()} times"
    return f"GOAWAY {flood.goaway} for the first"


# Bombs that are small enough for no connection to end: each is answered (with 431 or 400), and what
# it costs is memory while it is there. Sent so that there are never more than may be.
BOMBS = ("hpack_small_bombs", "cookie_crumbs", "nameless_fields")


def run_bombs(rig, name):
    script = attacks.ATTACKS[name]("/own/bomb")
    with rig.waiting(script) as flood:
        for piece in script.pieces:
            flood.send(piece)
            flood.units += script.units
            assert flood.wait(lambda: len(flood.answered) >= flood.units), "no answer"
        assert not flood.fine - {attacks.FIRST}, f"{len(flood.fine)} passed"
        assert not flood.is_cut and not flood.resets, f"cut {flood.is_cut}, {flood.resets} resets"
    assert rig.asked() <= 2, f"the origin was asked {rig.asked()} times"
    return f"{flood.units} refused, memory grew by {rig.grown() >> 10} KiB"


CASES.update({name: lambda rig, name=name: run_goodbye(rig, name) for name in GOODBYES})
CASES.update({name: lambda rig, name=name: run_bombs(rig, name) for name in BOMBS})


@case()
def paced_reset(rig):
    """Rapid reset by somebody who waits until each request is on its way to the origin."""
    with rig.flood(NOTHING, attacks.get(1, "/wait/first")) as flood:
        for first in range(3, 3 + 2 * 4000, 2 * BURST):
            streams = range(first, first + 2 * BURST, 2)
            asked = rig.asked()
            flood.send(b"".join(attacks.get(stream, "/wait/#") for stream in streams))
            brim_node.wait_until(lambda: flood.step(1) and flood.is_cut or
                                 rig.asked() >= asked + BURST, "the origin is asked")
            flood.send(b"".join(attacks.reset(stream) for stream in streams))
            if flood.is_cut:
                break
        assert flood.is_cut, "not ended"
    assert rig.ended("resets") == 1
    assert rig.asked() <= ORIGIN_MAX, f"the origin was asked {rig.asked()} times"
    return f"ended as resets, {rig.asked()} requests to the origin"


def hold(rig, path, window, reads):
    """Connections with a hundred large responses each that are not taken."""
    script = attacks.Script([], 1, False, window=window, opens=False, setup=b"".join(
        attacks.get(stream, path) for stream in range(1, 2 * HELD_STREAMS, 2)))
    floods = [rig.flood(script, receive_buffer=4096) for _ in range(HELD_CONNECTIONS)]
    for flood in floods:
        flood.run(1, reads=reads)
    for flood in floods:
        assert flood.wait(never, reads=reads), "not ended"
        flood.close()
    assert rig.ended("not_reading") == HELD_CONNECTIONS, rig.all_ended()
    return (f"{HELD_CONNECTIONS} x {HELD_STREAMS} responses of {LARGE_BYTES >> 20} MiB, "
            f"memory grew by {rig.grown() >> 20} MiB")


@case(timeouts__write="2s")
def zero_windows(rig):
    """CVE-2019-9517's kin: everything is asked for, and no window is opened."""
    return hold(rig, "/large", 0, True)


@case(limits__client_memory=CLIENT_MEMORY, limits__connections_per_address=0)
def zero_windows_own(rig):
    """The same of what is not stored: each response has its own window (cache.window) in memory. With
    addresses that are not told apart, so that nothing is refused before it has to be."""
    script = attacks.Script([], 1, False, window=0, opens=False, setup=b"".join(
        attacks.get(stream, "/own/#") for stream in range(1, 2 * HELD_STREAMS, 2)))
    floods = [rig.flood(script) for _ in range(HELD_CONNECTIONS)]
    for flood in floods:
        flood.run(1)
    brim_node.wait_until(lambda: rig.ended("memory") > 0, "the greediest is ended")
    for flood in floods:
        flood.wait(lambda: len(flood.answered) == HELD_STREAMS)
    brim_node.wait_until(lambda: brim_node.metric(
        rig.node.admin_port, "brim_client_memory_bytes") < CLIENT_MEMORY, "less is held than may be")
    for flood in floods:
        flood.close()
    return f"{rig.ended('memory')} of {HELD_CONNECTIONS} ended, memory grew by {rig.grown() >> 20} MiB"


@case(timeouts__write="2s")
def full_pipes(rig):
    """CVE-2019-9517: windows are wide open, and nobody reads."""
    return hold(rig, "/large", attacks.FULL_WINDOW, False)


@case(timeouts__request="1s")
def header_drip(rig):
    """A header block that comes byte by byte, each in a frame of its own."""
    with rig.waiting(NOTHING) as flood:
        flood.send(attacks.frame(attacks.HEADERS, attacks.END_STREAM, 3, attacks.block("/small")))
        for _ in range(BLOCK_FRAMES):  # fewer than end it for their number
            flood.send(attacks.frame(attacks.CONTINUATION, 0, 3, b"\x10"))
            brim_node.wait_until(lambda: not flood.step(100) or flood.is_cut, "a pause")
        assert flood.wait(never), "not ended"
    assert rig.ended("header_slow") == 1, rig.all_ended()
    return "ended as header_slow"


@case(timeouts__idle="1s")
def body_drip(rig):
    """A body that comes byte by byte."""
    with rig.waiting(NOTHING) as flood:
        flood.send(attacks.post(3, "/small"))
        for _ in range(600):
            flood.send(attacks.frame(attacks.DATA, 0, 3, b"x"))
            brim_node.wait_until(lambda: not flood.step(100) or flood.is_cut, "a pause")
            if flood.is_cut:
                break
        assert flood.is_cut, "not ended"
    assert rig.ended("body_slow") == 1, rig.all_ended()
    return "ended as body_slow"


@case()
def late_windows(rig):
    """Upstream 00977f672: a window that opens while the last frame of its stream waits in a blocked
    write; libh2o asserts."""
    with rig.flood(attacks.Script([], 1, False, window=1024, opens=False),
                   receive_buffer=4096) as flood:
        flood.send(b"")
        for first in range(1, 2 * 5000, 2 * BURST):
            asked = range(first, first + 2 * BURST, 2)
            opened = range(max(1, first - 6 * BURST), first + 2 * BURST, 2)
            for more in (b"".join(attacks.get(stream, "/kib") for stream in asked),
                         b"".join(attacks.update(stream, 1) for stream in opened)):
                flood.out = memoryview(more)
                while flood.out and flood.step(100, reads=False) and not flood.is_cut:
                    pass
                flood.step(5, reads=False)  # the server is to look at the one before the other
            if flood.out or flood.is_cut:
                break
    return f"alive after {first // 2} streams"


@case()
def drain(rig):
    """A header block that is open when the node is told to end: libh2o's thread spins for ever."""
    half = attacks.frame(attacks.HEADERS, attacks.END_STREAM, 3, attacks.block("/small"))
    with rig.flood(attacks.Script([], 1, False, setup=half),
                   attacks.get(1, "/wait/first")) as flood:
        flood.run(1)
        brim_node.wait_until(lambda: rig.asked() == 1, "the origin is asked")
        rig.end_neighbour()
        rig.node.process.send_signal(signal.SIGTERM)
        assert flood.wait(lambda: flood.goaways == 2) and not flood.is_cut, "no second GOAWAY"
        flood.send(attacks.frame(attacks.CONTINUATION, attacks.END_HEADERS, 3, b"\x84"))
        assert flood.wait(never), "not ended"
    status = rig.node.stop()
    assert status == 0, f"the node ended with {status}"
    assert "header block open while draining" in rig.node.log_tail()
    return "ended, and so did the node"


@case(abuse__strikes=3, abuse__ban="10s")
def address(rig):
    """A new connection has a new budget; its address has three."""
    script = attacks.rapid_reset("/wait/#")
    for _ in range(3):
        with rig.flood(script) as flood:
            flood.run(UNITS_MAX)
            assert flood.wait(never), "not ended"
    assert rig.ended("resets") == 3
    with rig.flood(NOTHING) as flood:
        assert flood.wait(never) and not flood.heard, "let in in spite of the ban"
    assert rig.ended("address_banned") == 1
    assert brim_node.metric(rig.node.admin_port, "brim_client_bans_total") == 1

    def is_let_in():
        with rig.flood(NOTHING, attacks.get(1, "/small")) as flood:
            flood.wait(lambda: flood.answered)
            return flood.answered == {1}

    brim_node.wait_until(is_let_in, "let in when the ban is over")
    assert rig.asked() <= 3 * ORIGIN_MAX
    return f"banned after 3 connections, {rig.asked()} requests to the origin; then let in again"


@case(abuse__strikes=3)
def refused(rig):
    """What ends no connection, as each bomb is refused for itself, is charged to the address."""
    told = run_bombs(rig, "nameless_fields")
    brim_node.wait_until(
        lambda: brim_node.metric(rig.node.admin_port, "brim_client_bans_total") == 1, "banned")
    with rig.flood(NOTHING) as flood:
        assert flood.wait(never) and not flood.heard, "let in in spite of the ban"
    return f"{told}; then the address is banned"


def run_case(binary, origin, name):
    with tempfile.TemporaryDirectory(prefix="brim-h2-abuse-") as directory:
        rig = Rig(directory, binary, origin, **OPTIONS.get(name, {}))
        try:
            told = CASES[name](rig)
            if not rig.neighbour.is_over:
                rig.check(GROWTHS.get(name, GROWTH_MAX))
            print(f"h2_abuse: {name}: {told}", flush=True)
            return True
        except (AssertionError, TimeoutError, OSError) as fault:
            print(f"h2_abuse: {name}: FAULT: {fault!r}", flush=True)
            return False
        finally:
            rig.close()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    names = sys.argv[2:] or list(CASES)
    origin = Origin()
    results = [run_case(binary, origin, name) for name in names]
    print(f"h2_abuse: {len(results)} attacks, {results.count(False)} faults")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
