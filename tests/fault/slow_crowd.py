#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""slow_crowd - a thousand idle clients and a hundred that read by the sip are held; others are served.

Usage: tests/fault/slow_crowd.py BRIM

1. They read what is stored. Every byte that a slow reader takes is compared; the idle ones, HTTP/1.1 and
   HTTP/2, are answered again in the end; nobody is ended; memory grows by less than limits.client_memory.
2. More of them read what is not stored, so that each costs the node an exchange with its origin, and up to
   cache.window if there is room. That is counted: as many stay as limits.client_memory has room for, with less
   of a window; the others are ended for it or refused. It is never exceeded. New clients are let in again.
The same with more clients and with times: bench/crowd.
"""

import select
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crowd_clients  # noqa: E402

IDLE = 1000
SLOW = 100
UNSTORED = 400
EXCHANGE = 208 << 10  # BRIM_FLIGHT_BYTES
REQUESTS = 1000
FINISHERS = 5
CLIENT_MEMORY = 64 << 20
WINDOW = 1 << 20


def ended(node, reason):
    return brim_node.metric(node.admin_port, f'brim_connections_ended_total{{reason="{reason}"}}')


def held(node):
    return brim_node.metric(node.admin_port, "brim_client_memory_bytes")


def stored(node, port):
    warm = crowd_clients.SlowReader(port)
    warm.finish()
    warm.close()
    brim_node.wait_until(lambda: brim_node.metric(node.admin_port, "brim_disk_objects") >= 1,
                         "/large is stored")
    before = node.rss_bytes()
    idle = [crowd_clients.idle_client(port) for _ in range(IDLE)]
    slow = [crowd_clients.SlowReader(port) for _ in range(SLOW)]
    normal = crowd_clients.IdleH1(port)
    for number in range(REQUESTS):
        normal.ask()
        slow[number % SLOW].sip()
        if number % 50 == 0:
            crowd_clients.IdleH2(port).close()
    grown = node.rss_bytes() - before
    for client in idle:
        client.ask()
    for client in slow[:FINISHERS]:
        client.finish()
    for client in slow[FINISHERS:]:
        client.sip()
    print(f"slow_crowd: {IDLE} idle, {SLOW} slow, {REQUESTS} requests answered; memory grew by "
          f"{grown >> 10} KiB, clients hold {held(node) >> 10} KiB")
    assert grown < CLIENT_MEMORY, f"memory grew by {grown} bytes"
    for reason in ("idle", "not_reading", "reading_slowly", "memory", "address_crowded"):
        assert ended(node, reason) == 0, f"{ended(node, reason)} ended: {reason}"
    for client in (*idle, *slow, normal):
        client.close()


def try_slow(port, number):
    """None: it was refused, or ended before the header had come."""
    try:
        return crowd_clients.SlowReader(port, f"/unstored?{number}")
    except (ConnectionError, AssertionError):
        return None


def is_left(client):
    """What had come before its end can still be read, so that alone does not tell."""
    ending = select.poll()
    ending.register(client.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    try:
        client.sip()
    except ConnectionError:
        return False
    return not ending.poll(0)


def is_let_in(port):
    try:
        crowd_clients.IdleH1(port).close()
        return True
    except ConnectionError:
        return False


def unstored(node, port):
    normal = crowd_clients.IdleH1(port)
    slow = [client for number in range(UNSTORED) if (client := try_slow(port, number)) is not None]
    least, most = CLIENT_MEMORY // WINDOW, CLIENT_MEMORY // EXCHANGE

    def fits():
        normal.ask()
        assert held(node) <= CLIENT_MEMORY, "more is held than may be"
        slow[:] = [client for client in slow if is_left(client)]
        return len(slow) <= most and held(node) <= CLIENT_MEMORY * 3 // 4

    brim_node.wait_until(fits, f"at most {most} slow readers of what is not stored are left")
    brim_node.wait_until(lambda: is_let_in(port), "new clients are let in")
    print(f"slow_crowd: not stored: {len(slow)} of {UNSTORED} fit, {ended(node, 'memory')} were ended, "
          f"clients hold {held(node) >> 10} KiB, all of the node {node.rss_bytes() >> 10}")
    assert len(slow) >= least, "too many were ended"
    assert ended(node, "memory") > 0
    for client in slow[least // 2:]:
        client.close()
    brim_node.wait_until(lambda: held(node) < CLIENT_MEMORY // 2, "there is room again")
    before = ended(node, "memory")
    left = [client for client in slow[:least // 2] if is_left(client)]
    for client in left[:FINISHERS]:
        client.finish()
    assert len(left) >= FINISHERS and ended(node, "memory") == before
    for client in (*slow[:least // 2], normal):
        client.close()
    brim_node.wait_until(lambda: held(node) < WINDOW, "what they held is free")


def with_node(binary, part):
    with tempfile.TemporaryDirectory() as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), crowd_clients.start_origin())
        config["cache"] = {"memory": "64MiB", "path": f"{directory}/cache", "disk": "256MiB",
                           "window": WINDOW}
        config["limits"] = {"client_memory": CLIENT_MEMORY}
        brim_node.set_path(config, "origins.0.pool", 2 * UNSTORED)
        config["timeouts"] = {"request": "10m", "idle": "10m", "write": "10m"}
        node = brim_node.Node(directory, config, binary)
        with node.running():
            part(node, port)


def main():
    crowd_clients.allow_descriptors(2 * (IDLE + SLOW + UNSTORED) + 1000)
    with_node(sys.argv[1], stored)
    with_node(sys.argv[1], unstored)
    return 0


if __name__ == "__main__":
    sys.exit(main())
