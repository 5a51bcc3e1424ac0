#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reload - a config is changed again and again under load: no request fails, every reload that was
answered is in force on every worker, one with faults changes nothing.

Usage: tests/fault/reload.py BRIM [RELOADS]
"""

import asyncio
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

RELOADS = 1000
CLIENTS = 6
PROBES = 3  # connections after each reload: several, as they fall on different workers


class Origin:
    """Answers with its name; some answers take long enough for reloads to happen meanwhile."""

    def __init__(self, name):
        self.name = name.encode()
        self.server = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if random.random() < 0.05:
                    await asyncio.sleep(0.05)
                writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d"
                             b"\r\n\r\n%s" % (len(self.name), self.name))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def ask(reader, writer, head):
    writer.write(head)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if line)
    body = await reader.readexactly(int(fields["content-length"]))
    return int(answer.split(" ")[1]), body


async def ask_once(port, head, tls=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        return await asyncio.wait_for(ask(reader, writer, head), 30)
    finally:
        writer.close()


GET = b"GET /%d HTTP/1.1\r\nHost: site.test\r\n\r\n"


def call_reload():
    return b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


async def client(port, tls, over, counts):
    """Keeps its connection until the node closes it: a reload must never do so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    while not over.is_set():
        status, body = await asyncio.wait_for(
            ask(reader, writer, GET % counts["requests"]), 30)
        assert status == 200 and body in (b"one", b"two"), (status, body)
        counts["requests"] += 1
    writer.close()


def make_certificate(directory, serial):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    f"/CN=serial{serial}", "-set_serial", str(serial), "-keyout",
                    f"{directory}/{serial}.key", "-out", f"{directory}/{serial}.pem"],
                   check=True, capture_output=True)
    return f"{directory}/{serial}.pem", f"{directory}/{serial}.key"


def serial_shown(port):
    """Of the certificate that a new client gets."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    return int(subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, text=True,
                              capture_output=True, check=True).stdout.split("=")[1], 16)


class Site:
    """The config, whose origin and whose certificate a reload changes."""

    def __init__(self, directory, ports):
        self.ports = ports
        self.port, self.admin, self.tls = (brim_node.free_port() for _ in range(3))
        self.certificates = [make_certificate(directory, serial) for serial in (1, 2)]

    def config(self, turn):
        config = brim_node.make_config(self.port, self.admin, self.ports[turn % 2], self.tls,
                                       [self.certificates[turn % 2]])
        config["origins"].append({"name": "same", "servers": [{"url": "http://127.0.0.1:1"}]})
        config["sites"][0]["cache"] = {"default_ttl": f"{turn + 1}s"}
        return config


async def check_in_force(site, turn):
    for _ in range(PROBES):
        status, body = await ask_once(site.port, GET % turn)
        assert (status, body) == (200, (b"one", b"two")[turn % 2]), (turn, status, body)


async def check_refused(node, site, turn):
    """A fault anywhere: all of the old config stays, and its place is named."""
    config = site.config(turn + 1)
    config["sites"][0]["origin"] = "nobody"
    brim_node.write_config(config, node.config_path)
    status, body = await ask_once(site.admin, call_reload())
    faults = json.loads(body)["faults"]
    assert status == 422 and faults[0].startswith(f"{node.config_path}:"), (status, body)
    config = site.config(turn + 1)
    config["node"]["workers"] = 3
    config["listeners"][1]["tls"]["certificates"][0]["key"] = site.certificates[turn % 2][1]
    brim_node.write_config(config, node.config_path)
    status, body = await ask_once(site.admin, call_reload())
    assert status == 422 and "node.workers" in json.loads(body)["faults"][0], (status, body)
    del config["node"]["workers"]
    config["node"]["workers"] = 2
    brim_node.write_config(config, node.config_path)
    status, body = await ask_once(site.admin, call_reload())
    assert status == 422 and "does not match" in json.loads(body)["faults"][0], (status, body)
    await check_in_force(site, turn)
    shown = await asyncio.to_thread(serial_shown, site.tls)
    assert shown == turn % 2 + 1, shown


async def reload_often(node, site, count):
    for turn in range(1, count + 1):
        brim_node.write_config(site.config(turn), node.config_path)
        status, body = await ask_once(site.admin, call_reload())
        assert status == 200, (turn, status, body)
        assert json.loads(body)["generation"] == turn + 1, body
        await check_in_force(site, turn)
        if turn % 250 == 1:
            shown = await asyncio.to_thread(serial_shown, site.tls)
            assert shown == turn % 2 + 1, (turn, shown)
            await check_refused(node, site, turn)


def reload_by_signal_and_command(node, site, turn):
    """Then the node is killed: the next one has the config that was in force, not the first."""
    done = brim_node.metric(site.admin, 'brim_reloads_total{result="ok"}')
    brim_node.write_config(site.config(turn), node.config_path)
    node.process.send_signal(signal.SIGHUP)
    brim_node.wait_until(lambda: brim_node.metric(site.admin, 'brim_reloads_total{result="ok"}')
                         == done + 1, "the reload by SIGHUP")
    run = subprocess.run([node.binary, "reload", "--admin", f"127.0.0.1:{site.admin}"], text=True,
                         capture_output=True, check=False, timeout=60)
    assert run.returncode == 0 and run.stdout.startswith("in force: "), run
    brim_node.write_config({"listeners": 1}, node.config_path)
    run = subprocess.run([node.binary, "reload", "--admin", f"127.0.0.1:{site.admin}"], text=True,
                         capture_output=True, check=False, timeout=60)
    assert run.returncode == 1 and f"{node.config_path}:" in run.stderr, run
    assert brim_node.metric(site.admin, 'brim_reloads_total{result="refused"}') > 0
    old = node.worker_pid()
    os.kill(old, signal.SIGKILL)
    brim_node.wait_until(lambda: node.worker_pid() not in (None, old) and node.is_ready(),
                         "a new node")


async def run(brim, count, directory):
    origins = [Origin("one"), Origin("two")]
    site = Site(directory, [await origin.start() for origin in origins])
    node = brim_node.Node(directory, site.config(0), brim)
    await asyncio.to_thread(node.start)
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    over, counts = asyncio.Event(), {"requests": 0}
    clients = [asyncio.create_task(client(site.tls if i % 2 else site.port, tls if i % 2 else None,
                                          over, counts)) for i in range(CLIENTS)]
    try:
        await reload_often(node, site, count)
        over.set()
        await asyncio.gather(*clients)
        await asyncio.to_thread(reload_by_signal_and_command, node, site, count + 1)
        await check_in_force(site, count + 1)
        for turn in range(count + 2, count + 12):  # a node that ends by itself: leaks are reported
            brim_node.write_config(site.config(turn), node.config_path)
            status, body = await ask_once(site.admin, call_reload())
            assert status == 200, (turn, status, body)
            await check_in_force(site, turn)
    except BaseException:
        print(node.log_tail(60), file=sys.stderr)
        raise
    finally:
        for task in clients:
            task.cancel()
        status = await asyncio.to_thread(node.stop)
    assert status == 0, f"exit status {status}:\n" + node.log_tail(60)
    print(f"reload: {count} reloads, {counts['requests']} requests, none failed")


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else RELOADS
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(sys.argv[1], count, directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
