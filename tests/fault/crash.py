#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""crash - kill -9 under load, again and again: no served byte is ever wrong.

Usage: tests/fault/crash.py BRIM [KILLS]     (default 50)

Clients ask for URLs whose bodies follow from the URL, so every answer can be checked to the byte.
Meanwhile the node is killed at random moments: mostly the serving process, which its supervisor
must bring back without one refused connection; every fifth time everything, which we start again.
What a client may see is the right body or an error that it can detect (a reset, a body shorter than
its Content-Length). What fails the test: a wrong byte, a complete-looking wrong length, a 5xx that
the origin never sent, a refused connection while the supervisor lives, or a cache that is empty
after its restarts. The disk quota is small, so segments are retired under fire, too.
"""

import hashlib
import http.client
import http.server
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

URLS = 1500
CLIENTS = 4
KILL_ALL_EVERY = 5
SWEEP = 40


def body_of(path):
    """The body of a URL: mostly small, some larger than what is kept in RAM."""
    number = int(path.rsplit("/", 1)[1])
    size = (200 + number * 37 % 9000, 30000 + number * 101 % 90000,
            300000 + number * 997 % 900000)[0 if number % 10 < 6 else 1 if number % 10 < 9 else 2]
    return hashlib.shake_128(path.encode()).digest(size)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes

    def do_GET(self):
        body = body_of(self.path)
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=86400")
        self.send_header("ETag", '"%s"' % self.path)
        if self.path.endswith("3"):  # some without a length
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 50000):
                piece = body[at:at + 50000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a killed node drops its connections; that is the point


def run_origin(pipe):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = QuietServer(("127.0.0.1", 0), Origin)
    pipe.send(server.server_port)
    server.serve_forever()


class Tally:
    """What the clients saw; `wrong` must stay empty."""

    def __init__(self):
        self.lock = threading.Lock()
        self.good = self.hits = self.broken = 0
        self.wrong = []

    def add(self, good=0, hits=0, broken=0, wrong=None):
        with self.lock:
            self.good += good
            self.hits += hits
            self.broken += broken
            if wrong:
                self.wrong.append(wrong)


class Client(threading.Thread):
    def __init__(self, port, tally, seed, state):
        super().__init__(daemon=True)
        self.port, self.tally, self.state = port, tally, state
        self.random = random.Random(seed)
        self.connection = None

    def run(self):
        while not self.state["end"]:
            self.ask(f"/o/{int(self.random.paretovariate(0.4)) % URLS}")

    def ask(self, path):
        alive_since = self.state["alive_since"]
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self.connection.request("GET", path)
            response = self.connection.getresponse()
            body = response.read()
        except ConnectionRefusedError:
            self.drop()
            if alive_since and alive_since == self.state["alive_since"]:
                self.tally.add(wrong=f"{path}: connection refused while the supervisor lives")
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            if isinstance(error, TimeoutError):
                self.tally.add(wrong=f"{path}: no answer within 30 s")
            self.tally.add(broken=1)
        else:
            self.judge(path, response, body)

    def judge(self, path, response, body):
        if response.status != 200:
            self.tally.add(wrong=f"{path}: status {response.status}: {body[:80]!r}")
        elif body != body_of(path):
            self.tally.add(wrong=f"{path}: {len(body)} bytes, expected {len(body_of(path))}; "
                                 f"{response.getheader('cache-status')}")
        else:
            self.tally.add(good=1, hits="; hit" in response.getheader("cache-status", ""))

    def drop(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def kill_worker(node):
    """Kills the serving process and waits until the supervisor has another one that serves."""
    pid = node.worker_pid()
    os.kill(pid, signal.SIGKILL)
    brim_node.wait_until(lambda: node.worker_pid() not in (None, pid) and node.is_ready(),
                         "the supervisor starts the node again")


def kill_all(node, state):
    state["alive_since"] = 0
    node.kill()
    node.start()
    state["alive_since"] = time.monotonic()


def torture(node, port, kills, tally):
    state = {"end": False, "alive_since": time.monotonic()}
    chance = random.Random(kills)
    clients = [Client(port, tally, seed, state) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    sweeper = Client(port, tally, 99, state)
    for number in range(1, kills + 1):
        time.sleep(chance.uniform(0.02, 0.9))  # the random moment, not a wait for anything
        if number % KILL_ALL_EVERY == 0:
            kill_all(node, state)
        else:
            kill_worker(node)
        for _ in range(SWEEP):
            sweeper.ask(f"/o/{chance.randrange(URLS)}")
    state["end"] = True
    for client in clients:
        client.join(60)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    started = time.monotonic()
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=run_origin, args=(far_end,), daemon=True)
    origin.start()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="brim-crash-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), pipe.recv())
        config["cache"] = {"path": directory + "/cache", "disk": "48MiB", "segment": "4MiB",
                           "memory": "8MiB", "memory_object": "256KiB"}
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            torture(node, port, kills, tally)
            written = brim_node.metric(node.admin_port, "brim_disk_objects")
            status = node.stop()
        except BaseException:
            print(node.log_tail())
            raise
        finally:
            if node.process.poll() is None:
                node.kill()
            origin.terminate()
    print(f"crash: {kills} kills in {time.monotonic() - started:.0f} s: {tally.good} right answers "
          f"({tally.hits} hits), {tally.broken} broken off, {len(tally.wrong)} wrong; "
          f"{written} objects in the index at the end")
    for text in tally.wrong[:20]:
        print("  wrong:", text)
    if tally.wrong or status != 0 or written == 0 or tally.hits < tally.good // 10:
        print(f"crash: FAILED (exit status {status})")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
