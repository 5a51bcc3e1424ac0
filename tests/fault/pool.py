#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pool - thousands of clients in front of a pool that is small: the origin sees as many connections
as the config says, as many requests wait as it says, all others hear 503 with Retry-After at once.

Usage: tests/fault/pool.py BRIM [CLIENTS]

1. CLIENTS (5,000) ask at once while the origin answers nobody: counted is who is refused, who
   waits, and what the origin has. Then it answers, and everybody who waited is served.
2. Servers with max_connections: none has more, and what is over waits for the next that is free.
3. Steady load over the same connections: of 2,000 exchanges 99 % or more find one that is open.
"""

import asyncio
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

POOL, QUEUE = 20, 1000
PATIENCE_S = 120


class Origin:
    """Answers nobody until it is released; counts connections and what is asked at a time."""

    def __init__(self):
        self.port = brim_node.free_port()
        self.release = asyncio.Event()
        self.open = self.most_open = self.all = self.asked = 0

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        return self

    async def serve(self, reader, writer):
        self.all += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                await self.release.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                             b"Content-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


class Counts:
    def __init__(self):
        self.ok = self.refused = self.other = 0


async def ask(port, path, counts):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: pool\r\nConnection: close\r\n\r\n" % path.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if head.startswith(b"http/1.1 200 "):
        counts.ok += 1
    elif head.startswith(b"http/1.1 503 ") and b"\r\nretry-after: " in head:
        counts.refused += 1
    else:
        counts.other += 1
    writer.close()


async def until(condition, what):
    async def turn():
        while not condition():
            await asyncio.sleep(0.02)
    try:
        await asyncio.wait_for(turn(), PATIENCE_S)
    except asyncio.TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S} s: {what()}") from None


async def numbers(admin, expected):
    """Of the node. An exchange is counted when it is over, which its client may know before."""
    told = {}

    def are_told():
        told.update((name, brim_node.metric(admin, name)) for name in expected)
        return told == expected

    await until(are_told, lambda: f"{told}, not {expected}")


async def start(directory, binary, pools, name):
    port, admin = brim_node.free_port(), brim_node.free_port()
    config = brim_node.make_config(port, admin, 1)
    config["origins"] = pools
    config["sites"][0]["origin"] = pools[0]["name"]
    config["limits"] = {"flights": 32768, "connections_per_address": 0}
    place = Path(directory) / name
    place.mkdir()
    node = brim_node.Node(place, config, binary).start(wait=False)
    await asyncio.to_thread(node.wait_ready)
    return node, port, admin


async def crowd(directory, binary, clients):
    origin = await Origin().start()
    node, port, admin = await start(directory, binary, [{
        "name": "app", "servers": [{"url": f"http://127.0.0.1:{origin.port}"}],
        "pool": POOL, "queue": QUEUE, "first_byte_timeout": "10m"}], "crowd")
    try:
        counts, held = Counts(), POOL + QUEUE
        asking = [asyncio.create_task(ask(port, f"/{i}", counts)) for i in range(clients)]
        await until(lambda: counts.refused + counts.other == clients - held,
                    lambda: f"all but {held} refused: {vars(counts)}")
        assert counts.other == 0 and counts.ok == 0, vars(counts)
        await numbers(admin, {"brim_origin_pool_waiting": QUEUE,
                              'brim_origin_pool_errors_total{origin="app",reason="queue"}':
                              clients - held})
        await until(lambda: (origin.open, origin.asked) == (POOL, POOL),
                    lambda: f"as many as may be are asked: {(origin.open, origin.asked)}")
        origin.release.set()
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        assert (counts.ok, counts.other) == (held, 0), vars(counts)
        assert origin.most_open == POOL, origin.most_open
        print(f"pool: {clients} clients: {POOL} connections, {QUEUE} waited, "
              f"{counts.refused} were told 503 at once, {counts.ok} served")
    finally:
        node.stop()


async def servers(directory, binary):
    origins = [await Origin().start() for _ in range(2)]
    limits = (3, 5)
    node, port, admin = await start(directory, binary, [{
        "name": "app", "first_byte_timeout": "10m",
        "servers": [{"url": f"http://127.0.0.1:{one.port}", "max_connections": most}
                    for one, most in zip(origins, limits)]}], "servers")
    try:
        counts = Counts()
        asking = [asyncio.create_task(ask(port, f"/{i}", counts)) for i in range(100)]
        await until(lambda: [one.asked for one in origins] == list(limits),
                    lambda: f"as many as may be: {[one.asked for one in origins]}")
        await until(lambda: brim_node.metric(admin, "brim_origin_pool_waiting") == 92,
                    lambda: "the others wait")
        origins[1].release.set()  # the other keeps all that it has
        await until(lambda: brim_node.metric(admin, "brim_origin_pool_waiting") < 60,
                    lambda: "those of the server that is free go on")
        origins[0].release.set()
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        assert (counts.ok, counts.other) == (100, 0), vars(counts)
        assert [one.most_open for one in origins] == list(limits), [o.most_open for o in origins]
        print("pool: max_connections 3 and 5: never more, 100 served")
    finally:
        node.stop()


async def steady(directory, binary):
    origin = await Origin().start()
    origin.release.set()
    node, port, admin = await start(directory, binary, [{
        "name": "app", "servers": [{"url": f"http://127.0.0.1:{origin.port}"}]}], "steady")

    async def client(number, counts):
        for i in range(100):
            await ask(port, f"/{number}/{i}", counts)
    try:
        counts = Counts()
        await asyncio.wait_for(asyncio.gather(*(client(n, counts) for n in range(20))), PATIENCE_S)
        assert counts.ok == 2000, vars(counts)
        await numbers(admin, {"brim_origin_pool_reused_total": 2000 - origin.all,
                              "brim_origin_pool_connects_total": origin.all})
        assert origin.all <= 0.01 * 2000, origin.all
        print(f"pool: {2000 - origin.all} of 2000 exchanges on a connection that was there, "
              f"{origin.all} made one")
    finally:
        node.stop()


async def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < clients + 1000:
        print(f"pool: {hard} file descriptors are not enough for {clients} clients")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        await crowd(directory, binary, clients)
        await servers(directory, binary)
        await steady(directory, binary)


if __name__ == "__main__":
    asyncio.run(main())
