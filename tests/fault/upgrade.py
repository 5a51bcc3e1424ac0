#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""upgrade - another program takes over under load: no request fails, the cache stays warm, and what
does not come up leaves the old one as it was.

Usage: tests/fault/upgrade.py BRIM [UPGRADES]
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import h2_client  # noqa: E402
from drain import Manager  # noqa: E402

UPGRADES = 5
H2_CLIENTS, H2_STREAMS = 3, 8
WARM = 50  # objects


class Origin:
    """Counts what it is asked for; /slow/ takes its time, /big is larger than RAM may keep; a POST is
    answered when it is told to."""

    def __init__(self):
        self.asked = {}
        self.posted, self.may_answer = asyncio.Event(), asyncio.Event()

    async def start(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                if head.startswith(b"POST"):
                    self.posted.set()
                    await self.may_answer.wait()
                    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                self.asked[path] = self.asked.get(path, 0) + 1
                await self.answer(path, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path, writer):
        body = path.encode() * (20000 if path == "/big" else 1)
        control = b"no-store" if path.startswith("/slow/") else b"max-age=3600"
        writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: %s\r\nContent-Length: %d\r\n\r\n"
                     % (control, len(body)))
        for at in range(0, len(body), 4000):
            writer.write(body[at:at + 4000])
            await writer.drain()
            if path == "/big" or path.startswith("/slow/"):
                await asyncio.sleep(0.05)


class Site:
    def __init__(self, directory, brim, origin_port):
        self.directory = Path(directory)
        self.binary = self.directory / "brim"
        shutil.copy(brim, self.binary)
        self.port, admin, self.tls = (brim_node.free_port() for _ in range(3))
        pem, key = self.directory / "pem", self.directory / "key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=site.test", "-keyout",
                        key, "-out", pem], check=True, capture_output=True)
        self.config = brim_node.make_config(self.port, admin, origin_port, self.tls,
                                            [(str(pem), str(key))])
        self.config["node"]["drain_timeout"] = "60s"
        self.config["cache"] = {"path": str(self.directory / "cache"), "disk": "64MiB",
                                "memory": "8MiB", "memory_object": "64KiB"}
        self.node = brim_node.Node(directory, self.config, str(self.binary))

    def replace_binary(self):
        """As a package does: another file under the same name."""
        shutil.copy(self.binary, f"{self.binary}.new")
        os.rename(f"{self.binary}.new", self.binary)

    async def upgrade(self, *options):
        process = await asyncio.create_subprocess_exec(
            str(self.binary), "upgrade", "--admin", f"127.0.0.1:{self.node.admin_port}", *options,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = (await asyncio.wait_for(process.communicate(), 120))[0].decode()
        return process.returncode, out

    def pid(self):
        """Of the node that answers: beside it there are those that drain. None: it did not, as
        one does not that is killed when it has the question."""
        text = brim_node.admin_get(self.node.admin_port, "/stats")[1]
        return json.loads(text)["pid"] if text else None

    def metric(self, name):
        return brim_node.metric(self.node.admin_port, name)


async def ask_h1(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]) if head else 0, body


async def h2_load(site, tls, over, counts):
    """Several streams at a time; every hundredth answer is slow, so that some always are begun."""
    client = h2_client.Client(site.tls if tls else site.port,
                              tls=h2_client.tls_context() if tls else None)

    async def stream(number):
        while not over.is_set():
            turn = counts["h2"] = counts["h2"] + 1
            path = f"/slow/{turn}" if turn % 100 == number else f"/warm/{turn % WARM}"
            status, body = await client.get(path)
            assert (status, body) == (200, path.encode()), (path, status, body)

    await asyncio.gather(*(stream(i) for i in range(H2_STREAMS)))
    counts["connections"] += len(client.opened)
    await client.close()


async def h1_load(site, over, counts):
    """A new connection for each: one that is refused or reset fails."""
    while not over.is_set():
        turn = counts["h1"] = counts["h1"] + 1
        status, body = await ask_h1(site.port, f"/warm/{turn % WARM}")
        assert (status, body) == (200, f"/warm/{turn % WARM}".encode()), (status, body)


def start_wrk(site):
    return subprocess.Popen(["wrk", "-t1", "-c20", "-d600s", "--timeout", "30s",
                             f"http://127.0.0.1:{site.port}/warm/1"],
                            stdout=subprocess.PIPE, text=True)


def end_wrk(wrk):
    wrk.send_signal(signal.SIGINT)
    out = wrk.communicate(timeout=60)[0]
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    return int(re.search(r"(\d+) requests in", out).group(1))


async def check_warm(site, origin):
    """Not one of them is asked for again, and hits count."""
    before = dict(origin.asked)
    for i in range(WARM):
        assert (await ask_h1(site.port, f"/warm/{i}"))[0] == 200
    again = {path for path in origin.asked
             if path.startswith("/warm/") and origin.asked[path] != before.get(path)}
    assert not again, again


async def check_upgrades(site, origin, count):
    """Same parent, another node, same sockets; the big body began in a node that is gone."""
    parent, over = site.node.process.pid, asyncio.Event()
    counts = {"h1": 0, "h2": 0, "connections": 0}
    loads = [asyncio.create_task(h2_load(site, i % 2, over, counts)) for i in range(H2_CLIENTS)]
    loads += [asyncio.create_task(h1_load(site, over, counts)) for _ in range(2)]
    wrk = start_wrk(site)
    try:
        for turn in range(count):
            old = site.pid()
            big = asyncio.create_task(ask_h1(site.port, "/big"))
            site.replace_binary()
            # Other numbers of workers: as many sockets stay, and each is listened on.
            site.config["node"]["workers"] = (2, 1, 3)[turn % 3]
            brim_node.write_config(site.config, site.node.config_path)
            status, out = await site.upgrade()
            assert status == 0 and out.startswith("upgraded: "), (status, out)
            assert site.node.process.pid == parent and site.node.is_ready()
            assert f"pid {old}\n" not in out, out
            status, body = await big
            assert (status, len(body)) == (200, 80000), (status, len(body))
            for load in loads:
                if load.done():
                    load.result()
    finally:
        over.set()
        results = await asyncio.gather(*loads, return_exceptions=True)
        requests = await asyncio.to_thread(end_wrk, wrk)
    for result in results:
        if result is not None:
            raise result
    assert site.metric("brim_node_upgrades_total") == count
    brim_node.wait_until(lambda: site.metric("brim_hot_remembered_total") >= WARM, "RAM is warm")
    assert counts["connections"] > H2_CLIENTS  # some were told to go
    return requests + counts["h1"] + counts["h2"]


async def check_post(site, origin):
    """What an unsafe request under way in the old node takes out is gone in the new one."""
    assert (await ask_h1(site.port, "/kept"))[0] == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST /kept HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n")
    await origin.posted.wait()
    status, out = await site.upgrade()
    assert status == 0, out
    assert (await ask_h1(site.port, "/kept"))[0] == 200
    assert origin.asked["/kept"] == 1
    origin.may_answer.set()
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 60)).startswith(b"HTTP/1.1 204")
    writer.close()
    assert (await ask_h1(site.port, "/kept"))[0] == 200
    assert origin.asked["/kept"] == 2


async def check_refused(site, make_new, wanted):
    """Whatever does not come up: the old node has not even noticed."""
    old = site.pid()
    binary = site.directory / "other"
    make_new(binary)
    status, out = await site.upgrade("--binary", str(binary))
    assert status == 1 and wanted in out, (status, out)
    assert site.pid() == old and site.node.is_ready()


def script(text):
    def make(binary):
        binary.write_text(f"#!/bin/sh\n{text}\n")
        binary.chmod(0o755)
    return make


async def check_failures(site, origin):
    good = dict(site.config)
    await check_refused(site, script("echo no such library >&2; exit 127"), "no such library")
    await check_refused(site, script("kill -9 $$"), "signal 9")
    await check_refused(site, lambda path: path.write_bytes(b"\x7fELFnot"), "Exec format error")
    await check_refused(site, lambda path: path.unlink(), "No such file")
    await check_refused(site, lambda path: (shutil.copy(site.binary, path), path.chmod(0o777)),
                        "can change it")

    def copy(path):
        path.unlink()
        shutil.copy(site.binary, path)
    for wrong, wanted in (({"sites": []}, "brim.yaml:"),
                          ({"listeners": good["listeners"][:1]}, "need a restart"),
                          ({"listeners": [*good["listeners"], {
                              "address": f"127.0.0.1:{brim_node.free_port()}"}]},
                           "need a restart")):
        brim_node.write_config({**good, **wrong}, site.node.config_path)
        await check_refused(site, copy, wanted)
    brim_node.write_config(good, site.node.config_path)
    # Prepared, and dead when it is its turn: the old program has a node again.
    old = site.pid()
    # /proc is a directory, as the check of the config wants, and nobody makes one in it.
    bad = {**good, "kv": {"path": "/proc/nothing"}}
    brim_node.write_config(bad, site.node.config_path)
    status, out = await site.upgrade()
    assert status == 1 and "status 1" in out and "start_failed" in out, (status, out)
    brim_node.wait_until(lambda: not brim_node.is_running(old), "the old node gone")
    brim_node.write_config(good, site.node.config_path)
    await check_warm(site, origin)


async def check_kills(site, origin):
    """kill -9 of the successor while it starts, of the old node while it drains, of the new one."""
    slow = site.directory / "slow"
    script("sleep 600")(slow)  # which goes on, and holds what it was given
    old, parent = site.pid(), site.node.process.pid
    while brim_node.children_of(parent) != [old]:  # none of before still drains
        await asyncio.sleep(0.01)
    call = asyncio.create_task(site.upgrade("--binary", str(slow)))
    others = []
    while not others:
        await asyncio.sleep(0.01)
        others = [pid for pid in brim_node.children_of(parent) if pid != old]
    os.kill(others[0], signal.SIGKILL)
    status, out = await call
    assert status == 1 and "signal 9" in out and site.pid() == old, (status, out)

    slow_answer = asyncio.create_task(ask_h1(site.port, "/big?again"))
    while "/big?again" not in origin.asked:
        await asyncio.sleep(0.01)
    status, out = await site.upgrade()
    assert status == 0, out
    new = int(out.rsplit(" ", 1)[1])
    with contextlib.suppress(ProcessLookupError):  # it may have come to its end
        os.kill(old, signal.SIGKILL)
    os.kill(new, signal.SIGKILL)
    brim_node.wait_until(lambda: site.node.is_ready() and site.pid() not in (None, old, new),
                         "a node after kill -9")
    await asyncio.gather(slow_answer, return_exceptions=True)
    await check_warm(site, origin)


def listen(manager, told):
    """All along, as a service manager does: its queue has room for ten."""
    while True:
        try:
            told.append(manager.sock.recv(4096).decode().split("\n")[0])
        except TimeoutError:
            pass


def check_told(told, count):
    """A service manager: each new node is ready, the service never stops, and somebody is alive."""
    brim_node.wait_until(lambda: told.count("READY=1") > count and told[-1] == "WATCHDOG=1",
                         "the service manager is told")
    assert set(told) == {"READY=1", "WATCHDOG=1"}, told


async def run(brim, count, directory):
    manager, told = Manager(directory), []
    threading.Thread(target=listen, args=(manager, told), daemon=True).start()
    os.environ.update(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="4500000")
    os.environ.pop("WATCHDOG_PID", None)
    origin = Origin()
    site = Site(directory, brim, await origin.start())
    await asyncio.to_thread(site.node.start)
    try:
        for i in range(WARM):
            assert (await ask_h1(site.port, f"/warm/{i}"))[0] == 200
        requests = await check_upgrades(site, origin, count)
        await check_warm(site, origin)
        await asyncio.to_thread(check_told, told, count)
        await check_post(site, origin)
        await check_failures(site, origin)
        await check_kills(site, origin)
    except BaseException:
        print(site.node.log_tail(80), file=sys.stderr)
        raise
    finally:
        status = await asyncio.to_thread(site.node.stop, 90)
    assert status == 0, f"exit status {status}:\n" + site.node.log_tail(60)
    print(f"upgrade: {count} upgrades, {requests} requests, none failed")


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else UPGRADES
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(sys.argv[1], count, directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
