#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dictionary - a real browser gets a script in br, and its next version as the difference (RFC 9842).

Usage: tests/fault/dictionary.py BRIM

Chromium, headless, over TLS and HTTP/2: it runs version 1, in the coding that brim has made of it and
that the browser likes best, which brim offers as a dictionary by its config; then version 2. Both say what they computed from all of their text, so a byte that was decoded
wrongly shows; brim's access log says what went over the wire. Skipped where chromium is missing.
"""

import base64
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

SKIPPED = 77
SCRIPT_BYTES_MIN = 200 * 1024
FUNCTIONS = 5000
PATIENCE_S = 120  # the browser files a dictionary behind the page, at its own pace
ACCEPT = "gzip, deflate, br, zstd, dcb, dcz"


class Fault(Exception):
    pass


def script(version):
    """Some 250 KiB; version 2 has another text in one line of 250. It writes the sum of all."""
    lines = []
    for number in range(FUNCTIONS):
        factor = hashlib.sha256(b"%d" % number).hexdigest()[:10]
        if version == 2 and number % 250 == 7:
            factor = hashlib.sha256(b"two %d" % number).hexdigest()[:10]
        lines.append(f"const f{number} = (x) => (x + 0x{factor}) % 1000003;")
    calls = ",".join(f"f{number}" for number in range(FUNCTIONS))
    lines.append(f"document.title = 'v{version} ' + [{calls}].reduce((x, f) => f(x), 1);")
    return "\n".join(lines).encode()


def title(version):
    """What the script computes."""
    value = 1
    for line in script(version).decode().splitlines()[:FUNCTIONS]:
        value = (value + int(line.split("0x")[1].split(")")[0], 16)) % 1000003
    return f"v{version} {value}"


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        version = 2 if "/v2/" in path else 1
        is_script = path.endswith(".js")
        body = script(version) if is_script else (
            f"<!doctype html><title>none</title><script src='app.js?{self.path.partition('?')[2]}'>"
            "</script>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Browser:
    """Chromium behind its debugging pipe: one JSON message after the other, each ended by NUL."""

    def __init__(self, binary, directory):
        to_child, self.output = os.pipe()
        self.input, from_child = os.pipe()
        log = open(directory / "chromium.log", "wb")

        def place():  # where the browser looks for the pipe
            os.dup2(os.dup(to_child), 3)
            os.dup2(os.dup(from_child), 4)

        ends = [to_child, from_child]
        spare = [os.dup(0) for _ in range(8)]  # keeps 3 and 4 of the child free of other things
        self.process = subprocess.Popen(
            [binary, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             f"--user-data-dir={directory}/chromium", "about:blank"],
            stdout=log, stderr=log, close_fds=False, preexec_fn=place,
            env={**os.environ, "HOME": str(directory)})
        for fd in ends + spare:
            os.close(fd)
        self.buffer = b""
        self.number = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                got = os.read(self.input, 65536)
                if not got:
                    raise Fault("chromium ended")
                self.buffer += got
            text, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Fault(f"chromium: {method}: {answer['error']}")
                return answer["result"]

    def open(self, url, expected):
        """Loads a page and waits for the title that its script makes."""
        self.call("Page.navigate", self.session, url=url)

        def is_shown():
            result = self.call("Runtime.evaluate", self.session, expression="document.title",
                               returnByValue=True)
            return result["result"].get("value") == expected

        brim_node.wait_until(is_shown, f"{url} shows {expected}", 30)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.input)
        os.close(self.output)


def curl(url, *options):
    done = subprocess.run(["curl", "-ks", "--noproxy", "*", "-o", "/dev/null", *options, "-w",
                           "%header{content-encoding} %{size_download}", url],
                          capture_output=True, text=True, check=True)
    return done.stdout.split(" ")


def fetch_ahead(url, coding, *options):
    """Asks until brim has made the coding; bytes on the wire."""
    said = []

    def is_made():
        said[:] = curl(url, "-H", f"Accept-Encoding: {ACCEPT}", *options)
        return said[0] == coding

    brim_node.wait_until(is_made, f"{url} comes as {coding}", 30)
    return int(said[1])


def browser_lines(directory, target):
    """What the access log says of the browser's requests for target."""
    lines = [json.loads(line) for line in (directory / "access.log").read_text().splitlines()]
    return [line for line in lines if line["target"] == target and "Chrom" in line["user_agent"]]


def run_coded(directory, browser, base):
    """Version 1 comes in br, and means what it meant."""
    brotli = fetch_ahead(f"{base}/v1/app.js?", "br")
    browser.open(f"{base}/v1/page.html?", title(1))
    brim_node.wait_until(lambda: browser_lines(directory, "/v1/app.js?"), "a line in the access log")
    line = browser_lines(directory, "/v1/app.js?")[-1]
    if line["protocol"] != "HTTP/2" or line["bytes"] != brotli or brotli > len(script(1)) / 2:
        raise Fault(f"plain {len(script(1))}, br {brotli}: {line}")
    print(f"dictionary: chromium ran version 1 from br over HTTP/2 and TLS: {brotli} bytes of body; "
          f"plain {len(script(1))}")


def run_browser(directory, browser, base):
    digest = base64.b64encode(hashlib.sha256(script(1)).digest()).decode()
    attempt, until = 0, time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        attempt += 1
        target = f"/v2/app.js?{attempt}"
        brotli = fetch_ahead(base + target, "br")
        delta = fetch_ahead(base + target, "dcz", "-H", f"Available-Dictionary: :{digest}:")
        browser.open(f"{base}/v2/page.html?{attempt}", title(2))
        brim_node.wait_until(lambda: browser_lines(directory, target), "a line in the access log")
        line = browser_lines(directory, target)[-1]
        if line["reason"] == "dcz":
            if line["protocol"] != "HTTP/2":
                raise Fault(f"not over HTTP/2: {line}")
            return line, brotli, delta
    raise Fault(f"no dcz in {attempt} attempts; the last: {line}")


def check_numbers(line, brotli, delta):
    plain = len(script(2))
    if plain < SCRIPT_BYTES_MIN or delta >= brotli / 10 or line["bytes"] != delta:
        raise Fault(f"plain {plain}, br {brotli}, dcz {delta} bytes: {line}")
    print(f"dictionary: chromium ran version 2 from dcz over HTTP/2 and TLS: {delta} bytes of body; "
          f"br {brotli}, plain {plain}")


def make_certificate(directory):
    """A CA that this browser trusts, and its certificate for localhost: a browser files nothing that
    came over a connection with a faulty one."""
    ca, pem = ["-CA", "ca.pem", "-CAkey", "ca.key"], ["-days", "2", "-nodes", "-newkey", "rsa:2048"]
    database = directory / ".pki/nssdb"
    database.mkdir(parents=True)
    (directory / "leaf.ext").write_text("subjectAltName=DNS:localhost\n")
    for command in (["openssl", "req", "-x509", *pem, "-subj", "/CN=brim test CA", "-keyout",
                     "ca.key", "-out", "ca.pem"],
                    ["openssl", "req", *pem[2:], "-subj", "/CN=localhost", "-keyout", "key.pem",
                     "-out", "leaf.csr"],
                    ["openssl", "x509", "-req", "-in", "leaf.csr", *ca, "-CAcreateserial", "-days",
                     "2", "-extfile", "leaf.ext", "-out", "cert.pem"],
                    ["certutil", "-d", f"sql:{database}", "-N", "--empty-password"],
                    ["certutil", "-d", f"sql:{database}", "-A", "-t", "C,,", "-n", "brim test",
                     "-i", "ca.pem"]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


def run(directory, binary, chromium):
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    port, tls_port, admin_port = (brim_node.free_port() for _ in range(3))
    make_certificate(directory)
    config = brim_node.make_config(port, admin_port, origin.server_address[1], tls_port,
                                   [(str(directory / "cert.pem"), str(directory / "key.pem"))])
    config["access_log"] = {"path": str(directory / "access.log")}
    config["sites"][0]["routes"] = [{
        "path": "*.js", "cache": {"use_as_dictionary": 'match="/*/app.js*", match-dest=("script")'}}]
    node = brim_node.Node(directory, config, binary)
    browser = None
    try:
        node.start()
        browser = Browser(chromium, directory)
        run_coded(directory, browser, f"https://localhost:{tls_port}")
        check_numbers(*run_browser(directory, browser, f"https://localhost:{tls_port}"))
    except (Fault, TimeoutError, RuntimeError, subprocess.CalledProcessError) as fault:
        print(f"dictionary: FAILED: {fault}\n{node.log_tail()}")
        return 1
    finally:
        if browser is not None:
            browser.close()
        node.kill()
        origin.shutdown()
    return 0


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    chromium = shutil.which("chromium")
    if chromium is None or shutil.which("certutil") is None:
        print("dictionary: chromium or certutil (libnss3-tools) is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="brim-dictionary-", ignore_cleanup_errors=True) as name:
        return run(Path(name), binary, chromium)


if __name__ == "__main__":
    sys.exit(main())
