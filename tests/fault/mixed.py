#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mixed - reloads, purges, and requests over HTTP/1.1 and HTTP/2, with TLS and without, all at once:
no request fails, no answer comes from half a config, and with a sanitizer's binary nothing leaks.

Half a config would show: the origin that a config names and a constant of its handlers both stand
in the body, and belong together.

Usage: tests/fault/mixed.py BRIM [OPERATIONS]
"""

import asyncio
import json
import random
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_client  # noqa: E402

OPERATIONS = 10000
STREAMS = 4
URLS = 20
SECONDS_MAX = 500  # a machine that is so slow fails, rather than the test runner's patience
HANDLERS = """
return {
  origin_request = function(req) req.headers["X-Turn"] = brim.env.TURN end,
}
"""


class Origin:
    """Says its name and which config asked."""

    def __init__(self, name):
        self.name = name

    async def start(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                turn = head.lower().split("x-turn: ")[1].split("\r\n")[0]
                body = f"{self.name} {turn}".encode()
                control = "max-age=60" if " /c/" in head else "no-store"
                tag = head.split(" ")[1].rsplit("/", 1)[1]
                writer.write(f"HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nCache-Tag: t{tag}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Http1:
    """One connection, kept: neither a reload nor a purge may end it."""

    def __init__(self, port, tls=None, host="site.test"):
        self.port, self.tls, self.host = port, tls, host
        self.reader = self.writer = None

    async def call(self, head, body=""):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port,
                                                                     ssl=self.tls)
        self.writer.write(f"{head} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}"
                          f"\r\n\r\n{body}".encode())
        answer = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)).decode()
        fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if line)
        text = await self.reader.readexactly(int(fields["content-length"]))
        return int(answer.split(" ")[1]), text

    async def get(self, path):
        return await self.call(f"GET {path}")

    async def close(self):
        if self.writer is not None:
            self.writer.close()


class Site:
    def __init__(self, directory, ports):
        self.directory, self.ports = Path(directory), ports
        self.port, self.admin, self.tls = (brim_node.free_port() for _ in range(3))
        (self.directory / "site.lua").write_text(HANDLERS)
        self.pem, self.key = f"{directory}/pem", f"{directory}/key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=site.test", "-keyout",
                        self.key, "-out", self.pem], check=True, capture_output=True)

    def config(self, turn):
        config = brim_node.make_config(self.port, self.admin, self.ports[turn % 2], self.tls,
                                       [(self.pem, self.key)])
        config["cache"] = {"path": f"{self.directory}/cache", "disk": "64MiB", "memory": "8MiB"}
        config["sites"][0]["handlers"] = {
            "file": f"{self.directory}/site.lua", "env": [{"name": "TURN", "value": str(turn)}]}
        return config


class Work:
    """What is left to be done, and what was."""

    def __init__(self, operations):
        self.left = operations
        self.done = {"h1": 0, "h2": 0, "reloads": 0, "purges": 0, "refused": 0}
        self.turns = [0, 0]  # the oldest and the newest config that an answer may be from

    def take(self, what):
        self.left -= 1
        self.done[what] += 1
        return self.left >= 0


async def keep_asking(client, what, work):
    chance = random.Random(f"{what}{id(client)}")
    while work.take(what):
        path = f"/{chance.choice('cn')}/{chance.randrange(URLS)}"
        oldest = work.turns[0]
        status, body = await client.get(path)
        assert status == 200, (path, status, body)
        name, turn = body.decode().split(" ")
        assert name == ("one", "two")[int(turn) % 2], (path, body)
        assert int(turn) <= work.turns[1], (path, body, work.turns)
        assert path[1] == "c" or int(turn) >= oldest, (path, body, oldest)


async def keep_reloading(node, site, work):
    admin = Http1(site.admin, host="localhost")
    while work.left > 0:
        turn = work.turns[1] + 1
        config = site.config(turn)
        if turn % 5 == 0:  # one with a fault changes nothing
            config["sites"][0]["origin"] = "nobody"
            brim_node.write_config(config, node.config_path)
            status, body = await admin.call("POST /v1/reload")
            assert status == 422, (status, body)
            work.done["refused"] += 1
            config = site.config(turn)
        work.turns[1] = turn
        brim_node.write_config(config, node.config_path)
        work.take("reloads")
        status, body = await admin.call("POST /v1/reload")
        assert status == 200, (status, body)
        work.turns[0] = turn  # whoever asks from now on is answered by this one
    await admin.close()


async def keep_purging(site, work):
    admin, chance = Http1(site.admin, host="localhost"), random.Random(1)
    while work.left > 0:
        number = chance.randrange(URLS)
        order = chance.choice(({"urls": [f"http://site.test/c/{number}"]},
                               {"tags": [f"t{number}"]}, {"tags": [f"t{number}"], "soft": True},
                               {"prefixes": [f"http://site.test/c/{number}"]}, {"all": True}))
        work.take("purges")
        status, body = await admin.call("POST /v1/purge", json.dumps(order))
        assert status == 200, (order, status, body)
    await admin.close()


async def run(brim, operations, directory):
    origins = [Origin("one"), Origin("two")]
    site = Site(directory, [await origin.start() for origin in origins])
    node = brim_node.Node(directory, site.config(0), brim)
    await asyncio.to_thread(node.start)
    work = Work(operations)
    plain = ssl.create_default_context()
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    h1 = [Http1(site.port), Http1(site.port), Http1(site.tls, plain)]
    h2 = [h2_client.Client(site.tls, tls=h2_client.tls_context()), h2_client.Client(site.port)]
    try:
        tasks = [keep_asking(client, "h1", work) for client in h1]
        tasks += [keep_asking(client, "h2", work) for client in h2 for _ in range(STREAMS)]
        tasks += [keep_reloading(node, site, work), keep_purging(site, work)]
        await asyncio.wait_for(asyncio.gather(*tasks), SECONDS_MAX)
        for client in (*h1, *h2):
            await client.close()
        assert all(len(client.opened) == 1 for client in h2)
        assert min(work.done.values()) > 0, work.done
    except BaseException:
        print(node.log_tail(60), file=sys.stderr)
        raise
    finally:
        status = await asyncio.to_thread(node.stop, 60)
    assert status == 0, f"exit status {status}:\n" + node.log_tail(60)
    print("mixed: " + ", ".join(f"{count} {what}" for what, count in work.done.items())
          + ": none failed")


def main():
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else OPERATIONS
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(sys.argv[1], operations, directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
