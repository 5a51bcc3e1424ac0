#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""purge - nothing older than a purge is served after its call has returned, by any worker, however
it is asked for: clients ask without pause, the origin numbers what it answers, and a request that
begins after a purge never gets a number from before it.

Usage: tests/fault/purge.py BRIM [PURGES]

Then once more with two tiers: the node asked is an edge, its origin a shield (admin.purge_via), so
that what the edge lets go must not come back from there; every other purge is a PURGE.
"""

import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_client  # noqa: E402
import http_origin  # noqa: E402

PURGES = 200
WORKERS = 4
URLS = 40
CLIENTS, STREAMS = 12, 6
CONNECTION_REQUESTS = 40  # then another one, which may be another worker's
SIZES = (100, 3000, 300000)  # in RAM, likewise, larger than RAM may keep: on disk only


class Origin(http_origin.Many):
    """A number that grows is the version of everything; what is asked at one moment may be answered
    later, so that purges meet exchanges under way."""

    def __init__(self):
        super().__init__()
        self.version = 1
        self.chance = random.Random(7)

    async def answer(self, path):
        number = int(path.rsplit(b"/", 1)[1])
        body = b"%d " % self.version
        body += b"." * (SIZES[number % len(SIZES)] - len(body))
        if self.chance.random() < 0.2:
            await asyncio.sleep(0.01)
        return b"Cache-Control: max-age=3600\r\nCache-Tag: all n%d\r\n" % number, body


class Floor:
    """The oldest version of each URL that a request which begins now may get."""

    def __init__(self):
        self.of = [1] * URLS
        self.over = False
        self.requests = 0

    def check(self, number, oldest, body):
        version = int(body.split(b" ", 1)[0])
        assert len(body) == SIZES[number % len(SIZES)], (number, len(body))
        assert version >= oldest, f"/a/{number}: version {version} after a purge of {oldest}"
        self.requests += 1


async def ask_h1(port, floor, seed):
    chance = random.Random(seed)
    while not floor.over:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(CONNECTION_REQUESTS):
            number = chance.randrange(URLS)
            oldest = floor.of[number]
            writer.write(b"GET /a/%d HTTP/1.1\r\nHost: site.test\r\n\r\n" % number)
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode().lower()
            assert head.startswith("http/1.1 200"), head
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            floor.check(number, oldest, await reader.readexactly(length))
        writer.close()


async def ask_h2(client, floor, seed):
    chance = random.Random(seed)
    while not floor.over:
        number = chance.randrange(URLS)
        oldest = floor.of[number]
        status, body = await client.get(f"/a/{number}", 60)
        assert status == 200, (number, status)
        floor.check(number, oldest, body)


def order_for(turn, chance):
    """(what is purged, the numbers it takes out)"""
    number = chance.randrange(URLS)
    some = [n for n in range(URLS) if str(n).startswith("1")]
    return (({"urls": [f"http://site.test/a/{number}"]}, [number]),
            ({"tags": [f"n{number}"]}, [number]),
            ({"tags": ["all"]}, range(URLS)),
            ({"prefixes": ["//site.test/a/1"]}, some),
            ({"hosts": ["site.test"]}, range(URLS)),
            ({"all": True}, range(URLS)),
            ({"urls": [f"http://site.test/a/{n}" for n in some]}, some))[turn % 7]


async def call(connection, request):
    reader, writer = connection
    writer.write(request.encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    body = await reader.readexactly(length)
    assert head.startswith("http/1.1 200"), (head, body)


async def purge_often(ports, origin, floor, count, by_method):
    """ports: of the admin listener, of clients."""
    chance = random.Random(3)
    admin, front = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
    for turn in range(count):
        order, numbers = order_for(turn // 2 if by_method else turn, chance)
        origin.version += 1
        version, body = origin.version, json.dumps(order)
        if by_method and turn % 2 == 1:
            numbers = [chance.randrange(URLS)]
            await call(front, f"PURGE /a/{numbers[0]} HTTP/1.1\r\nHost: site.test\r\n\r\n")
        else:
            await call(admin, f"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                              f"{len(body)}\r\n\r\n{body}")
        for number in numbers:
            floor.of[number] = version
        before = floor.requests
        while floor.requests < before + 20:  # some of them hits of what was fetched since
            await asyncio.sleep(0)
    for _, writer in (admin, front):
        writer.close()


def config_for(directory, origin_port):
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), origin_port)
    config["node"]["workers"] = WORKERS
    config["cache"] = {"path": f"{directory}-cache", "disk": "256MiB", "memory": "1MiB",
                       "memory_object": "64KiB"}
    return config


def port_of(config):
    return int(config["listeners"][0]["address"].rsplit(":", 1)[1])


def tiers_for(directory, origin_port):
    """Shield, edge."""
    secret = directory / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    shield = config_for(directory / "shield", origin_port)
    edge = config_for(directory / "edge", port_of(shield))
    for config, name in ((shield, "shield"), (edge, "edge")):
        config["node"].update(id=name, tier_secret=str(secret))
    edge["origins"][0]["tier"] = "shield"
    edge["admin"]["purge_via"] = [{"url": f"http://{shield['admin']['address']}"}]
    edge["sites"][0]["purge"] = {"allow": ["127.0.0.0/8"]}
    return [shield, edge]


def start_nodes(brim, directory, configs):
    nodes = []
    for number, config in enumerate(configs):
        (directory / str(number)).mkdir()
        nodes.append(brim_node.Node(directory / str(number), config, brim).start())
    return nodes


async def run(brim, count, directory, has_tiers):
    origin, floor = Origin(), Floor()
    origin_port = await origin.start()
    configs = (tiers_for(directory, origin_port) if has_tiers
               else [config_for(directory / "node", origin_port)])
    port = port_of(configs[-1])
    nodes = await asyncio.to_thread(start_nodes, brim, directory, configs)
    h2 = [h2_client.Client(port), h2_client.Client(port)]
    askers = [asyncio.create_task(ask_h1(port, floor, seed)) for seed in range(CLIENTS)]
    askers += [asyncio.create_task(ask_h2(client, floor, seed)) for client in h2
               for seed in range(STREAMS)]
    purger = asyncio.create_task(
        purge_often((nodes[-1].admin_port, port), origin, floor, count, has_tiers))
    try:
        done, _ = await asyncio.wait([purger, *askers], timeout=240,
                                     return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        assert purger in done, "too slow, or a client has ended"
        floor.over = True
        await asyncio.gather(*askers)
        for client in h2:
            await client.close()
        assert origin.requests < floor.requests, "nothing was a hit"
    except BaseException:
        print(*(node.log_tail(60) for node in nodes), file=sys.stderr)
        raise
    finally:
        floor.over = True
        status = [await asyncio.to_thread(node.stop, 60) for node in reversed(nodes)]
    assert not any(status), status
    print(f"purge: {len(nodes)} tiers, {count} purges, {floor.requests} requests, {origin.requests} of "
          "them reached the origin, none got what was purged")


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else PURGES
    for has_tiers in (False, True):
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(run(sys.argv[1], count, Path(directory), has_tiers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
