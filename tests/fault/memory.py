#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memory - what an attack has made the node take, it gives back; a fourth attack leaves no more than two.

Usage: tests/fault/memory.py BRIM

Each attack opens connections whose every response is large, is not stored and is not read: HTTP/2
streams without a window, and HTTP/1.1 clients with a small one. What their windows take is freed at
the end, in pieces between what stays; malloc alone keeps it: then 100 MiB and more stay after two
attacks, and the first wait fails. That nothing leaks is seen in what malloc has handed out. Exits 77
with a sanitizer's binary, whose allocator gives nothing back.
"""

import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_abuse  # noqa: E402
import h2_attacks as attacks  # noqa: E402
import injection  # noqa: E402

CONNECTIONS, STREAMS, READERS = 4, 100, 50  # 560 MiB at most: below limits.client_memory
SPARE = 4 << 20
RETURNED = 24 << 20   # above what there was before: what may be spare, buffers that libh2o keeps, stacks
LATER = 8 << 20       # the fourth attack may leave so much more than the second
ALLOCATED = 1 << 20   # and so much more in use
WAIT_S = 180          # two looks, ten seconds apart, on a machine that is busy
RECEIVE_BUFFER = 4096


def held(node):
    return brim_node.metric(node.admin_port, "brim_client_memory_bytes")


def no_windows(port):
    script = attacks.Script([], 1, False, window=0, opens=False, setup=b"".join(
        attacks.get(stream, "/own/#") for stream in range(1, 2 * STREAMS, 2)))
    floods = [attacks.Flood(port, script, h2_abuse.ATTACKER, b"") for _ in range(CONNECTIONS)]
    for flood in floods:
        flood.run(1)
        flood.wait(lambda flood=flood: len(flood.answered) == STREAMS)
    return floods


def no_reader(port, number):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.connect(("127.0.0.1", port))
    sock.sendall(b"GET /own/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
    sock.recv(1, socket.MSG_PEEK)
    return sock


def attack(node, port):
    """Returns when the node holds nothing for the attackers any more."""
    attackers = [*no_windows(port), *(no_reader(port, number) for number in range(READERS))]
    for attacker in attackers:
        attacker.close()
    brim_node.wait_until(lambda: held(node) < 1 << 20, "nobody holds memory")


def attack_twice(node, port, ceiling):
    attack(node, port)
    attack(node, port)
    at_most = node.rss_bytes()

    def is_given_back():
        """Wholly: the count of what is unused is renewed when that is done."""
        return node.rss_bytes() < ceiling and brim_node.metric(
            node.admin_port, "brim_memory_unused_bytes") <= SPARE

    brim_node.wait_until(is_given_back,
                         f"less than {ceiling >> 20} of {at_most >> 20} MiB are resident", WAIT_S)
    resident, allocated = node.rss_bytes(), brim_node.metric(
        node.admin_port, "brim_memory_allocated_bytes")
    print(f"memory: two attacks: {at_most >> 10} KiB resident at their end, then {resident >> 10}, "
          f"{allocated >> 10} in use", flush=True)
    return resident, allocated


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    if injection.is_sanitized(binary):
        print("memory: skipped: a sanitizer has an allocator of its own")
        return injection.SKIP
    origin = h2_abuse.Origin()
    with tempfile.TemporaryDirectory(prefix="brim-memory-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.port)
        config["node"].update(workers=1, fetchers=1, spare_memory=SPARE)
        config["abuse"] = {"strikes": 0}
        brim_node.set_path(config, "origins.0.pool", 4096)
        node = brim_node.Node(directory, config, binary).start()
        try:
            worker, before = node.worker_pid(), node.rss_bytes()
            second = attack_twice(node, port, before + RETURNED)
            fourth = attack_twice(node, port, before + RETURNED)
            assert fourth[0] < second[0] + LATER, f"resident: {second[0]}, later {fourth[0]}"
            assert fourth[1] < second[1] + ALLOCATED, f"in use: {second[1]}, later {fourth[1]}"
            assert node.worker_pid() == worker, "the node was started again"
            returned = brim_node.metric(node.admin_port, "brim_memory_returned_bytes_total")
            assert returned > RETURNED, returned
            assert "memory.returned" in node.log_path.read_text(), "the log does not tell"
        except BaseException:
            print(node.log_tail())
            raise
        finally:
            node.stop()
    print(f"memory: 4 attacks, {before >> 10} KiB resident before, {fourth[0] >> 10} after, "
          f"{returned >> 20} MiB given back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
