#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak - a day of traffic in little time: memory, descriptors and segments stay flat.

Usage: tests/fault/soak.py BRIM [MINUTES]     (default a third of a minute; 30 for a release)

More URLs than fit into RAM or disk are asked for by popularity, with parts, conditions, purges,
reloads and clients that leave; the origin answers right to the byte, breaks off, or fails now and
then. After a warm-up of a quarter of the time, samples are taken: resident memory, of it the heap
(the rest is the index, mapped, of which more and more has been read), what was asked of the heap and
not freed (a leak would grow there; the heap itself also has what is kept for what comes next),
descriptors and threads of the serving process, segments and bytes on disk. The mean of the last
quarter may not be above that of the second by more than what the table says.
"""

import http.client
import http.server
import multiprocessing
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402

URLS = 6000
CLIENTS = 3
SAMPLES = 80
# what is sampled -> how much more the last quarter may have: a part, and so many
ALLOWED = {"RSS MiB": (0.12, 8), "heap MiB": (0.12, 4), "in use MiB": (0.05, 2), "fds": (0.1, 12),
           "threads": (0, 1), "segments": (0.1, 2), "disk MiB": (0.1, 4)}


class Origin(crash.Origin):
    def do_GET(self):
        fate = random.random()
        if fate < 0.005:
            self.close_connection = True
            return
        if fate < 0.01:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()


def run_origin(pipe):
    server = crash.QuietServer(("127.0.0.1", 0), Origin)
    pipe.send(server.server_port)
    server.serve_forever()


class Client(threading.Thread):
    def __init__(self, port, seed, state):
        super().__init__(daemon=True)
        self.port, self.state, self.random = port, state, random.Random(seed)

    def run(self):
        connection = None
        while not self.state["end"]:
            number = int(self.random.paretovariate(0.5)) % URLS
            path, fields, chance = f"/o/{number}", {}, self.random.random()
            if chance < 0.1:
                fields["Range"] = "bytes=0-99"
            elif chance < 0.15:
                fields["If-None-Match"] = '"%s"' % path
            elif chance < 0.2:
                fields["Accept-Encoding"] = "br, gzip"
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port,
                                                                      timeout=30)
                connection.request("GET", path, headers=fields)
                response = connection.getresponse()
                if chance > 0.99:  # leaves in the middle
                    connection.close()
                    connection = None
                    continue
                self.judge(path, response, response.read())
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                self.state["broken"] += 1

    def judge(self, path, response, body):
        self.state["answers"] += 1
        self.state["hits"] += "; hit" in response.getheader("cache-status", "")
        whole = crash.body_of(path)
        good = {200: body == whole, 206: body == whole[:100], 304: body == b"",
                502: True, 503: True}.get(response.status, False)
        if not good:
            self.state["wrong"].append(f"{path}: {response.status}, {len(body)} bytes")


def sample(node, cache):
    pid = node.worker_pid()
    status = Path(f"/proc/{pid}/status").read_text()
    files = list((cache / "segments").iterdir())
    return {"RSS MiB": int(status.split("VmRSS:")[1].split()[0]) / 1024,
            "heap MiB": int(status.split("RssAnon:")[1].split()[0]) / 1024,
            "in use MiB": brim_node.metric(node.admin_port, "brim_memory_allocated_bytes") / 2 ** 20,
            "fds": len(list(Path(f"/proc/{pid}/fd").iterdir())),
            "threads": int(status.split("Threads:")[1].split()[0]),
            "segments": len(files),
            "disk MiB": sum(path.stat().st_blocks for path in [*files, cache / "index/data.mdb"]
                            if path.exists()) / 2048}


def disturb(node, rng):
    admin = ["--admin", f"127.0.0.1:{node.admin_port}"]
    what = rng.choice((["purge", *admin, f"http://127.0.0.1/o/{rng.randrange(URLS)}"],
                       ["purge", *admin, "--soft", "--prefix", f"//127.0.0.1/o/{rng.randrange(9)}"],
                       ["reload", *admin], ["stats", *admin]))
    return subprocess.run([node.binary, *what], capture_output=True, text=True, check=False)


def soak(node, port, cache, minutes):
    """(samples, state)"""
    state = {"end": False, "answers": 0, "hits": 0, "broken": 0, "wrong": []}
    clients = [Client(port, seed, state) for seed in range(CLIENTS)]
    rng, samples = random.Random(5), []
    seconds = minutes * 60
    began = time.monotonic()
    for client in clients:
        client.start()
    for number in range(SAMPLES):
        due = began + seconds * (number + 1) / SAMPLES
        done = disturb(node, rng)
        if done.returncode != 0:
            state["wrong"].append(f"{done.args[1]}: {done.stderr.strip()}")
        time.sleep(max(0.0, due - time.monotonic()))  # the pace of the samples
        try:
            samples.append(sample(node, cache))
        except OSError:
            state["wrong"].append("the node died")
    state["end"] = True
    for client in clients:
        client.join(60)
    return samples, state


def judge(samples, minutes):
    """Faults; prints the table. A run of seconds only warms up: it is not compared."""
    faults, quarter = [], len(samples) // 4
    print(f"{'':10} second quarter  last quarter  least     most")
    for name, (part, more) in ALLOWED.items():
        values = [one[name] for one in samples]
        early = sum(values[quarter:2 * quarter]) / quarter
        late = sum(values[-quarter:]) / quarter
        print(f"{name:10} {early:14.1f}  {late:12.1f}  {min(values):8.1f}  {max(values):8.1f}")
        if minutes >= 5 and late > early * (1 + part) + more:
            faults.append(f"{name} grows: {early:.1f} to {late:.1f}")
    return faults


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 1 / 3
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=run_origin, args=(far_end,), daemon=True)
    origin.start()
    with tempfile.TemporaryDirectory(prefix="brim-soak-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), pipe.recv())
        cache = Path(directory) / "cache"
        config["cache"] = {"path": str(cache), "disk": "96MiB", "segment": "8MiB",
                           "memory": "16MiB", "memory_object": "256KiB"}
        config["node"]["core_dumps"] = True  # its descriptors are counted by its user
        config["access_log"] = {"path": directory + "/access.log"}
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            pid = node.worker_pid()
            samples, state = soak(node, port, cache, minutes)
            faults = state["wrong"][:20]
            if node.worker_pid() != pid:
                faults.append("the node died")
            if node.stop() != 0:
                faults.append("no clean end")
        except BaseException:
            print(node.log_tail())
            raise
        finally:
            if node.process.poll() is None:
                node.kill()
            origin.terminate()
    faults += judge(samples, minutes)
    print(f"soak: {minutes:.1f} minutes: {state['answers']} answers, {state['hits']} hits, "
          f"{state['broken']} broken off, {len(faults)} faults")
    for text in faults:
        print("  fault:", text)
    return 1 if faults or not state["hits"] else 0


if __name__ == "__main__":
    sys.exit(main())
