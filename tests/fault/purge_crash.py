#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""purge_crash - kill -9 under fill, purge and reload: a purge that returned holds ever after.

Usage: tests/fault/purge_crash.py BRIM [KILLS]     (default 12)

Every URL has a version at the origin. A purger raises one, purges it (by URL, tag, prefix, softly
never) and, when the call has returned, notes that nobody may be given an older one from then on.
Clients look all the time, through kills of the serving process, of everything, and through reloads;
what the disk brings back must be no older either.
"""

import http.client
import http.server
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402

URLS = 60
KILL_ALL_EVERY = 4


class World:
    """What the origin has, and what may be served at least."""

    def __init__(self):
        self.version = [1] * URLS
        self.floor = [0] * URLS
        self.end = False
        self.wrong = []
        self.counts = {"answers": 0, "hits": 0, "broken": 0, "purges": 0, "purges cut off": 0,
                       "reloads": 0}


def body_of(number, version):
    return (b"%d %d " % (number, version)) * (1 + number * 211 % 9000)


def make_origin(world):
    class Origin(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            number = int(self.path.rsplit("/", 1)[1])
            body = body_of(number, world.version[number])
            self.send_response(200)
            self.send_header("Cache-Control", "max-age=86400")
            self.send_header("Surrogate-Key", f"t{number}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = crash.QuietServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def look(world, port, number):
    floor = world.floor[number]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"/d{number}/o/{number}", headers={"Host": "t.example"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        world.counts["broken"] += 1
        return
    finally:
        connection.close()
    world.counts["answers"] += 1
    world.counts["hits"] += "; hit" in response.getheader("cache-status", "")
    words = body.split(b" ", 2)
    if response.status != 200 or int(words[0]) != number or body != body_of(number, int(words[1])):
        world.wrong.append(f"{number}: {response.status} {body[:60]!r}")
    elif int(words[1]) < floor:
        world.wrong.append(f"{number}: version {int(words[1])} after version {floor} was purged: "
                           f"{response.getheader('cache-status')}")


def viewer(world, port, seed):
    rng = random.Random(seed)
    while not world.end:
        look(world, port, rng.randrange(URLS))


def call(admin_port, path, document):
    """Whether it was taken; None: nobody knows."""
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=30)
    try:
        connection.request("POST", path, body=json.dumps(document),
                           headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status == 200
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def purger(world, admin_port):
    rng = random.Random(1)
    while not world.end:
        number = rng.randrange(URLS)
        world.version[number] += 1
        wanted = world.version[number]
        how = rng.choice(({"urls": [f"http://t.example/d{number}/o/{number}"]},
                          {"tags": [f"t{number}"]},
                          {"prefixes": [f"//t.example/d{number}/"]}))
        taken = call(admin_port, "/v1/purge", how)
        if taken is None:
            world.counts["purges cut off"] += 1
            time.sleep(0.01)  # the node is away: leave it the processor
        elif taken:
            world.floor[number] = wanted
            world.counts["purges"] += 1
        else:
            world.wrong.append(f"a purge was refused: {how}")


def torture(world, node, kills):
    chance = random.Random(kills)
    for number in range(1, kills + 1):
        time.sleep(chance.uniform(0.05, 0.7))  # the random moment, not a wait for anything
        if call(node.admin_port, "/v1/reload", {}):
            world.counts["reloads"] += 1
        time.sleep(chance.uniform(0, 0.05))
        if number % KILL_ALL_EVERY == 0:
            node.kill()
            node.start()
        else:
            crash.kill_worker(node)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    world = World()
    with tempfile.TemporaryDirectory(prefix="brim-purge-crash-") as directory:
        port, admin_port = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin_port, make_origin(world))
        config["cache"] = {"path": directory + "/cache", "disk": "64MiB", "segment": "4MiB",
                           "memory": "1MiB", "memory_object": "128KiB"}
        node = brim_node.Node(directory, config, binary)
        threads = [threading.Thread(target=viewer, args=(world, port, seed)) for seed in range(3)]
        threads.append(threading.Thread(target=purger, args=(world, admin_port)))
        try:
            node.start()
            for thread in threads:
                thread.start()
            torture(world, node, kills)
            world.end = True
            for thread in threads:
                thread.join(60)
            node.kill()  # what the disk alone says
            node.start()
            for number in range(URLS):
                look(world, port, number)
            if node.stop() != 0:
                world.wrong.append("no clean end")
        except BaseException:
            print(node.log_tail())
            raise
        finally:
            world.end = True
            if node.process.poll() is None:
                node.kill()
    print(f"purge_crash: {kills} kills: " + ", ".join(f"{count} {what}" for what, count in
                                                      world.counts.items()) +
          f"; {len(world.wrong)} faults")
    for text in world.wrong[:20]:
        print("  fault:", text)
    return 1 if world.wrong or not world.counts["hits"] or not world.counts["purges"] else 0


if __name__ == "__main__":
    sys.exit(main())
