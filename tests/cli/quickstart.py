#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quickstart - the first five minutes of a new user: the commands that deploy/quickstart prints work.

Usage: tests/cli/quickstart.py [BRIM]     (the argument is ignored: quickstart builds its own)

Starts it twice with the demo site (miss, hit, purge, TLS with HTTP/2, clean end; the second start
has nothing to build) and checks that mistakes end it with a message instead of a server.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

SCRIPT = brim_node.ROOT / "deploy/quickstart"


CALLED_IN = "/"  # which is where what it prints has to work


def sh(command):
    return subprocess.run(command, shell=True, cwd=CALLED_IN, capture_output=True, text=True,
                          check=False)


def children_gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def take_interrupts():
    """A shell that has the tests run behind it lets them ignore SIGINT, and bash cannot trap then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Quickstart:
    """A running quickstart, with what it printed."""

    def __init__(self, directory, *arguments, **environment):
        self.ports = {name: brim_node.free_port() for name in ("PORT", "TLS_PORT", "ADMIN_PORT")}
        self.output = Path(directory) / "output"
        env = {**os.environ, **{k: str(v) for k, v in self.ports.items()},
               "CACHE_DIR": str(Path(directory) / "cache"), **environment}
        self.started = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([str(SCRIPT), *arguments], env=env, cwd=CALLED_IN,
                                            stdout=output, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            preexec_fn=take_interrupts)

    def text(self):
        return self.output.read_text()

    def wait_hints(self):
        def printed():
            if self.process.poll() is not None:
                raise RuntimeError(self.text())
            return "Ctrl-C" in self.text()
        brim_node.wait_until(printed, "quickstart prints what to try", 1100)
        return time.monotonic() - self.started

    def hint(self, name):
        return re.search(rf"^  {name} +(.*)$", self.text(), re.M)[1]

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


class TestQuickstart(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="brim-quickstart-")
        self.addCleanup(self.temporary.cleanup)
        self.directory = self.temporary.name

    def start(self, *arguments, **environment):
        quickstart = Quickstart(self.directory, *arguments, **environment)

        def kill():
            if quickstart.process.poll() is None:
                quickstart.end()
        self.addCleanup(kill)
        return quickstart

    def test_prints_commands_that_work_and_ends_cleanly(self):
        quickstart = self.start()
        quickstart.wait_hints()
        self.assertIn("fwd=uri-miss", sh(quickstart.hint("a miss")).stdout)
        self.assertIn("brim; hit", sh(quickstart.hint("a hit")).stdout)
        purged = sh(quickstart.hint("a purge"))
        self.assertEqual(purged.returncode, 0, purged.stderr)
        self.assertIn("fwd=uri-miss", sh(quickstart.hint("a hit")).stdout)
        self.assertTrue(sh(quickstart.hint("with TLS")).stdout.startswith("HTTP/2 200"))
        self.assertEqual(quickstart.end(), 0, quickstart.text())
        brim_node.wait_until(lambda: children_gone(quickstart.process.pid), "no process left")

        again = self.start()
        seconds = again.wait_hints()
        self.assertNotIn("building", again.text())
        print(f"quickstart: the second start took {seconds:.1f} s")
        self.assertEqual(again.end(signal.SIGINT), 0, again.text())
        brim_node.wait_until(lambda: children_gone(again.process.pid), "no process left")

    def test_refuses_what_is_not_an_origin(self):
        for origin in ("ftp://example.org", "example.org", "http://example.org/path", "http://"):
            quickstart = self.start(origin)
            self.assertEqual(quickstart.process.wait(60), 1)
            self.assertIn("ORIGIN_URL", quickstart.text())

    def test_help_is_no_origin(self):
        for option in ("-h", "--help"):
            quickstart = self.start(option)
            self.assertEqual(quickstart.process.wait(60), 0)
            self.assertIn("deploy/quickstart [ORIGIN_URL]", quickstart.text())
            self.assertNotIn("set -e", quickstart.text())

    def test_a_file_is_seen_from_where_it_is_called(self):
        quickstart = self.start(BRIM_CONFIG="nowhere/brim.yaml")  # called in /
        self.assertEqual(quickstart.process.wait(60), 1)
        self.assertIn("BRIM_CONFIG=/nowhere/brim.yaml ", quickstart.text())

    def test_says_that_a_config_cannot_be_read(self):
        quickstart = self.start(BRIM_CONFIG="/nowhere/brim.yaml")
        self.assertEqual(quickstart.process.wait(60), 1)
        self.assertIn("/nowhere/brim.yaml", quickstart.text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
