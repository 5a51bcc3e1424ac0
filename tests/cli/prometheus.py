#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""prometheus - what monitors a brim: its metrics, the alert rules and the dashboard in deploy/.

Debian's promtool judges the page and the rules, Debian's prometheus scrapes a node whose origin is
stopped. Usage: tests/cli/prometheus.py [BRIM]; ends with 77 where prometheus is missing.
"""

import http.client
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
DEPLOY = brim_node.ROOT / "deploy"
RULES = DEPLOY / "prometheus/brim.rules.yml"


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.is_stopped:  # a connection that was kept open
            self.close_connection = True
            return
        body = b"x" * 5000
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store" if self.path == "/pass" else "max-age=600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def promtool(*arguments, text=None):
    return subprocess.run(["promtool", *arguments], input=text, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=60, check=False)


class TestPrometheus(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brim-prometheus-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        self.origin.is_stopped = False
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()
        self.addCleanup(self.stop_origin)
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, self.origin.server_address[1])
        config["sites"] = [{"hosts": ["a.example", "b.example"], "origin": "origin"},
                           {"hosts": ["*"], "origin": "origin"}]
        self.node = brim_node.Node(self.directory, config, BRIM, supervise=False).start()
        self.addCleanup(self.node.stop)

    def stop_origin(self):
        self.origin.is_stopped = True
        self.origin.shutdown()
        self.origin.server_close()

    def get(self, path, host="a.example"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def page(self):
        return brim_node.admin_get(self.admin, "/metrics")[1]

    def wait_for(self, sample, value):
        """A response is counted when it is over, which its client may know before."""
        brim_node.wait_until(lambda: f"\n{sample} {value}\n" in self.page(), f"{sample} {value}")

    def test_promtool_finds_nothing_to_say_about_the_page(self):
        self.get("/a")
        run = promtool("check", "metrics", text=self.page())
        self.assertEqual((run.returncode, run.stdout), (0, ""))

    def test_requests_are_told_apart_by_site_status_protocol_and_class(self):
        for path, host in (("/a", "a.example"), ("/a", "b.example"), ("/a", "a.example"),
                           ("/none", "else.example"), ("/pass", "a.example")):
            self.get(path, host)
        site = "brim_site_requests_total"
        self.wait_for(site + '{site="a.example",cache="hit",protocol="HTTP/1.1",class="2xx"}', 1)
        self.wait_for(site + '{site="a.example",cache="miss",protocol="HTTP/1.1",class="2xx"}', 2)
        self.wait_for(site + '{site="a.example",cache="pass",protocol="HTTP/1.1",class="2xx"}', 1)
        self.wait_for(site + '{site="*",cache="miss",protocol="HTTP/1.1",class="4xx"}', 1)

    def test_histograms_and_pool_tell_what_happened(self):
        for path in ("/a", "/b", "/c", "/a"):
            self.get(path)
        self.wait_for('brim_request_duration_seconds_count{cache="miss"}', 3)
        self.wait_for('brim_request_duration_seconds_bucket{cache="hit",le="+Inf"}', 1)
        self.wait_for('brim_object_size_bytes_bucket{le="4096"}', 0)
        self.wait_for('brim_object_size_bytes_bucket{le="16384"}', 3)
        self.wait_for("brim_object_size_bytes_sum", 15000)
        self.wait_for('brim_origin_response_duration_seconds_count{origin="origin"}', 3)
        self.wait_for('brim_origin_pool_requests_total{origin="origin"}', 3)
        self.wait_for('brim_origin_pool_connects_total{origin="origin"}', 1)
        self.wait_for('brim_origin_pool_reused_total{origin="origin"}', 2)
        self.wait_for('brim_origin_pool_idle_connections{origin="origin"}', 1)
        self.wait_for('brim_origin_pool_exchanges{origin="origin"}', 0)
        lag = re.search(r"^brim_loop_lag_seconds_count (\d+)$", self.page(), re.M)
        self.assertGreater(int(lag.group(1)), 0)

    def test_cpu_is_a_fraction(self):
        ratio = float(re.search(r"^brim_cpu_utilisation_ratio (\S+)$", self.page(), re.M).group(1))
        self.assertTrue(0 <= ratio <= 1, ratio)
        self.assertIn("\nprocess_resident_memory_bytes ", self.page())

    def names(self):
        return set(re.findall(r"^# TYPE (\S+)", self.page(), re.M))

    def assert_named(self, expressions, where):
        known = self.names()
        for name in set(re.findall(r"\b(?:brim|process)_\w+", expressions)):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            self.assertTrue(name in known or base in known, f"{where} names {name}")

    def test_rules_are_right_and_name_what_there_is(self):
        for arguments in (("check", "rules", str(RULES)),
                          ("check", "config", str(DEPLOY / "prometheus/prometheus.yml")),
                          ("test", "rules", str(DEPLOY / "prometheus/brim.rules_test.yml"))):
            run = promtool(*arguments)
            self.assertEqual(run.returncode, 0, run.stdout)
        self.assert_named(RULES.read_text(), RULES)

    def test_dashboard_names_what_there_is(self):
        path = DEPLOY / "grafana/brim.json"
        board = json.loads(path.read_text())
        expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        self.assertGreater(len(expressions), 20)
        self.assert_named("\n".join(expressions), path)
        rules = "".join(f"      - {{record: 'x:{i}', expr: {json.dumps(each)}}}\n" for i, each in
                        enumerate(e.replace("$__rate_interval", "5m") for e in expressions))
        quick = self.directory / "board.yml"
        quick.write_text("groups:\n  - name: board\n    rules:\n" + rules)
        run = promtool("check", "rules", str(quick))
        self.assertEqual(run.returncode, 0, run.stdout)

    def start_prometheus(self):
        """Short intervals in a copy of the rules."""
        rules = re.sub(r"^(\s+for:) .*$", r"\1 1s", RULES.read_text(), flags=re.M)
        rules = re.sub(r"\[\d+m\]", "[5s]", rules)
        (self.directory / "rules.yml").write_text(rules)
        config = self.directory / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "brim", "static_configs":
                                [{"targets": [f"127.0.0.1:{self.admin}"]}]}]}))
        port = brim_node.free_port()
        with open(self.directory / "prometheus.log", "wb") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
                 f"--storage.tsdb.path={self.directory}/data"], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return port

    @staticmethod
    def ask(port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return json.load(response)["data"]
        except (OSError, urllib.error.URLError, ValueError):
            return {}

    def test_a_stopped_origin_raises_the_alert(self):
        port = self.start_prometheus()

        def is_scraped():
            targets = self.ask(port, "/api/v1/targets").get("activeTargets", [])
            return [target["health"] for target in targets] == ["up"]

        def alerts():
            return {alert["labels"]["alertname"]
                    for alert in self.ask(port, "/api/v1/alerts").get("alerts", [])
                    if alert["state"] == "firing"}

        brim_node.wait_until(is_scraped, "the node is scraped", 60)
        self.assertEqual(self.get("/pass"), 200)
        wanted = {"BrimOriginFailing", "BrimErrors"}
        self.assertEqual(alerts() & wanted, set())  # on a slow machine there may be others
        self.stop_origin()

        def is_raised():
            self.get("/pass")
            return wanted <= alerts()

        brim_node.wait_until(is_raised, "the alerts fire", 90)


if __name__ == "__main__":
    if shutil.which("promtool") is None or shutil.which("prometheus") is None:
        print("skipped: Debian's prometheus is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v"])
