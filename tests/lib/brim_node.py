# SPDX-License-Identifier: MIT
"""brim_node - what every script outside the binary shares: ports, a config, a running node.

Nothing here sleeps for a fixed time: waiting means asking until a deadline. Ports come from below
the kernel's ephemeral range, and are reserved machine-wide while this process lives.
"""

import atexit
import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# How many times the memory that a test allows the node may grow: tests/extra.cmake says why.
GROWTH = int(os.environ.get("BRIM_TEST_GROWTH", "1"))
_reservations = []
atexit.register(lambda: [held.close() for held in _reservations])


def default_binary():
    for build in ("dev", "release"):
        path = ROOT / "build" / build / "brim"
        if path.exists():
            return str(path)
    return str(ROOT / "build/dev/brim")


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on and no other test has been given."""
    while True:
        port = random.randrange(10000, 30000)
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            held.bind(f"\0brim-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        _reservations.append(held)
        return port


def make_config(port, admin_port, origin_port, tls_port=None, certificates=()):
    """A config of one listener (and one with TLS), one origin, one site; change it with set_path."""
    listeners = [{"address": f"127.0.0.1:{port}"}]
    if tls_port and certificates:
        pairs = [{"certificate": cert, "key": key} for cert, key in certificates]
        listeners.append({"address": f"127.0.0.1:{tls_port}", "tls": {"certificates": pairs}})
    return {
        "node": {"workers": 2, "drain_timeout": "2s"},
        "log": {"level": "info"},
        "listeners": listeners,
        "admin": {"address": f"127.0.0.1:{admin_port}"},
        "cache": {"memory": "16MiB"},
        "origins": [{"name": "origin", "servers": [{"url": f"http://127.0.0.1:{origin_port}"}]}],
        "sites": [{"hosts": ["*"], "origin": "origin"}],
    }


def parse_value(text):
    """JSON if it is JSON ("2", "true", ["a"]), else the text itself ("2s", "64KiB")."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def set_path(config, path, value):
    """set_path(c, "sites.0.cache.negative_ttl", "2s"); missing parents are made."""
    keys = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = config
    for key, following in zip(keys, keys[1:]):
        empty = [] if isinstance(following, int) else {}
        if isinstance(place, list):
            while len(place) <= key:
                place.append(type(empty)())
            place = place[key]
        else:
            place = place.setdefault(key, empty)
    if isinstance(place, list) and len(place) == keys[-1]:
        place.append(value)
    else:
        place[keys[-1]] = value


def write_config(config, path):
    """JSON is YAML; the node reads it as any other config."""
    Path(path).write_text(json.dumps(config, indent=1) + "\n")


def wait_until(condition, what, seconds=30):
    """Asks condition() until it is true; TimeoutError names what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def at_once(function, calls):
    """function(*arguments) for each of calls, in threads; returns when all have."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(function, *arguments) for arguments in calls]:
            done.result()


def admin_get(admin_port, path, timeout=30, **headers):
    """(status, body text) of the admin API; (0, "") if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def metric(admin_port, name):
    """Sum of all samples whose name (or name and labels, as written) is `name`."""
    total = 0.0
    for line in admin_get(admin_port, "/metrics")[1].splitlines():
        if line.startswith("#") or " " not in line:
            continue
        sample, value = line.rsplit(" ", 1)
        if sample in (name, name + "{}") or sample.split("{")[0] == name:
            total += float(value)
    return int(total)


def children_of(pid):
    """Process ids whose parent is pid."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_stopped(pid):
    """Whether it is stopped, or gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "TZX"
    except OSError:
        return True


def is_running(pid):
    """Whether pid is there and not a zombie that waits for its parent. One whose other threads are
    still on their way out holds its sockets."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


HAND_OVER = """
import os, sys
numbers, names, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
for position, number in enumerate(numbers):  # they are above what they are moved to
    os.dup2(int(number), 3 + position)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


def hand_over(sockets, names):
    """What Node.start() wants in order to be started as systemd would, with these sockets."""
    numbers = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in sockets]
    listed = ",".join(str(number) for number in numbers)
    return {"prefix": [sys.executable, "-c", HAND_OVER, listed, ":".join(names)],
            "pass_fds": numbers}


class Node:
    """A brim process with its config in a directory of the caller's."""

    def __init__(self, directory, config, binary=None, supervise=True, log=None):
        self.directory = Path(directory)
        self.binary = binary or default_binary()
        self.config = config
        self.config_path = self.directory / "brim.yaml"
        self.admin_port = int(config["admin"]["address"].rsplit(":", 1)[1])
        self.supervise = supervise
        self.log_path = Path(log) if log else self.directory / "brim.log"
        self.process = None
        write_config(config, self.config_path)

    def command(self):
        options = [] if self.supervise else ["--no-supervise"]
        return [self.binary, "serve", "--config", str(self.config_path), *options]

    def start(self, prefix=(), wait=True, **popen):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*prefix, *self.command()], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, **popen)
        if wait:
            self.wait_ready()
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"brim ended with {self.process.returncode}:\n" + self.log_tail())
        return admin_get(self.admin_port, "/readyz")[0] == 200

    def wait_ready(self, seconds=30):
        wait_until(self.is_ready, "brim ready", seconds)

    def worker_pid(self):
        """The process that serves: the supervisor's child, or the one process there is."""
        if not self.supervise:
            return self.process.pid
        children = children_of(self.process.pid)
        return children[0] if children else None

    def rss_bytes(self):
        status = Path(f"/proc/{self.worker_pid()}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def reload(self):
        """Puts the config in force as it is now."""
        write_config(self.config, self.config_path)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        connection.request("POST", "/v1/reload")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body

    def kill(self):
        """kill -9 of everything. The supervisor is stopped first: a node that it is just starting
        would not be among its children yet, and would keep the sockets while it drains."""
        try:
            os.kill(self.process.pid, signal.SIGSTOP)
            wait_until(lambda: is_stopped(self.process.pid), "supervisor stopped")
        except ProcessLookupError:
            pass
        pids = [self.process.pid, *children_of(self.process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in pids), "node gone")

    def stop(self, seconds=60):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @contextlib.contextmanager
    def running(self, lines=60, **start):
        """Started as by start(); stopped behind the block, in order. What went wrong inside is told
        with the end of the node's log."""
        try:
            yield self.start(**start)
        except BaseException:
            print(self.log_tail(lines), file=sys.stderr)
            raise
        finally:
            status = self.stop(90)
        assert status == 0, f"the node ended with {status}:\n{self.log_tail(lines)}"

    def deaths(self):
        """By which signals nodes below the supervisor died, as the log has it."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return re.findall(r"node\.died pid=\d+ signal=(\d+)", text)

    def log_tail(self, lines=30):
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
