#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""page - the live page of the admin listener, in headless Chromium.

Usage: tests/cli/page.py [BRIM [DIRECTORY]]; screenshots are left in DIRECTORY, if it is given. Ends
with 77 where chromium is missing.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
SHOTS = sys.argv[2] if len(sys.argv) > 2 else None
MARKUP = "/&lt;b&gt;"


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(b"x" * 3000, "no-store" if self.path == "/pass" else "max-age=600",
                    503 if self.path == "/down" else 200)


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brim-page-", ignore_cleanup_errors=True)
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        origin = http_origin.start(Origin)
        self.addCleanup(origin.server_close)
        self.addCleanup(origin.shutdown)
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, origin.server_port)
        self.change(config)
        self.node = brim_node.Node(self.directory, config, BRIM, supervise=False).start()
        self.addCleanup(self.node.stop)

    def change(self, config):
        """For those who want another config."""

    def call(self, port, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def start_traffic(self):
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                for path in ("/a", "/b", "/pass", "/down", MARKUP):
                    self.call(self.port, "GET", path, Host="www.example.com")

        asking = threading.Thread(target=ask)
        asking.start()
        self.addCleanup(asking.join)
        self.addCleanup(stop.set)

    def browse(self, *options):
        run = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", f"--user-data-dir={self.directory}/chromium", "--timeout=9000",
             *options, f"http://127.0.0.1:{self.admin}/"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        self.assertEqual(run.returncode, 0, run.stderr[-2000:])
        self.assertNotIn("Uncaught", run.stderr)
        self.assertNotIn("Content Security Policy", run.stderr)
        return run.stdout


class TestPage(Case):
    def test_it_shows_what_the_node_does(self):
        self.start_traffic()
        looks = []

        def has_traffic():
            """Virtual time makes the page's two seconds so short that nothing may come in them."""
            looks.append(self.browse("--enable-logging=stderr", "--virtual-time-budget=12000",
                                     "--dump-dom"))
            return (re.search(r"<dt>hit ratio</dt><dd>[\d.]+ %</dd>", looks[-1]) and
                    "<td>www.example.com/&amp;lt;b&amp;gt;</td>" in looks[-1])

        brim_node.wait_until(has_traffic, "a picture with traffic in it", 90)
        page = looks[-1]
        self.assertIn("<title>brim</title>", page)
        self.assertRegex(page, r'role="status"[^>]*>version \d')
        self.assertRegex(page, r"<dt>requests/s</dt><dd>[\d.]+</dd>")
        self.assertRegex(page, r"<tr><td>origin</td><td>[\d.]+</td>")
        self.assertRegex(page, r"<tr><td>\*</td><td>[\d.]+</td>")
        self.assertIn("<td>www.example.com/a</td>", page)
        self.assertNotIn("status=404", page)  # nor asks for what is not there, such as an icon
        # What clients send is text, whatever it looks like.
        self.assertIn("<td>www.example.com/&amp;lt;b&amp;gt;</td>", page)
        for canvas in ("traffic", "ratio", "latency"):
            drawn = re.search(rf'<canvas id="{canvas}"[^>]*width="(\d+)"', page)
            self.assertGreater(int(drawn.group(1)), 100)

    def test_screenshots_in_light_dark_and_phone_width(self):
        self.start_traffic()
        for name, scheme, size in (("light", 1, "1280,1100"), ("dark", 0, "1280,1100"),
                                   ("phone", 1, "500,2200")):
            path = Path(SHOTS or self.directory) / f"page-{name}.png"
            self.browse(f"--screenshot={path}", f"--window-size={size}",
                        "--virtual-time-budget=12000",
                        f"--blink-settings=preferredColorScheme={scheme}")
            self.assertGreater(path.stat().st_size, 20000)

    def test_its_form_may_purge_and_pages_of_others_may_not(self):
        own = f"http://127.0.0.1:{self.admin}"
        self.call(self.port, "GET", "/a", Host="www.example.com")
        body = '{"urls": ["http://www.example.com/a"]}'
        answer, text = self.call(self.admin, "POST", "/v1/purge", body, Origin=own)
        self.assertEqual(answer.status, 200, text)
        answer, _ = self.call(self.port, "GET", "/a", Host="www.example.com")
        self.assertIn("uri-miss", answer.getheader("Cache-Status"))
        for other in ("http://evil.example", "null", f"http://127.0.0.1:{self.port}",
                      f"https://127.0.0.1:{self.admin}"):
            answer, _ = self.call(self.admin, "POST", "/v1/purge", body, Origin=other)
            self.assertEqual(answer.status, 403, other)

    def test_it_stands_in_nobodys_frame(self):
        for path, kind in (("/", "text/html"), ("/live.js", "text/javascript"),
                           ("/chart.js", "text/javascript")):
            answer, text = self.call(self.admin, "GET", path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.getheader("Content-Type").startswith(kind))
            self.assertIn("frame-ancestors 'none'", answer.getheader("Content-Security-Policy"))
            self.assertGreater(len(text), 1000)


class Browser:
    """Chromium that is told what to do over two pipes: messages of its debugging protocol."""

    def __init__(self, directory):
        (command, self.to), (self.come, answer) = os.pipe(), os.pipe()
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec chromium --headless --no-sandbox --disable-gpu '
             f'--disable-dev-shm-usage --user-data-dir="{directory}/chromium" '
             f'--remote-debugging-pipe about:blank 3<&{command} 4>&{answer}'],
            pass_fds=(command, answer), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(command)
        os.close(answer)
        self.number, self.rest, self.session = 0, b"", {}

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **self.session}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                came = os.read(self.come, 65536)
                if not came:
                    raise EOFError("chromium has ended")
                self.rest += came
            told, self.rest = self.rest.split(b"\0", 1)
            told = json.loads(told)
            if told.get("id") == self.number:
                return told["result"]

    def open(self, url):
        target = self.ask("Target.createTarget", url=url)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.session = {"sessionId": session}

    def run(self, script):
        return self.ask("Runtime.evaluate", expression=script)["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        os.close(self.to)
        os.close(self.come)


class TestToken(Case):
    def change(self, config):
        token = self.directory / "token"
        token.write_text("correct-horse-battery-staple")
        config["admin"]["token"] = str(token)

    def wait_for(self, browser, script):
        brim_node.wait_until(lambda: browser.run(script), script, 60)

    def test_the_page_asks_for_the_token_and_then_shows_and_purges(self):
        self.call(self.port, "GET", "/a", Host="www.example.com")
        browser = Browser(self.directory)
        self.addCleanup(browser.close)
        browser.open(f"http://127.0.0.1:{self.admin}/")
        self.wait_for(browser, "!document.getElementById('door')?.hidden && "
                               "/asks for its token/.test(at('state').textContent)")
        say = "at('token').value = '{}'; document.querySelector('#knock button').click()"
        browser.run(say.format("wrong-wrong-wrong-wrong"))
        self.wait_for(browser, "/has another token/.test(at('state').textContent)")
        browser.run(say.format("correct-horse-battery-staple"))
        self.wait_for(browser, "at('door').hidden && /^version/.test(at('state').textContent)")
        self.wait_for(browser, "at('now').children.length > 0")
        browser.run("at('what').value = 'http://www.example.com/a';"
                    "document.querySelector('#purge button').click()")
        self.wait_for(browser, "/^purged /.test(at('purged').textContent)")
        answer, _ = self.call(self.port, "GET", "/a", Host="www.example.com")
        self.assertIn("uri-miss", answer.getheader("Cache-Status"))
        self.assertNotIn("correct-horse", browser.run("document.documentElement.outerHTML"))
        self.assertEqual(browser.run("localStorage.length"), 0)


if __name__ == "__main__":
    if shutil.which("chromium") is None:
        print("skipped: Debian's chromium is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v"])
