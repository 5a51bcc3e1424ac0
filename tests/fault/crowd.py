#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""crowd - a thousand clients at once: one origin request where an answer can be shared, no waiting
for each other where it cannot, and memory that does not grow with what passes through.

Usage: tests/fault/crowd.py BRIM

1. Cold and cacheable: the origin sends half of the body and holds the rest back until every client
   has the first half in hand. Only one exchange, and only if the bytes reach all as they come.
2. Some of the clients leave in the middle: the others get all of it, and it is stored.
3. Private: everybody gets an answer of his own, though they all asked at once.
4. Pass-through of 1 GiB to a client that reads: the node stays small.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

CLIENTS = 1000
HALF = 20000
PASS_BYTES = 1 << 30
GROWTH_MAX = 24 << 20
PATIENCE_S = 60


class Origin:
    """Counts requests by path; /shared holds its second half back until it is released."""

    def __init__(self):
        self.requests = {}
        self.release = asyncio.Event()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                number = self.requests[path] = self.requests.get(path, 0) + 1
                await self.answer(path, number, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, path, number, writer):
        if path.startswith("/shared"):
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                         b"Content-Length: %d\r\n\r\n" % (2 * HALF) + b"a" * HALF)
            await writer.drain()
            await self.release.wait()
            writer.write(b"b" * HALF)
        elif path == "/private":
            body = b"answer %d" % number
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: private\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                         b"Content-Length: %d\r\n\r\n" % PASS_BYTES)
            piece = b"x" * (1 << 20)
            for _ in range(PASS_BYTES // len(piece)):
                writer.write(piece)
                await writer.drain()
        await writer.drain()


async def ask(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n\r\n" % path.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer


async def shared(origin, port, path, leavers):
    first_halves = 0

    async def client(number):
        nonlocal first_halves
        reader, writer = await ask(port, path)
        body = await reader.readexactly(HALF)
        first_halves += 1
        if first_halves == CLIENTS:
            origin.release.set()
        if number < leavers:
            writer.close()
            return True
        body += await reader.read(-1)
        writer.close()
        return body == b"a" * HALF + b"b" * HALF

    results = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    assert all(results), f"{results.count(False)} wrong bodies of {path}"
    assert origin.requests[path] == 1, f"{origin.requests[path]} origin requests for {path}"
    origin.release.clear()
    reader, writer = await ask(port, path)  # stored: answered without the origin
    assert len(await reader.read(-1)) == 2 * HALF
    writer.close()
    assert origin.requests[path] == 1
    print(f"crowd: {path}: {CLIENTS} clients ({leavers} left in the middle), 1 origin request")


async def private(origin, port):
    async def client():
        reader, writer = await ask(port, "/private")
        body = await reader.read(-1)
        writer.close()
        return body

    bodies = await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert len(set(bodies)) == CLIENTS, "somebody got another's private answer"
    print(f"crowd: /private: {CLIENTS} clients, {origin.requests['/private']} answers, all their own")


async def pass_through(node, port):
    before = node.rss_bytes()
    highest = 0
    reader, writer = await ask(port, "/pass")
    left = PASS_BYTES
    while left > 0:
        piece = await reader.read(1 << 20)
        assert piece, f"cut off with {left} bytes to come"
        left -= len(piece)
        if left % 64 < 8:
            highest = max(highest, node.rss_bytes())
    writer.close()
    grown = highest - before
    print(f"crowd: /pass: {PASS_BYTES >> 20} MiB passed, memory grew by {grown >> 10} KiB")
    assert grown < GROWTH_MAX, f"memory grew by {grown} bytes"


async def run(brim, directory):
    origin = Origin()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, backlog=2048)
    port, admin_port = brim_node.free_port(), brim_node.free_port()
    config = brim_node.make_config(port, admin_port, server.sockets[0].getsockname()[1])
    brim_node.set_path(config, "origins.0.pool", 64)
    node = brim_node.Node(directory, config, brim)
    node.start(wait=False)
    try:
        while not await asyncio.to_thread(node.is_ready):
            pass
        await asyncio.wait_for(shared(origin, port, "/shared", 0), PATIENCE_S)
        await asyncio.wait_for(shared(origin, port, "/shared/left", 300), PATIENCE_S)
        await asyncio.wait_for(private(origin, port), PATIENCE_S)
        await asyncio.wait_for(pass_through(node, port), PATIENCE_S)
    finally:
        server.close()
        node.stop()


def main():
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(sys.argv[1], directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
