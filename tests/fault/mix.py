#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mix - everything at once, at random: clients that leave, ask for parts, post and purge; an origin
that stalls, breaks off, lies about lengths and answers differently each time.

Usage: tests/fault/mix.py BRIM [SECONDS [SEED]]

Nothing is expected of an answer; other tests do that. The node lives, every purge is taken, it ends
cleanly, and a sanitizer build has nothing to say.
"""

import asyncio
import random
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

CLIENTS = 40
URLS = 30
PURGE_PACE_S = 0.3  # each is a process: leave the cores to the node
SIZES = (0, 10, 5000, 300000, 6000000)
CONTROLS = ("max-age=1", "max-age=60", "no-store", "private", "max-age=0",
            "max-age=1, stale-while-revalidate=5", "max-age=1, stale-if-error=60")
METHODS = ("GET",) * 6 + ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")


class Origin:
    def __init__(self, rng):
        self.rng = rng

    async def serve(self, reader, writer):
        try:
            while await self.exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path = head.split()[:2]
        length = re.search(r"(?i)content-length: (\d+)", head)
        if length:
            await reader.readexactly(int(length[1]))
        number = int(path[2:])
        size, rng = SIZES[number % len(SIZES)], self.rng
        fields = f"Cache-Control: {rng.choice(CONTROLS)}\r\nETag: \"e{number}\"\r\n"
        if rng.random() < 0.2:
            fields += "Vary: X-V\r\n"
        fate = rng.random()
        if "if-none-match" in head.lower() and fate < 0.6:
            writer.write(f"HTTP/1.1 304 Not Modified\r\n{fields}\r\n".encode())
            return True
        if fate < 0.05:
            return False
        if fate < 0.1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx")
            return False
        if fate < 0.15:
            writer.write(b"HTTP/1.1 503 Gone Fishing\r\nContent-Length: 2\r\n\r\nxx")
            return True
        if fate < 0.25:
            writer.write(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {size + 100}\r\n\r\n".encode()
                         + b"x" * size)
            return False
        if fate < 0.5:
            return await self.chunked(writer, fields, 0 if method == "HEAD" else size)
        writer.write(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {size}\r\n\r\n".encode()
                     + (b"" if method == "HEAD" else b"x" * size))
        return True

    async def chunked(self, writer, fields, size):
        status = self.rng.choice((200, 404, 302, 500))
        writer.write(f"HTTP/1.1 {status} Text\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3 if size else 0):
            writer.write(b"%x\r\n" % size + b"x" * size + b"\r\n")
            await writer.drain()
            await asyncio.sleep(self.rng.random() * 0.02)
        if size and self.rng.random() < 0.2:
            return False
        if size:
            writer.write(b"0\r\n\r\n")
        return bool(size)


def request(rng):
    method, fields, body = rng.choice(METHODS), "", ""
    if rng.random() < 0.2:
        fields += f"Range: bytes={rng.choice(('0-4', '-5', '100-', '9999999-', '0-0,5-6'))}\r\n"
    if rng.random() < 0.1:
        fields += f"If-None-Match: \"e{rng.randrange(URLS)}\"\r\n"
    if rng.random() < 0.1:
        fields += f"Cache-Control: {rng.choice(('no-cache', 'only-if-cached', 'no-store'))}\r\n"
    if rng.random() < 0.2:
        fields += f"X-V: {rng.randrange(3)}\r\n"
    if method in ("POST", "PUT"):
        body = "b" * rng.randrange(5000)
        fields += f"Content-Length: {len(body)}\r\n"
    version = rng.choice(("1.1", "1.1", "1.1", "1.0"))
    return (f"{method} /p{rng.randrange(URLS)} HTTP/{version}\r\nHost: mix\r\n{fields}\r\n"
            f"{body}").encode()


async def one_connection(port, rng):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(rng.randrange(1, 6)):
            writer.write(request(rng))
            await writer.drain()
            if rng.random() < 0.15:
                return 1
            await asyncio.wait_for(reader.read(rng.choice((100, 65536, 1 << 20))), 1)
            if rng.random() < 0.5:
                return 1
        return 1
    finally:
        writer.close()


async def client(port, rng, until, counts):
    while time.monotonic() < until:
        try:
            counts["connections"] += await one_connection(port, rng)
        except (OSError, asyncio.TimeoutError):
            counts["broken"] += 1


async def purger(node, rng, until):
    while time.monotonic() < until:
        soft = ["--soft"] if rng.random() < 0.5 else []
        process = await asyncio.create_subprocess_exec(
            node.binary, "purge", "--admin", f"127.0.0.1:{node.admin_port}", *soft,
            f"http://mix/p{rng.randrange(URLS)}", stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0, "a purge failed:\n" + node.log_tail()
        await asyncio.sleep(PURGE_PACE_S)


async def run(brim, seconds, seed, directory):
    rng = random.Random(seed)
    server = await asyncio.start_server(Origin(rng).serve, "127.0.0.1", 0)
    port, admin_port = brim_node.free_port(), brim_node.free_port()
    config = brim_node.make_config(port, admin_port, server.sockets[0].getsockname()[1])
    config["cache"] = {"path": f"{directory}/cache", "disk": "64MiB", "memory": "8MiB",
                       "memory_object": "1MiB"}
    config["access_log"] = {"path": f"{directory}/access.log"}
    node = brim_node.Node(directory, config, brim, supervise=False)
    node.start(wait=False)
    counts = {"connections": 0, "broken": 0}
    try:
        while not await asyncio.to_thread(node.is_ready):
            pass
        until = time.monotonic() + seconds
        await asyncio.gather(purger(node, rng, until),
                             *(client(port, rng, until, counts) for _ in range(CLIENTS)))
        assert node.process.poll() is None, "the node died:\n" + node.log_tail(60)
    finally:
        status = await asyncio.to_thread(node.stop)
        server.close()
    assert status == 0, f"exit status {status}:\n" + node.log_tail(60)
    print(f"mix: seed {seed}: {counts['connections']} connections, {counts['broken']} broken off; "
          "alive, clean end")


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    print(f"mix: seed {seed}")
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(sys.argv[1], seconds, seed, directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
