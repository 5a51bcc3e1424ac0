#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""warm - `brim warm` asks a running node for what lists and sitemaps name.

Usage: tests/cli/warm.py [BRIM]
"""

import gzip
import http.server
import os
import pty
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def sitemap(root, entry, urls):
    entries = "".join(f"<{entry}><loc>{url}</loc></{entry}>" for url in urls)
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{SPACE}">{entries}</{root}>'.encode()


def all_of_terminal(ours):
    """What was written to it until nobody had it open; it may come in pieces."""
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:  # how Linux says that it is the end
        pass
    return seen


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages = {}  # path: bytes, beside /page/N
    asked = []
    lock = threading.Lock()

    def do_GET(self):
        with self.lock:
            self.asked.append(self.path)
        body = self.pages.get(self.path)
        if body is None and self.path.startswith("/page/"):
            body = b"x" * 100
        self.send_response(404 if body is None else 200)
        body = body or b"none"
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class TestWarm(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brim-warm-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        self.addCleanup(self.origin.server_close)
        self.addCleanup(self.origin.shutdown)
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()
        Origin.pages, Origin.asked = {}, []
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, self.origin.server_address[1])
        self.node = brim_node.Node(self.directory, config, BRIM, supervise=False).start()
        self.addCleanup(self.node.stop)
        self.connect = ("--connect", f"127.0.0.1:{port}")
        self.list = self.directory / "urls.txt"

    def warm(self, *arguments, **options):
        return subprocess.run([BRIM, "warm", *arguments], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.PIPE, timeout=60, check=False,
                              **{"stdin": subprocess.DEVNULL, **options})

    def assert_warm(self, run, status, line):
        self.assertEqual((run.returncode, run.stdout), (status, line + "\n"), run.stderr)

    def test_list_is_fetched_and_then_hit(self):
        self.list.write_text("# pages\n" + "".join(f"http://a.example/page/{i}\n" for i in range(50)))
        arguments = ("-c", str(self.node.config_path), "-f", str(self.list), "--concurrency", "4")
        self.assert_warm(self.warm(*arguments), 0,
                         "50 URLs: 50 ok (0 hits), 0 failed, 0 not usable, 5000 bytes")
        self.assert_warm(self.warm(*arguments), 0,
                         "50 URLs: 50 ok (50 hits), 0 failed, 0 not usable, 5000 bytes")
        self.assertEqual(sorted(Origin.asked), sorted(f"/page/{i}" for i in range(50)))

    def test_stdin_and_fields(self):
        text = "http://a.example/page/1\n"
        with (self.directory / "in").open("w+") as urls:
            urls.write(text)
            urls.seek(0)
            run = self.warm(*self.connect, "-f", "-", "-H", "Cache-Control: no-store", stdin=urls)
        self.assert_warm(run, 0, "1 URLs: 1 ok (0 hits), 0 failed, 0 not usable, 100 bytes")

    def test_what_fails_is_told_counted_and_the_exit_status(self):
        self.list.write_text("http://a.example/page/1\nhttp://a.example/none\n/page/2\n"
                             "https://a.example/page/3\n")
        run = self.warm("-c", str(self.node.config_path), "-f", str(self.list))
        self.assert_warm(run, 1, "4 URLs: 1 ok (0 hits), 2 failed, 1 not usable, 104 bytes")
        self.assertIn("urls.txt:3: is no absolute http(s) URL", run.stderr)
        self.assertIn("http://a.example/none: status 404", run.stderr)
        self.assertIn("https://a.example/page/3: could not connect", run.stderr)

    def test_node_that_is_not_there_fails_all(self):
        self.list.write_text("http://a.example/page/1\n")
        run = self.warm("--connect", f"127.0.0.1:{brim_node.free_port()}", "-f", str(self.list))
        self.assert_warm(run, 1, "1 URLs: 0 ok (0 hits), 1 failed, 0 not usable, 0 bytes")

    def test_sitemaps_plain_gzip_and_index_from_file_and_node(self):
        one = sitemap("urlset", "url", [f"http://a.example/page/{i}" for i in range(3)])
        two = sitemap("urlset", "url", [f"http://a.example/page/{i}" for i in range(3, 5)])
        Origin.pages = {"/one.xml": one, "/two.xml.gz": gzip.compress(two)}
        index = sitemap("sitemapindex", "sitemap",
                        ["http://a.example/one.xml", "http://a.example/two.xml.gz"])
        Origin.pages["/index.xml"] = index
        (self.directory / "index.xml.gz").write_bytes(gzip.compress(index))
        for number, name in enumerate(("http://a.example/index.xml",
                                       str(self.directory / "index.xml.gz"))):
            run = self.warm(*self.connect, "--sitemap", name)
            self.assert_warm(run, 0, f"5 URLs: 5 ok ({5 * number} hits), 0 failed, 0 not usable, "
                             "500 bytes")

    def test_index_that_names_itself_ends(self):
        Origin.pages = {"/index.xml": sitemap("sitemapindex", "sitemap",
                                              ["http://a.example/index.xml"])}
        run = self.warm(*self.connect, "--sitemap", "http://a.example/index.xml")
        self.assert_warm(run, 1, "1 URLs: 0 ok (0 hits), 0 failed, 1 not usable, 0 bytes")

    def test_sitemap_that_is_none_is_told_and_the_rest_is_done(self):
        Origin.pages = {"/one.xml": b"<html></html>"}
        self.list.write_text("http://a.example/page/1\n")
        run = self.warm(*self.connect, "--sitemap", "http://a.example/one.xml",
                        "--sitemap", "http://a.example/none.xml",
                        "--sitemap", str(self.list),
                        "--sitemap", str(self.directory / "none"), "-f", str(self.list))
        self.assert_warm(run, 1, "1 URLs: 1 ok (0 hits), 0 failed, 0 not usable, 100 bytes")
        for text in ("one.xml: is no sitemap", "none.xml: status 404", f"{self.list}: is not well-formed XML",
                     "none: No such file"):
            self.assertIn(text, run.stderr)

    def test_limit_holds(self):
        self.list.write_text("".join(f"http://a.example/page/{i}\n" for i in range(50)))
        run = self.warm(*self.connect, "-f", str(self.list), "--limit", "10")
        self.assert_warm(run, 1, "10 URLs: 10 ok (0 hits), 0 failed, 0 not usable, 1000 bytes")

    def test_terminal_sees_a_bar(self):
        self.list.write_text("http://a.example/page/1\n")
        ours, theirs = pty.openpty()
        with subprocess.Popen([BRIM, "warm", *self.connect, "-f", str(self.list)], stderr=theirs,
                              stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
            self.assertEqual(process.wait(60), 0)
        os.close(theirs)
        self.assertIn(b"[" + b"#" * 30 + b"] 1/1, 0 failed\r\n", all_of_terminal(ours))
        os.close(ours)

    def test_wrong_usage(self):
        for arguments in ((), ("-f", "x"), self.connect, (*self.connect, "-c", "x", "-f", "x"),
                          (*self.connect, "-f", "x", "--concurrency", "0"),
                          (*self.connect, "-f", "x", "--limit", "x"),
                          (*self.connect, "-f", "x", "-H", "none"),
                          (*self.connect, "-f", "x", "y")):
            run = self.warm(*arguments)
            self.assertEqual((run.returncode, run.stdout), (2, ""), run)
            self.assertIn("see brim warm --help", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
