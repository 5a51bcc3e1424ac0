#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""upgrade_stages - what takes over dies, hangs or raves at every stage: the old node serves what it
has begun, and whoever asks later is answered.

Usage: tests/fault/upgrade_stages.py BRIM
"""

import contextlib
import http.client
import json
import os
import platform
import resource
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
from drain import GET, Origin, read_until  # noqa: E402

RECVFROM = "45" if platform.machine() == "x86_64" else "207"
LET_GO = 1 << (signal.SIGRTMIN + 1 - 1)  # in a mask of /proc/PID/status


class Site:
    """A node, and a response that it has begun to send."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.origin = Origin()
        self.origin.start()
        self.port = brim_node.free_port()
        self.config = brim_node.make_config(self.port, brim_node.free_port(), self.origin.port)
        self.config["cache"] = {"path": f"{directory}/cache", "disk": "64MiB"}
        self.config["node"]["drain_timeout"] = "60s"
        self.logs = self.directory / "logs"
        self.logs.mkdir()
        self.config["access_log"] = {"path": f"{self.logs}/access.log"}
        self.node = brim_node.Node(directory, self.config, sys.argv[1])
        self.client = None

    def begin(self):
        self.client = socket.create_connection(("127.0.0.1", self.port))
        self.client.settimeout(60)
        self.client.sendall(GET + b"\r\n")
        read_until(self.client, b"begin")

    def end(self):
        self.origin.may_end.set()
        read_until(self.client, b" ends")
        self.client.close()

    def ask_for_upgrade(self):
        """By signal: the admin API would not let everything be started."""
        self.node.process.send_signal(signal.SIGUSR2)

    def other_child(self, old):
        others = []

        def is_there():
            others[:] = [p for p in brim_node.children_of(self.node.process.pid) if p != old]
            return others

        brim_node.wait_until(is_there, "a successor")
        return others[0]

    def prepare(self):
        """A successor that waits for the old node, which is stopped, to let go: both."""
        old = self.node.worker_pid()
        os.kill(old, signal.SIGSTOP)
        self.ask_for_upgrade()
        new = self.other_child(old)
        brim_node.wait_until(lambda: pending(old) & LET_GO, "the old one is asked to let go")
        return old, new

    def wait_log(self, words, count=1):
        """Less long than the parent waits for a successor."""
        brim_node.wait_until(lambda: self.node.log_path.read_text().count(words) >= count, words,
                             25)


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory() as directory:
        site = Site(directory)
        site.node.binary = f"{directory}/brim"
        shutil.copy(sys.argv[1], site.node.binary)
        with site.node.running():
            try:
                yield site
            finally:
                site.node.process.send_signal(signal.SIGCONT)


def pending(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("ShdPnd:"):
            return int(line.split()[1], 16)
    return 0


def put_in_place(site, text):
    """As a package that is no good."""
    fresh = Path(f"{site.node.binary}.new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.rename(site.node.binary)


def check_killed_while_old_lets_go():
    """The old one had only been asked for the disk tier; it must not die of the new one's death."""
    with running() as site:
        site.begin()
        old, new = site.prepare()
        os.kill(new, signal.SIGKILL)
        brim_node.wait_until(lambda: not brim_node.is_running(new), "the new one dead")
        os.kill(old, signal.SIGCONT)
        site.wait_log("upgrade.failed")
        site.end()
        brim_node.wait_until(site.node.is_ready, "ready")
        assert "died of signal 9" in site.node.log_path.read_text()


def check_raves():
    """A successor that never stops talking is not listened to for ever: the node can be ended."""
    with running() as site:
        put_in_place(site, "#!/bin/sh\nexec yes nonsense >&2\n")
        site.ask_for_upgrade()
        site.wait_log("nonsense", 100000)
        assert site.node.stop() == 0


def check_leaves_its_parent():
    """As a program that becomes a daemon does. It is ended, not waited for."""
    with running() as site:
        put_in_place(site, f"#!{sys.executable}\nimport os, time\nos.closerange(3, 1000)\n"
                           "time.sleep(600)\n")
        site.ask_for_upgrade()
        site.wait_log("upgrade.failed")
        assert site.node.is_ready()


def check_old_dies():
    """While the new one takes its time: the old one is started again, as ever."""
    with running() as site:
        old = site.node.worker_pid()
        put_in_place(site, "#!/bin/sh\nexec sleep 600\n")
        site.ask_for_upgrade()
        site.other_child(old)
        os.kill(old, signal.SIGKILL)
        site.wait_log("node.ready", 2)
        assert "upgrade.failed" in site.node.log_path.read_text()


def check_again_after_read_only():
    """No other node came up, so the old one went on without the disk tier, and with its admin API.
    When what was wrong is put right, the next one takes over at once, and no response that is under
    way is lost."""
    with running() as site:
        site.begin()
        old, _ = site.prepare()
        site.logs.rename(f"{site.logs}.away")
        os.kill(old, signal.SIGCONT)
        site.wait_log("upgrade.read_only")
        site.wait_log("upgrade.failed")
        brim_node.wait_until(site.node.is_ready, "ready, read only")
        assert site.node.worker_pid() == old
        Path(f"{site.logs}.away").rename(site.logs)
        site.ask_for_upgrade()
        site.wait_log("upgrade.done")
        site.end()
        brim_node.wait_until(site.node.is_ready, "ready")
        assert "upgrade.stuck" not in site.node.log_path.read_text()


def check_no_descriptor_for_another():
    """The new one dies when the old one has let go, and the parent cannot even begin to start a node
    of its own: what is there goes on, read only, as where such a node does not come up."""
    with running() as site:
        site.begin()
        old, new = site.prepare()
        parent = site.node.process.pid
        limits = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(new, signal.SIGKILL)
        os.kill(old, signal.SIGCONT)
        site.wait_log("upgrade.failed")
        resource.prlimit(parent, resource.RLIMIT_NOFILE, limits)
        site.end()
        brim_node.wait_until(site.node.is_ready, "ready")
        assert site.node.worker_pid() == old
        assert "upgrade.read_only" in site.node.log_path.read_text()


def is_waiting(pid):
    """Whether it is in recv(2), which is where a successor that is prepared waits for its turn."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] == RECVFROM


def call(site, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", site.node.admin_port, timeout=60)
    connection.request("POST", path, json.dumps(body) if body else None)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def explain(site):
    return call(site, "/v1/explain", {"url": "http://other.test/"})["would"]


def prepare_and_hold(site):
    """A new one that has read the config, and a parent that has not heard of it, as it is stopped
    by what it starts: that gives its place to the real program first, for whoever is next. Returns
    the old one."""
    old = site.node.worker_pid()
    real = Path(site.node.binary).rename(f"{site.node.binary}.real")
    put_in_place(site, f"#!/bin/sh\nmv {real} {site.node.binary}\nkill -STOP $PPID\n"
                       f'exec {site.node.binary} "$@"\n')
    site.ask_for_upgrade()
    new = site.other_child(old)
    brim_node.wait_until(lambda: os.readlink(f"/proc/{new}/exe") == site.node.binary
                         and is_waiting(new), "the new one waits")
    return old


def check_reload_meanwhile():
    """What the old one puts in force after the new one has read the config is in force in both."""
    with running() as site:
        site.config["sites"][0]["hosts"] = ["site.test"]
        brim_node.write_config(site.config, site.node.config_path)
        assert call(site, "/v1/reload", None)["status"] == "in force"
        assert explain(site) == "answered 404"
        old = prepare_and_hold(site)
        site.config["sites"][0]["hosts"] = ["other.test"]
        brim_node.write_config(site.config, site.node.config_path)
        assert call(site, "/v1/reload", None)["status"] == "in force"
        site.node.process.send_signal(signal.SIGCONT)
        site.wait_log("upgrade.done")
        brim_node.wait_until(lambda: not brim_node.is_running(old), "the old one gone")
        brim_node.wait_until(lambda: explain(site) == "miss", "the config of the last reload")


def check_listeners_meanwhile():
    """The new parent reads a config that its node has not read, and could not serve by it: it waits,
    as for one that is being written, and does not take the node down."""
    with running() as site, socket.create_server(("127.0.0.1", 0)) as taken:
        prepare_and_hold(site)
        good = site.node.config_path.read_text()
        site.config["listeners"].append({"address": f"127.0.0.1:{taken.getsockname()[1]}"})
        brim_node.write_config(site.config, site.node.config_path)
        site.node.process.send_signal(signal.SIGCONT)
        site.wait_log("need a restart")
        assert site.node.is_ready()
        site.node.config_path.write_text(good)
        site.wait_log("upgrade.parent")
        os.kill(site.node.worker_pid(), signal.SIGKILL)
        site.wait_log("node.died")
        brim_node.wait_until(site.node.is_ready, "ready again")


def check_purge_meanwhile():
    """By a connection that the old one has accepted: in force, and the caller is told to ask again,
    not that the disk is broken."""
    with running() as site:
        kept = http.client.HTTPConnection("127.0.0.1", site.node.admin_port, timeout=60)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        old, _ = site.prepare()
        site.node.process.send_signal(signal.SIGSTOP)  # nobody takes over yet
        os.kill(old, signal.SIGCONT)
        site.wait_log("upgrade.let_go")
        kept.request("POST", "/v1/purge", json.dumps({"hosts": ["a.test"]}))
        answer = kept.getresponse()
        told = json.loads(answer.read())
        assert (answer.status, told["advice"]) == (503, "repeat the call"), (answer.status, told)
        kept.close()
        site.node.process.send_signal(signal.SIGCONT)
        site.wait_log("upgrade.done")


def check_names():
    """Whatever a listener's socket is called: it is told from those that have no name."""
    with tempfile.TemporaryDirectory() as directory:
        site = Site(directory)
        one, two, admin = (socket.create_server(("127.0.0.1", 0)) for _ in range(3))
        site.config["listeners"] = [
            {"address": ":1", "socket": "brim"},
            {"address": f"127.0.0.1:{two.getsockname()[1]}"}]
        site.node.admin_port = admin.getsockname()[1]
        site.config["admin"]["address"] = f"127.0.0.1:{site.node.admin_port}"
        brim_node.write_config(site.config, site.node.config_path)
        with site.node.running(**brim_node.hand_over([one, two, admin], ["brim", "x", "y"])):
            site.ask_for_upgrade()
            site.wait_log("upgrade.done")
            brim_node.wait_until(site.node.is_ready, "ready")


def main():
    checks = [check_killed_while_old_lets_go, check_raves, check_leaves_its_parent,
              check_old_dies, check_again_after_read_only,
              check_no_descriptor_for_another, check_reload_meanwhile,
              check_listeners_meanwhile, check_purge_meanwhile, check_names]
    for check in checks:
        if len(sys.argv) < 3 or check.__name__ in sys.argv[2:]:
            check()
            print(f"upgrade_stages: {check.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
