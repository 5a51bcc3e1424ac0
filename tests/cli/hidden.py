#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hidden - who is of the node's user, and not root, sees nothing of its memory: no private key.

Usage: tests/cli/hidden.py BRIM

As root it runs the node and those who look as nobody. What is refused is tried with node.core_dumps
too, where it works: else the refusal would prove nothing.
"""

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BINARY = sys.argv.pop(1) if len(sys.argv) > 1 else brim_node.default_binary()
NOBODY = 65534
USER = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


def may(what):
    try:
        what()
        return True
    except OSError:
        return False


def attach(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, WALL)
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def read_some(path):
    """Reads it; a process that ends has no memory any more, and files of it that are empty."""
    if not Path(path).read_bytes():
        raise OSError(errno.ENODATA, path)


def ways_into(pid):
    """Which of the ways of proc(5) and ptrace(2) are open to this process."""
    ways = {"mem": lambda: open(f"/proc/{pid}/mem", "rb").close(),
            "environ": lambda: read_some(f"/proc/{pid}/environ"),
            "maps": lambda: read_some(f"/proc/{pid}/maps"),
            "fd": lambda: os.listdir(f"/proc/{pid}/fd"),
            "exe": lambda: os.readlink(f"/proc/{pid}/exe"),
            "ptrace": lambda: attach(pid)}
    return {name for name, what in ways.items() if may(what)}


def look(pid):
    """The same for another process of the node's user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writer, " ".join(ways_into(pid)).encode() + b".")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, encoding="ascii") as pipe:
        seen = pipe.read()
    if not seen.endswith("."):
        raise RuntimeError("who was to look died")
    return set(seen[:-1].split())


class TestHidden(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="brim-hidden-")
        self.dir = Path(self.scratch.name)
        self.binary = str(shutil.copy(BINARY, self.dir / "brim"))  # where nobody may come, too
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9",
                        "-subj", "/CN=a", "-keyout", "key", "-out", "pem"], cwd=self.dir,
                       check=True, capture_output=True)
        self.node = None

    def tearDown(self):
        if self.node is not None and self.node.process.poll() is None:
            self.node.kill()
        self.scratch.cleanup()

    def start(self, may_dump, supervise=True, limits=None):
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1,
                                       brim_node.free_port(),
                                       [(str(self.dir / "pem"), str(self.dir / "key"))])
        config["cache"]["path"] = str(self.dir / "cache")
        if may_dump:
            config["node"]["core_dumps"] = True
        self.node = brim_node.Node(self.dir, config, self.binary, supervise=supervise)
        if USER:
            for path in (self.dir, *self.dir.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self.node.start(cwd=self.dir, preexec_fn=limits, **USER)

    def expect_hidden(self, pid, may_end=False):
        self.assertEqual(look(pid), set())
        try:
            self.assertEqual(Path(f"/proc/{pid}/environ").stat().st_uid, 0)
        except FileNotFoundError:
            self.assertTrue(may_end, "it has ended")

    def test_nobody_of_its_user_looks_into_it(self):
        self.start(may_dump=False)
        self.expect_hidden(self.node.worker_pid())
        self.expect_hidden(self.node.process.pid)
        self.assertEqual(self.node.stop(), 0, self.node.log_tail())

    def test_a_new_node_and_a_new_version_are_hidden_too(self):
        self.start(may_dump=False)
        before = self.node.worker_pid()
        os.kill(before, signal.SIGKILL)
        brim_node.wait_until(lambda: self.node.worker_pid() not in (None, before), "a new node")
        self.node.wait_ready()
        self.expect_hidden(self.node.worker_pid())
        subprocess.run([self.binary, "upgrade", "--admin", f"127.0.0.1:{self.node.admin_port}"],
                       check=True, capture_output=True, timeout=120)
        for pid in brim_node.children_of(self.node.process.pid):  # two, or the old one has ended
            self.expect_hidden(pid, may_end=True)
        brim_node.wait_until(lambda: len(brim_node.children_of(self.node.process.pid)) == 1,
                             "one node")
        self.expect_hidden(self.node.worker_pid())
        # The parent becomes the new program behind the answer, and hides before it reads a key.
        brim_node.wait_until(lambda: not look(self.node.process.pid), "the parent hidden")

    # The old node of an upgrade may end while it is looked at.
    def test_what_has_ended_is_no_way_in(self):
        ended = subprocess.Popen(["true"], **USER)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        try:
            self.assertEqual(look(ended.pid), set())
        finally:
            ended.wait()

    def test_core_dumps_opens_it_to_its_user(self):
        self.start(may_dump=True)
        seen = look(self.node.worker_pid())
        self.assertLessEqual({"environ", "maps", "fd", "exe"}, seen)
        if not Path("/proc/sys/kernel/yama").exists():  # else it is for Yama to say
            self.assertLessEqual({"mem", "ptrace"}, seen)
        self.assertEqual(self.node.stop(), 0, self.node.log_tail())

    def crash(self, may_dump):
        """Whether it left a core, as the kernel says."""
        def limits():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        self.start(may_dump, supervise=False, limits=limits)
        pid = self.node.process.pid
        os.kill(pid, signal.SIGABRT)
        status = os.waitpid(pid, 0)[1]
        self.node.process.returncode = -signal.SIGABRT
        self.assertTrue(os.WIFSIGNALED(status))
        return os.WCOREDUMP(status)

    def test_a_crash_leaves_no_core(self):
        try:
            if not self.crash(may_dump=True):
                self.skipTest("nothing here leaves a core")
        except subprocess.SubprocessError:
            self.skipTest("no core may be as large as it likes here")
        self.assertFalse(self.crash(may_dump=False))


if __name__ == "__main__":
    unittest.main(verbosity=2)
