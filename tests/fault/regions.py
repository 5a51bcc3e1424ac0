#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""regions - two regions, each with an edge, a shield and an origin in network namespaces of their own;
each part is killed in turn, cut off and brought back, while clients ask.

Usage: tests/fault/regions.py [--seconds N] [--only PATTERN] [BRIM]   N: of each phase (2); as root

Latency is made by a TCP proxy of this test's own (the kernel may have no netem): it hands each piece
on after the link's delay, both ways. A cut takes a part's network interface down: nobody says no.

Prints a table: requests, errors that clients saw (cached content, uncached), stale answers, and how
long it took from the part's return until it was used again. Fails if a client saw an error for cached
content, or for uncached content while an origin could be reached. Exits 77 where namespaces cannot be
made.
"""

import argparse
import asyncio
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import stillness  # noqa: E402

PARTS = ("edge1", "shield1", "origin1", "edge2", "shield2", "origin2")
NEAR_MS, FAR_MS, TOKYO_MS = 15, 75, 145  # one way: inside a region, between them, to the other end
PORT = 8080
REQUESTS_MIN = 6  # of a phase; most time out somewhere when a part is cut off
BACK_S = 150  # eject_time doubles with each time, up to half a minute

ORIGIN = """
import http.server, itertools, sys
numbers = itertools.count()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        cached = self.path.startswith("/cached/")
        body = f"{self.path} {sys.argv[1]} {next(numbers)}".encode()
        self.send_response(200)
        fixed = self.path == "/fixed"
        self.send_header("Cache-Control", "max-age=600" if fixed else "max-age=1" if cached
                         else "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Origin", sys.argv[1])
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Net:
    """A bridge here, and a namespace for each part with one interface on it."""

    def __init__(self):
        self.id = f"brim{os.getpid() % 100000}"
        self.subnet = f"10.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}"
        self.made = []
        self.bridge_made = False

    def address(self, part):
        return f"{self.subnet}.{10 + PARTS.index(part)}"

    def namespace(self, part):
        return f"{self.id}-{part}"

    def make(self):
        ip("link", "add", self.id, "type", "bridge")
        self.bridge_made = True
        ip("addr", "add", f"{self.subnet}.1/24", "dev", self.id)
        ip("link", "set", self.id, "up")
        for number, part in enumerate(PARTS):
            inner, outer = self.namespace(part), f"bv{os.getpid() % 1000000}n{number}"
            ip("netns", "add", inner)
            self.made.append(inner)
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", inner)
            ip("link", "set", outer, "master", self.id)
            ip("link", "set", outer, "up")
            ip("-n", inner, "addr", "add", f"{self.address(part)}/24", "dev", "eth0")
            ip("-n", inner, "link", "set", "eth0", "up")
            ip("-n", inner, "link", "set", "lo", "up")

    def set_link(self, part, state):
        ip("-n", self.namespace(part), "link", "set", "eth0", state)

    def remove(self):
        for namespace in self.made:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        if self.bridge_made:
            subprocess.run(["ip", "link", "del", self.id], check=False, capture_output=True)


class Links:
    """The delaying proxies: one port of the bridge's address for each link."""

    def __init__(self, net):
        self.net = net
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def open(self, part, delay_ms):
        """host:port that leads to part over a link of so many milliseconds one way."""
        future = asyncio.run_coroutine_threadsafe(self._serve(part, delay_ms / 1000), self.loop)
        return f"{self.net.subnet}.1:{future.result(10)}"

    async def _serve(self, part, delay):
        server = await asyncio.start_server(
            lambda reader, writer: self._join(reader, writer, part, delay), f"{self.net.subnet}.1", 0)
        return server.sockets[0].getsockname()[1]

    async def _join(self, reader, writer, part, delay):
        try:
            up = await asyncio.wait_for(asyncio.open_connection(self.net.address(part), PORT), 1)
        except (OSError, asyncio.TimeoutError):
            writer.transport.abort()
            return
        ways = [asyncio.ensure_future(self._carry(reader, up[1], delay)),
                asyncio.ensure_future(self._carry(up[0], writer, delay))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for side in (writer, up[1]):
            side.transport.abort()

    async def _carry(self, reader, writer, delay):
        try:
            while data := await reader.read(65536):
                self.loop.call_later(delay, self._hand_on, writer, data)
            await asyncio.sleep(delay)
        except OSError:
            pass

    @staticmethod
    def _hand_on(writer, data):
        if not writer.transport.is_closing():
            writer.write(data)


class Region:
    """All parts, with what starts and ends each."""

    def __init__(self, net, directory, binary):
        self.net, self.directory, self.binary = net, Path(directory), binary
        self.links = Links(net)
        self.processes = {}
        (self.directory / "secret").write_text("0123456789abcdef0123456789abcdef\n")

    def servers(self, *links):
        """First come, first asked: the others are backups."""
        return [{"url": f"http://{self.links.open(part, ms)}", "backup": position > 0}
                for position, (part, ms) in enumerate(links)]

    def pool(self, name, servers, **more):
        return {"name": name, "servers": servers, "connect_timeout": "5s", "eject_failures": 2,
                "first_byte_timeout": "5s", "retry_percent": 100, "eject_time": "1s", "eject_max": 100,
                "slow_start": "0", "retry_on": ["502", "503", "504", "timeout"], **more}

    def config(self, part):
        here, there = part[-1], "2" if part[-1] == "1" else "1"
        config = brim_node.make_config(PORT, 9900, PORT)
        config["listeners"] = [{"address": f"0.0.0.0:{PORT}"}]
        config["node"].update(id=part, tier_secret=str(self.directory / "secret"), workers=1)
        origins = self.pool("origins", self.servers((f"origin{here}", NEAR_MS),
                                                    (f"origin{there}", FAR_MS)))
        config["origins"] = [origins]
        config["sites"] = [{"hosts": ["*"], "origin": "origins", "cache": {"grace": "1h"}}]
        if part.startswith("edge"):
            config["origins"].append(self.pool(
                "shields", self.servers((f"shield{here}", NEAR_MS), (f"shield{there}", FAR_MS)),
                tier="shield", fallback="origins"))
            config["sites"][0]["origin"] = "shields"
        return config

    def start(self, part):
        prefix = ["ip", "netns", "exec", self.net.namespace(part)]
        if part.startswith("origin"):
            command = [sys.executable, "-c", ORIGIN, part]
        else:
            place = self.directory / part
            if not place.exists():
                place.mkdir()
                brim_node.write_config(self.config(part), place / "brim.yaml")
            command = [self.binary, "serve", "--no-supervise", "-c", str(place / "brim.yaml")]
        with open(self.directory / f"{part}.log", "ab") as log:
            self.processes[part] = subprocess.Popen([*prefix, *command], stdout=log, stderr=log)
        brim_node.wait_until(lambda: ask(self.net.address(part), "/up").status > 0, f"{part} up")

    def kill(self, part):
        self.processes[part].kill()
        self.processes[part].wait()

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


class Answer:
    def __init__(self, status=0, body="", status_line="", seconds=0.0, origin=""):
        self.status, self.body, self.cache_status = status, body, status_line
        self.seconds, self.origin = seconds, origin


def ask(address, path, timeout=60):
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port or PORT), timeout=timeout)
    begun = time.monotonic()
    try:
        connection.request("GET", path, headers={"Host": "example.com"})
        response = connection.getresponse()
        body = response.read().decode()
        return Answer(response.status, body, response.getheader("Cache-Status", ""),
                      time.monotonic() - begun, response.getheader("X-Origin", ""))
    except (OSError, http.client.HTTPException):
        return Answer()
    finally:
        connection.close()


class Client(threading.Thread):
    """Asks its region's edge, or the other one when that does not answer, as DNS or anycast has it."""

    def __init__(self, edges):
        super().__init__(daemon=True)
        self.edges, self.tally, self.ends = edges, None, False

    def one(self, path):
        answer = ask(self.edges[0], path)
        return answer if answer.status else ask(self.edges[1], path)

    def run(self):
        number = 0
        while not self.ends:
            number += 1
            kind = ("cached", "uncached")[number % 2]
            tally, path = self.tally, f"/{kind}/{number // 2 % 5}"
            answer = self.one(path)
            if tally is None:
                continue
            tally["requests"] += 1
            if answer.status != 200 or not answer.body.startswith(path + " "):
                tally[kind] += 1
                tally["what"].append(f"{path} {answer.status} {answer.cache_status} "
                                     f"{answer.body[:80]!r} {answer.seconds:.1f} s")
            if "stale" in answer.cache_status or "fwd=stale" in answer.cache_status:
                tally["stale"] += "stale-if-error" in answer.cache_status
            time.sleep(0.02)


def recovered(region, part):
    """Whether a part that is back is used again, as its own region's clients see it."""
    number = part[-1]
    if part.startswith("edge"):
        return ask(region.net.address(part), "/uncached/0").status == 200
    answer = ask(region.net.address(f"edge{number}"), "/uncached/0")
    if part.startswith("origin"):
        return answer.origin == part
    return answer.status == 200 and f"shield{number}" in answer.cache_status


def settle(region):
    """Every part is used, whatever the phase before has left, and both tiers have what is cached."""
    for part in PARTS:
        brim_node.wait_until(lambda part=part: recovered(region, part), f"{part} used again", BACK_S)
    for part in ("shield1", "shield2", "edge1", "edge2"):
        for number in range(5):
            brim_node.wait_until(
                lambda: ask(region.net.address(part), f"/cached/{number}").status == 200,
                f"/cached/{number} of {part}", BACK_S)


def phases(region):
    """(name, what breaks, what mends, parts that come back, whether an origin is left)"""
    net = region.net

    def kill(*parts):
        return lambda: [region.kill(part) for part in parts]

    def start(*parts):
        return lambda: [region.start(part) for part in parts]

    def cut(*parts):
        return lambda: [net.set_link(part, "down") for part in parts]

    def join(*parts):
        return lambda: [net.set_link(part, "up") for part in parts]

    yield "all well", lambda: None, lambda: None, (), True
    for part in PARTS:
        yield f"{part} killed", kill(part), start(part), (part,), True
    both = ("shield1", "shield2")
    yield "both shields killed", kill(*both), start(*both), both, True
    both = ("origin1", "origin2")
    yield "both origins killed", kill(*both), start(*both), both, False
    yield "shield1 cut off", cut("shield1"), join("shield1"), ("shield1",), True
    yield "origin2 cut off", cut("origin2"), join("origin2"), ("origin2",), True


def measure(region, clients, seconds, phase):
    """One phase, as a line of the table. Fails if a client saw what it must not."""
    name, breaks, mends, parts, has_origin = phase
    tally = {"requests": 0, "cached": 0, "uncached": 0, "stale": 0, "what": []}
    settle(region)
    for client in clients:
        client.tally = tally
    breaks()
    time.sleep(seconds)  # the phase itself: nothing is waited for
    brim_node.wait_until(lambda: tally["requests"] >= REQUESTS_MIN, f"requests: {name}", BACK_S)
    for client in clients:
        client.tally = None
    mends()
    begun = time.monotonic()
    for part in parts:
        brim_node.wait_until(lambda part=part: recovered(region, part), f"{part} used again", BACK_S)
    print(f"{name:22}{tally['requests']:>9}{tally['cached']:>11}{tally['uncached']:>13}"
          f"{tally['stale']:>7}{time.monotonic() - begun:>13.1f}", flush=True)
    assert not tally["cached"] and not (tally["uncached"] and has_origin), f"{name}: {tally['what']}"


def measure_all(region, clients, seconds, only):
    """Servers that do not answer in time are not asked for a while: where nobody was in time, an error says
    nothing."""
    failures = []
    print(f"{'phase':22}{'requests':>9}{'cached err':>11}{'uncached err':>13}{'stale':>7}"
          f"{'back after s':>13}")
    for phase in phases(region):
        if not re.search(only, phase[0]):
            continue
        try:
            stillness.undisturbed(lambda phase=phase: measure(region, clients, seconds, phase))
        except AssertionError as error:
            failures.append(error)
    return failures


def tokyo(region):
    """A client at the other end of the world, printed, not judged."""
    def median(address):
        ask(address, "/fixed")
        return sorted(ask(address, "/fixed").seconds for _ in range(5))[2] * 1000

    far, near = region.links.open("origin1", TOKYO_MS), region.links.open("edge1", NEAR_MS)
    print(f"Tokyo: {median(far):.0f} ms from the origin, {median(near):.0f} ms from an edge near by")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", default="", help="phases whose name has this pattern")
    parser.add_argument("brim", nargs="?", default=brim_node.default_binary())
    args = parser.parse_args()
    net = Net()
    with tempfile.TemporaryDirectory(prefix="brim-regions-") as directory:
        region = Region(net, directory, str(Path(args.brim).resolve()))
        try:
            try:
                net.make()
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"skipped: no network namespaces here: {error}")
                return 77
            for part in reversed(PARTS):
                region.start(part)
            edges = [net.address("edge1"), net.address("edge2")]
            clients = [Client(edges), Client(edges[::-1])]
            settle(region)
            for client in clients:
                client.start()
            failures = measure_all(region, clients, args.seconds, args.only)
            for client in clients:
                client.ends = True
                client.join()
            tokyo(region)
        finally:
            region.end()
            net.remove()
    for name in failures:
        print(f"failed: clients saw errors in {name}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
