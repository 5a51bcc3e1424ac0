#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""client_memory - limits.client_memory holds while it is attacked, not a second later; hits are served.

Usage: tests/fault/client_memory.py BRIM [ATTACK...]   without names: all

Each attack meets a fresh node. It asks, on CONNECTIONS times STREAMS HTTP/2 streams without a window, for
what costs memory until it is read, and comes again, some rounds, whenever it has been ended. The peak of
what the process held, by the kernel's own mark, is at most limits.client_memory, the RAM of the cache and
a margin above what it was before. What is refused is answered 503; a neighbour who asks for what is in RAM
gets it each time, and so does one who asks for what has to be fetched: each attack comes from one address,
whose share is a third while others ask for little. Without shares that neighbour got 503 in all of them.

When memory was only counted once a second, `own` made the peak 1,100 MiB, and `bodies`, `uploads` and
`chunks` as much as was sent.
"""

import select
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_abuse  # noqa: E402
import h2_attacks as attacks  # noqa: E402

CONNECTIONS, STREAMS, ROUNDS = 32, 100, 3
CLIENT_MEMORY = 96 << 20
CACHE_MEMORY = 16 << 20
MARGIN = 96 << 20  # what of libh2o is counted once a second, what malloc keeps, threads
REFUSED = "brim_client_memory_refused_total"
BODIES_REFUSED = "brim_request_bodies_refused_total"

# What is asked for: not stored; stored in RAM; stored on disk, each something else or the same. bodies: of
# requests, which are refused or whose connections end.
ATTACKS = {
    "own": ("/own/%d/#", {}),
    "kept": ("/kept/%d/#", {"cache__memory_object": 4 << 20}),
    "disk": ("/kept/%d/#", {"cache__memory_object": 64 << 10, "cache__disk": "1GiB"}),
    "disk_same": ("/kept/#", {"cache__memory_object": 64 << 10, "cache__disk": "1GiB"}),
    "bodies": ("", {}),
    "uploads": (b"Content-Length: 16777216", {}),
    "chunks": (b"Transfer-Encoding: chunked", {}),
}

BODY_STREAMS, BODY_ROUNDS = 8, 100
BODY_PIECE = b"x" * 16000
UPLOADS, UPLOAD_BYTES = 64, 12 << 20  # HTTP/1.1; of a body that is longer
UPLOAD_PIECE = b"10000\r\n" + b"x" * (1 << 16) + b"\r\n"


class Origin(h2_abuse.Origin):
    """/kept...: 2 MiB, to be stored."""

    async def answer(self, path):
        fields, body = await super().answer(path)
        return fields, h2_abuse.BODIES[b"/own"] if path.startswith((b"/kept", b"/own")) else body


class Misses(h2_abuse.Neighbour):
    """Asks each time for what nobody has asked for."""

    def path(self):
        return f"/miss/{self.answers}"


def check_neighbours(rig):
    for one in (rig.neighbour, rig.misses):
        one.wait_for_more()
        assert not one.wrong, f"who asks for {one.path()} got {one.wrong}"


def refused(rig):
    return brim_node.metric(rig.node.admin_port, REFUSED)


def flood(rig, path, number):
    try:
        return rig.flood(attacks.Script([], 1, False, window=0, opens=False, setup=b"".join(
            attacks.get(stream, path) for stream in range(1, 2 * STREAMS, 2))))
    except OSError as error:  # it is refused before it is there
        print(f"client_memory: connection {number}: {error!r}")
        return None


def attack(rig, path):
    """Returns how many responses were headed, and how many of them 200."""
    answered = fine = 0
    for _ in range(ROUNDS):
        floods = [one for number in range(CONNECTIONS) if (one := flood(
            rig, path % number if "%d" in path else path, number)) is not None]
        for one in floods:
            one.run(1)
        for one in floods:
            one.wait(lambda one=one: len(one.answered) == STREAMS)
            answered += len(one.answered)
            fine += len(one.fine)
        check_neighbours(rig)
        for one in floods:
            one.close()
    return answered, fine


def upload(rig):
    """Request bodies that never end, 12 MiB a connection; as attack()."""
    streams = range(1, 2 * BODY_STREAMS, 2)
    piece = b"".join(attacks.frame(attacks.DATA, 0, stream, BODY_PIECE) for stream in streams)
    script = attacks.Script([piece], 1, True, opens=False, setup=b"".join(
        attacks.post(stream, "/small") for stream in streams))
    floods = [rig.flood(script) for _ in range(CONNECTIONS)]
    for _ in range(BODY_ROUNDS):
        for one in floods:
            if not one.is_cut:
                one.send(piece)
    check_neighbours(rig)
    for one in floods:
        one.close()


def dial(rig, number, head):
    """An upload begins, on a connection that has been answered once, with what had to be fetched: then
    the answer is written, and the next request read, long after the callback that read the first."""
    sock = socket.create_connection(("127.0.0.1", rig.port), timeout=30,
                                    source_address=(h2_abuse.ATTACKER, 0))
    sock.sendall(b"GET /new/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
    assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 "), "no answer"
    sock.sendall(head)
    return sock


def unread_bytes(port):
    """Of all connections of this port, what its process has not read yet."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows
               if row[1].endswith(f":{port:04X}") and row[3] == "01")


def heard(sock, flags=0):
    try:
        return sock.recv(1 << 16, flags)
    except OSError:
        return b""


def refused_among(socks):
    return sum(heard(sock, socket.MSG_PEEK).startswith(b"HTTP/1.1 503 ")
               for sock in select.select(socks, [], [], 0)[0])


def upload_http1(rig, framing):
    """The same by HTTP/1.1. Returns what those were told who were refused."""
    head = b"POST /small HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % framing
    sent = {dial(rig, number, head): 0 for number in range(UPLOADS)}
    busy = set(sent)
    while busy:
        for sock in select.select([], list(busy), [], 30)[1]:
            try:
                sent[sock] += sock.send(UPLOAD_PIECE)
                if sent[sock] >= UPLOAD_BYTES:
                    busy.remove(sock)
            except OSError:  # ended as one of the greediest, and told nothing
                busy.remove(sock)
    # What the kernel had still to give to the node may be what is refused.
    brim_node.wait_until(lambda: unread_bytes(rig.port) == 0, "the node has read what was sent")
    brim_node.wait_until(lambda: refused_among(list(sent)) == brim_node.metric(
        rig.node.admin_port, BODIES_REFUSED), "each who was refused has been told")
    answers = [heard(sock) for sock in select.select(list(sent), [], [], 0)[0]]
    check_neighbours(rig)
    for sock in sent:
        sock.close()
    return answers


def check_uploads(rig, framing):
    answers = upload_http1(rig, framing)
    bodies = brim_node.metric(rig.node.admin_port, BODIES_REFUSED)
    polite = [one for one in answers if one.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in one]
    assert 0 < bodies < UPLOADS, f"{bodies} refused, {rig.all_ended()}"
    assert len(polite) == bodies, (len(polite), bodies, answers[:3])
    return f"{bodies} of {UPLOADS} refused, {len(polite)} read why"


def run(binary, origin, name):
    path, options = ATTACKS[name]
    with tempfile.TemporaryDirectory(prefix="brim-client-memory-") as directory:
        if "cache__disk" in options:
            options = {**options, "cache__path": f"{directory}/cache"}
        rig = h2_abuse.Rig(directory, binary, origin, cache__memory=CACHE_MEMORY,
                           limits__client_memory=CLIENT_MEMORY, **options)
        rig.misses = Misses(rig.port)
        try:
            rig.misses.start()
            if name == "bodies":
                upload(rig)
                bodies = brim_node.metric(rig.node.admin_port, BODIES_REFUSED)
                assert bodies + rig.ended("memory") > 0, rig.all_ended()
                told = f"{bodies} refused"
            elif name in ("uploads", "chunks"):
                told = check_uploads(rig, path)
            else:
                answered, fine = attack(rig, path)
                told = f"{answered} answered, {fine} of them 200, {refused(rig)} refused"
                assert refused(rig) > 0 and answered > fine > 0, "nothing was refused"
                assert "client.memory refused=" in rig.node.log_tail(10000), "the log says nothing"
            print(f"client_memory: {name}: {told}, {rig.ended('memory')} ended; "
                  f"grew by {rig.grown() >> 20} MiB", flush=True)
            brim_node.wait_until(lambda: brim_node.metric(
                rig.node.admin_port, "brim_client_memory_bytes") < 1 << 20, "what they held is free")
            rig.check(CLIENT_MEMORY + CACHE_MEMORY + MARGIN)
        except BaseException:
            print(rig.node.log_tail(), rig.all_ended(), sep="\n")
            raise
        finally:
            rig.misses.is_over = True
            rig.misses.join(10)
            rig.close()


def main():
    origin = Origin()
    for name in sys.argv[2:] or ATTACKS:
        run(sys.argv[1], origin, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
