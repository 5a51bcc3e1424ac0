#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""outside - the world goes wrong: disk full, clocks that jump, names that do not resolve.

Usage: tests/fault/outside.py BRIM

  full    every write, or reservation of room, fails with ENOSPC for a while; and, as root, a device
          that is smaller than the quota: no wrong byte, no 5xx, and the node stores again after it
  clock   the wall clock jumps back a day, a year ahead, and to 1970: no answer is wrong,
          nothing is older than the world or fresh for ever, and it caches afterwards
  names   an origin whose name does not resolve is a 502 that says so, and holds up nobody else
"""

import errno
import http.client
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402
import injection  # noqa: E402

DAY, YEAR = 86400, 365 * 86400
ROUNDS = 60


class Scene:
    def __init__(self, node, port, control):
        self.node, self.port, self.control = node, port, control
        self.tally = crash.Tally()
        self.client = crash.Client(port, self.tally, 1,
                                   {"end": False, "alive_since": time.monotonic()})
        self.url = 0
        self.wrong = []

    def ask(self, count):
        for _ in range(count):
            self.client.ask(f"/o/{self.url}")
            self.client.ask(f"/o/{max(0, self.url - 40)}")
            self.url += 1

    def new_object_is_stored(self):
        before = brim_node.metric(self.node.admin_port, "brim_disk_objects")
        self.ask(2)
        return brim_node.metric(self.node.admin_port, "brim_disk_objects") > before

    def end(self, what):
        """Nothing was wrong, broken off or dead meanwhile."""
        if self.node.log_path.read_text(errors="replace").count("node.died"):
            self.wrong.append("the node died")
        if self.tally.broken > 2:  # a jump may end idle connections
            self.wrong.append(f"{self.tally.broken} answers broken off")
        self.wrong += self.tally.wrong
        print(f"outside: {what}: {self.tally.good} right answers, {len(self.wrong)} faults")
        faults = [f"{what}: {text}" for text in self.wrong]
        self.wrong, self.tally.wrong = [], []
        self.tally.good = self.tally.broken = 0
        return faults

    def get(self, path, host="t.example"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response


def full(scene):
    faults = []
    for kinds in (("write",), ("room",), ("write", "room", "sync", "open")):
        for kind in kinds:
            scene.control.arm(kind, 1, 1 << 40, errno.ENOSPC)
        scene.ask(ROUNDS)
        for kind in kinds:
            scene.control.disarm(kind)
        brim_node.wait_until(scene.new_object_is_stored, f"objects stored after {kinds}")
        faults += scene.end(f"disk full ({', '.join(kinds)})")
    return faults


def clock(scene):
    faults = []
    for seconds in (-DAY, YEAR, -int(time.time()) + DAY, 0):
        scene.control.shift_clock(seconds)
        scene.ask(ROUNDS)
        path = f"/o/clock{seconds}/{scene.url}"
        responses = [scene.get(path) for _ in range(3)]
        age = int(responses[-1].getheader("age", "0"))
        if seconds > 0:  # what an origin dates so long ago is old, RFC 9111 4.2.3
            age = 0
        elif "; hit" not in responses[-1].getheader("cache-status", ""):
            scene.wrong.append(f"nothing is cached: {responses[-1].getheader('cache-status')}")
        if any(response.status != 200 for response in responses) or not 0 <= age <= 60:
            scene.wrong.append(f"status {responses[-1].status}, age {age}")
        faults += scene.end(f"clock wrong by {seconds} s")
    # What was stored in the future must not stay for ever: its age is that of now.
    scene.control.shift_clock(YEAR)
    scene.get("/o/future/1")
    scene.control.shift_clock(0)
    response = scene.get("/o/future/1")
    if response.status != 200 or int(response.getheader("age", "0")) > 60:
        scene.wrong.append(f"an object of the future: age {response.getheader('age')}")
    scene.control.shift_clock(YEAR + 2 * DAY)
    response = scene.get("/o/future/1")
    if "; hit" in response.getheader("cache-status", ""):
        scene.wrong.append("an object of the future does not age")
    scene.control.shift_clock(0)
    return faults + scene.end("an object of the future")


def names(scene):
    for _ in range(3):
        response = scene.get("/x", "nowhere.example")
        scene.ask(5)
        status = response.getheader("proxy-status", "")
        if response.status != 502 or "dns_error" not in status:
            scene.wrong.append(f"{response.status} {status}")
    return scene.end("a name that does not resolve")


def small_device(directory, config, binary):
    """A tmpfs that is smaller than the quota; None where that cannot be mounted."""
    device = directory / "device"
    device.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=14m", "brim-test", str(device)],
            capture_output=True, check=False).returncode != 0:
        print("outside: a small device: skipped, it cannot be mounted here")
        return []
    config["cache"]["path"] = str(device / "cache")
    log = directory / "device.log"
    node = brim_node.Node(directory, config, binary, log=log)
    port = int(config["listeners"][0]["address"].rsplit(":", 1)[1])
    try:
        node.start()
        scene = Scene(node, port, None)
        scene.ask(150)
        (device / "somebody-elses").write_bytes(b"x")  # there is still room for others, or not
        if node.stop() != 0:
            scene.wrong.append("no clean end")
        node.start()
        scene.ask(20)
        faults = scene.end("a device smaller than the quota")
        node.stop()
        return faults
    except OSError as error:
        return [] if error.errno == errno.ENOSPC else [str(error)]
    finally:
        if node.process.poll() is None:
            node.kill()
        subprocess.run(["umount", str(device)], check=False)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    if not injection.can_preload(binary):
        print("outside: skipped: nothing can be preloaded here")
        return injection.SKIP
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=crash.run_origin, args=(far_end,), daemon=True)
    origin.start()
    faults = []
    with tempfile.TemporaryDirectory(prefix="brim-outside-") as name:
        directory = Path(name)
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), pipe.recv())
        config["cache"] = {"path": str(directory / "cache"), "disk": "48MiB", "segment": "4MiB",
                           "memory": "4MiB", "memory_object": "128KiB"}
        config["origins"].append({"name": "nowhere",
                                  "servers": [{"url": "http://brim-test.invalid"}]})
        config["sites"].append({"hosts": ["nowhere.example"], "origin": "nowhere"})
        node = brim_node.Node(directory, config, binary)
        control = injection.Injection(directory)
        try:
            node.start(env=control.environment(), wait=False)
            control.spare(node.process.pid)
            node.wait_ready()
            scene = Scene(node, port, control)
            scene.ask(50)
            for part in (full, clock, names):
                faults += part(scene)
            if node.stop() != 0:
                faults.append("no clean end")
            faults += small_device(directory, config, binary)
        except BaseException:
            print(node.log_tail(40))
            raise
        finally:
            if node.process.poll() is None:
                node.kill()
            origin.terminate()
    for text in faults[:30]:
        print("  fault:", text)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
