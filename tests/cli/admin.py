#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""admin - who may call a node's admin API, and what it says of itself. Usage: tests/cli/admin.py [BRIM]"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
TOKEN = "correct-horse-battery-staple"
METHODS = ("get", "post")


class Origin(http_origin.Handler):
    def do_GET(self):
        self.answer(b"hello", "max-age=600")


class Case(unittest.TestCase):
    def start(self, token=TOKEN, **admin):
        temporary = tempfile.TemporaryDirectory(prefix="brim-admin-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.token_file = self.directory / "token"
        origin = http_origin.start(Origin)
        self.addCleanup(origin.server_close)
        self.addCleanup(origin.shutdown)
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, origin.server_port)
        config["admin"].update(admin)
        if token:
            self.token_file.write_text(token + "\n")
            config["admin"]["token"] = str(self.token_file)
        self.node = brim_node.Node(self.directory, config, BRIM, supervise=False).start()
        self.addCleanup(self.node.stop)

    def call(self, method, path, body=None, token=TOKEN, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def status(self, *arguments, **named):
        return self.call(*arguments, **named)[0].status

    def lines(self, event):
        return [line.split(" ", 3)[3] for line in self.node.log_path.read_text().splitlines()
                if f" {event} " in line]

    def cli(self, *arguments, **environment):
        env = {k: v for k, v in os.environ.items() if not k.startswith("BRIM_")}
        return subprocess.run([BRIM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env={**env, **environment}, stdin=subprocess.DEVNULL,
                              timeout=60, check=False)


class TestToken(Case):
    def test_every_call_but_probes_page_and_description_needs_it(self):
        self.start()
        description = json.loads(self.call("GET", "/v1/openapi.json", token=None)[1])
        seen = set()
        for path, operations in description["paths"].items():
            for method, operation in operations.items():
                is_open = operation.get("security") == []
                seen.add(is_open)
                body = "{}" if method == "post" else None
                answer, text = self.call(method.upper(), path, body, token=None)
                # Many attempts are told to wait, which is no better for who has no token.
                self.assertEqual(answer.status in (401, 429), not is_open, (path, text))
                if answer.status == 401:
                    self.assertEqual(answer.getheader("WWW-Authenticate"), 'Bearer realm="brim"')
                self.assertEqual(str(answer.status) in operation["responses"], True,
                                 (path, answer.status))
        self.assertEqual(seen, {True, False})

    def test_a_wrong_one_is_refused_and_guessing_is_told_to_wait(self):
        self.start()
        for wrong in (TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "x" * 600):
            self.assertEqual(self.status("GET", "/v1/stats", token=wrong), 401)
        self.assertEqual(self.status("GET", "/v1/nothing", token=None), 401)
        statuses = {self.status("GET", "/stats", token="x" * 20) for _ in range(40)}
        self.assertEqual(statuses, {401, 429})
        self.assertEqual(self.status("GET", "/v1/stats"), 200)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        connection.putrequest("GET", "/stats")
        for value in (TOKEN, "other-0123456789"):
            connection.putheader("Authorization", f"Bearer {value}")
        connection.endheaders()
        self.assertIn(connection.getresponse().status, (401, 429))
        connection.close()

    def test_the_listener_may_be_open_to_others_and_any_host_may_name_it(self):
        port = brim_node.free_port()
        self.start(address=f"127.0.0.1:{port}")
        self.admin = port
        self.node.stop()
        config = json.loads(self.node.config_path.read_text())
        config["admin"]["address"] = f"0.0.0.0:{port}"
        brim_node.write_config(config, self.node.config_path)
        self.node.start()
        self.assertEqual(self.status("GET", "/v1/stats", Host="node.example:9900"), 200)
        self.assertEqual(self.status("GET", "/v1/stats", token=None, Host="node.example"), 401)
        self.assertEqual(self.status("GET", "/v1/stats", Host="a", Origin="http://b"), 403)
        # What brim check warns of, whoever starts a node or reloads it reads too.
        self.assertEqual(self.status("POST", "/v1/reload", Host="node.example"), 200)
        warnings = self.lines("config.risk")
        self.assertEqual(len(warnings), 2, warnings)
        warned = self.cli("check", "-c", str(self.node.config_path)).stderr
        for line in warnings:
            self.assertIn(line.split("text='")[1].rstrip("'"), warned)
        del config["admin"]["token"]
        brim_node.write_config(config, self.node.config_path)
        check = self.cli("check", "-c", str(self.node.config_path))
        self.assertEqual(check.returncode, 2)
        self.assertIn("is open to other hosts", check.stderr)
        self.assertIn("admin.token", check.stderr)

    def test_without_one_names_of_others_are_refused(self):
        self.start(token=None)
        self.assertEqual(self.status("GET", "/v1/stats", token=None), 200)
        self.assertEqual(self.status("GET", "/v1/stats", token=None, Host="node.example"), 403)

    def test_a_reload_brings_a_new_one_and_refuses_an_empty_one(self):
        self.start()
        self.token_file.write_text("")
        answer, text = self.call("POST", "/v1/reload")
        self.assertEqual(answer.status, 422)
        self.assertIn("admin.token", text)
        self.token_file.write_text("another-token-of-enough-letters")
        self.assertEqual(self.status("POST", "/v1/reload"), 200)
        self.assertEqual(self.status("GET", "/v1/stats"), 401)
        self.assertEqual(self.status("GET", "/v1/stats", token="another-token-of-enough-letters"),
                         200)

    def test_commands_send_it(self):
        self.start()
        to = ("--admin", f"127.0.0.1:{self.admin}")
        calls = (("stats",), ("top", "--once"), ("purge", "--all"), ("reload",))
        for arguments in calls:
            run = self.cli(*arguments, *to)
            self.assertEqual(run.returncode, 1, run)
            self.assertIn("--token-file", run.stderr)
            for more in (("--token-file", str(self.token_file), *to),
                         ("-c", str(self.node.config_path))):
                run = self.cli(*arguments, *more)
                self.assertEqual((run.returncode, run.stderr), (0, ""), (arguments, more))
        run = self.cli("stats", *to, BRIM_TOKEN_FILE=str(self.token_file))
        self.assertEqual(run.returncode, 0, run.stderr)
        other = self.directory / "other"
        other.write_text("x" * 20)
        run = self.cli("stats", *to, "--token-file", str(other))
        self.assertEqual(run.returncode, 1, run)
        self.assertIn("the token that was given is not the node's", run.stderr)
        run = self.cli("stats", *to, "--token-file", "/nonexistent")
        self.assertEqual(run.returncode, 2)
        self.assertIn('"/nonexistent" cannot be read', run.stderr)


class TestAudit(Case):
    def assert_logged(self, *wanted):
        lines = self.lines("admin.call")
        self.assertEqual(len(lines), len(wanted), lines)
        for line, call in zip(lines, wanted):
            method, path, status = call.split()
            self.assertRegex(line, rf"^method={method} path={path} peer=127\.0\.0\.1:\d+ "
                                   rf"status={status} ms=\d+$")

    def test_calls_are_logged_and_secrets_are_not(self):
        self.start()
        self.status("POST", "/v1/purge", '{"tags": ["a"]}')
        self.status("POST", "/v1/purge", '{"tags": []}')
        self.status("POST", "/v1/reload", token="wrong-0123456789")
        self.status("POST", "/v1/reload", Origin="http://evil.example")
        self.status("POST", "/v1/kv?x=secret", '{"op": "get", "store": "s", "key": "secret"}')
        self.status("GET", "/v1/stats?x=secret")
        self.status("POST", "/v1/purge", b"x" * (5 << 20))
        self.status("POST", "/v1/explain", '{"url": "http://secret/"}')
        self.status("GET", "/secret")
        self.status("POST", "/v1/kv", '{"store": "s", "key": "secret"}', token="wrong-0123456789")
        self.assert_logged("POST /v1/purge 200", "POST /v1/purge 400", "POST /v1/reload 401",
                           "POST /v1/reload 403", "POST /v1/kv 404", "GET /v1/stats 200",
                           "POST /v1/purge 413", "POST /v1/explain 200", "- - 404",
                           "POST /v1/kv 401")
        log = self.node.log_path.read_text()
        for secret in (TOKEN, "wrong-0123456789", "secret"):
            self.assertNotIn(secret, log)

    def test_what_is_asked_all_day_is_logged_if_it_is_refused(self):
        self.start()
        for path in ("/metrics", "/stats", "/v1/live", "/v1/upgrade"):
            self.status("GET", path)
        for path in ("/healthz", "/readyz", "/", "/v1/openapi.json"):
            self.assertEqual(self.status("GET", path, token=None), 200)
        self.assert_logged()
        self.assertEqual(self.status("GET", "/metrics", token=None), 401)
        self.assertEqual(self.status("GET", "/v1/live", token="wrong-0123456789"), 401)
        self.assert_logged("GET /metrics 401", "GET /v1/live 401")

    def test_no_line_of_what_was_done_is_missing(self):
        self.start()
        for _ in range(50):
            self.assertEqual(self.status("POST", "/v1/purge", '{"tags": ["a"]}'), 200)
        self.assertEqual(len(self.lines("admin.call")), 50)


class TestRate(Case):
    def test_more_calls_than_the_rate_are_told_to_wait_and_probes_are_not(self):
        self.start(rate=2)
        answers = [self.call("GET", "/v1/stats")[0] for _ in range(30)]
        busy = [answer for answer in answers if answer.status == 429]
        self.assertGreater(len(busy), 0)
        self.assertEqual(answers[0].status, 200)
        self.assertEqual({answer.getheader("Retry-After") for answer in busy}, {"1"})
        for path in ("/healthz", "/readyz", "/"):
            self.assertEqual({self.status("GET", path, token=None) for _ in range(30)}, {200})


class TestReload(Case):
    def break_config(self):
        """Two faults, one of which quotes bytes that are no UTF-8."""
        handlers = self.directory / "broken.lua"
        handlers.write_bytes(b'error("caf\xe9 \xe2\x82")\n')
        config = json.loads(self.node.config_path.read_text())
        config["sites"] = [{"hosts": [host], "origin": "origin", "handlers": {"file": str(file)}}
                           for host, file in (("a.example", handlers), ("b.example", handlers))]
        brim_node.write_config(config, self.node.config_path)

    def test_what_a_refused_call_finds_is_in_the_answer_and_in_the_log(self):
        """Whoever wonders next week why the old config is in force reads the log, not the answer."""
        self.start()
        self.break_config()
        answer, text = self.call("POST", "/v1/reload")
        self.assertEqual(answer.status, 422, text)
        faults = json.loads(text)["faults"]
        self.assertEqual(["sites[0]" in faults[0], "sites[1]" in faults[1]], [True, True], faults)
        for fault in faults:
            self.assertIn("caf\ufffd \ufffd\ufffd", fault)
        log = self.node.log_path.read_bytes().decode(errors="surrogateescape")
        told = [line for line in log.splitlines() if " reload.fault " in line]
        self.assertEqual(len(told), len(faults), log)
        for line, fault in zip(told, faults):
            # The same text, with the bytes as they were.
            self.assertIn(fault.split("caf")[0], line)
        errors = json.loads(self.call("GET", "/v1/live")[1])["errors"]
        self.assertTrue(any(" reload.fault " in line for line in errors), errors)
        run = self.cli("reload", "-c", str(self.node.config_path))
        self.assertEqual(run.returncode, 1, run)
        self.assertIn("sites[0]", run.stderr)

    def test_none_of_many_faults_is_missing_in_the_log(self):
        self.start()
        config = json.loads(self.node.config_path.read_text())
        config["sites"] = [{"hosts": [f"h{n}.example"], "origin": "nobody"} for n in range(30)]
        brim_node.write_config(config, self.node.config_path)
        self.assertEqual(self.status("POST", "/v1/reload"), 422)
        self.assertEqual(len(self.lines("reload.fault")), 30)


class TestPurge(Case):
    def get(self, host, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.getheader("Cache-Status")

    def purge(self, **members):
        answer, text = self.call("POST", "/v1/purge", json.dumps(members))
        self.assertEqual(answer.status, 200, text)
        return json.loads(text)

    def wait_for_stored(self, count):
        """Who was the first to read an object may have all of it before the cache has."""
        brim_node.wait_until(lambda: self.purge(all=True, dry_run=True)["objects"] == count,
                             f"{count} stored objects")

    def test_a_dry_run_tells_and_changes_nothing(self):
        self.start()
        for host, path in (("a", "/1"), ("a", "/2"), ("b", "/1")):
            self.get(host, path)
        self.wait_for_stored(3)
        told = self.purge(hosts=["a"], dry_run=True)
        self.assertEqual({name: told[name] for name in ("complete", "looked_at", "objects", "bytes")},
                         {"complete": True, "looked_at": 3, "objects": 2, "bytes": 10})
        self.assertIn({"key": "http://a/2", "kind": "response", "tier": "ram", "status": 200,
                       "bytes": 5}, told["examples"])
        told = self.purge(urls=["http://a/1", "http://a/3"], wildcards=["//b/*"], dry_run=True)
        self.assertEqual(told["objects"], 2)
        for host, path in (("a", "/1"), ("a", "/2"), ("b", "/1")):
            self.assertIn("hit", self.get(host, path))
        self.purge(url="http://a/1")
        # What is gone already does not go again.
        self.assertEqual(self.purge(hosts=["a"], dry_run=True)["objects"], 1)

    def test_a_wildcard_purges_what_is_like_it(self):
        self.start()
        urls = (("a", "/img/x.jpg"), ("a", "/img/sub/y.jpg"), ("a", "/img/x.png"),
                ("b", "/img/x.jpg"))
        for url in urls:
            self.get(*url)
        self.wait_for_stored(4)
        self.assertEqual(self.purge(wildcards=["//A:80/img/*.jpg"], soft=True),
                         {"purged": 1, "kind": "soft"})
        self.assertEqual([self.get(*url).split(";")[1].strip() for url in urls],
                         ["fwd=stale", "fwd=stale", "hit", "hit"])
        self.purge(wildcards=["http://a/img/*.jpg"])
        self.assertEqual([self.get(*url).split(";")[1].strip() for url in urls],
                         ["fwd=uri-miss", "fwd=uri-miss", "hit", "hit"])
        brim_node.wait_until(lambda: "hit" in self.get(*urls[0]), "a hit: stored after it")


class TestExplain(Case):
    def test_wrong_questions_are_refused(self):
        self.start()
        many = {f"x-{i}": "1" for i in range(101)}
        for body in ({}, {"url": "/a"}, {"url": 1}, {"url": "http://a/", "method": "GET"},
                     {"url": "http://a/", "headers": []}, {"url": "http://a/", "headers": many},
                     {"url": "http://a/", "headers": {"a b": "1"}},
                     {"url": "http://a/", "headers": {"a": "1\r\n"}},
                     {"url": "http://a/", "headers": {"a": 1}}):
            self.assertEqual(self.status("POST", "/v1/explain", json.dumps(body)), 400, body)

    def test_what_it_tells_is_described(self):
        self.start()
        self.status("GET", "/v1/stats")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/a", headers={"Host": "a"})
        connection.getresponse().read()
        connection.close()
        told = {}

        def is_stored():
            """Who was the first to read it may have all of it before the cache has."""
            told.update(json.loads(self.call("POST", "/v1/explain", '{"url": "http://a/a"}')[1]))
            return "object" in told

        brim_node.wait_until(is_stored, "the object is told of")
        description = json.loads(self.call("GET", "/v1/openapi.json")[1])
        schema = description["components"]["schemas"]["Explained"]["properties"]
        self.assertEqual(set(told) - set(schema), set())
        for part in ("object", "freshness"):
            self.assertEqual(set(told[part]) - set(schema[part]["properties"]), set())
        self.assertEqual((told["would"], told["tier"], told["purged"]), ("hit", "ram", "no"))


class TestDescription(Case):
    def test_it_lists_the_calls_that_there_are(self):
        self.start()
        answer, text = self.call("GET", "/v1/openapi.json")
        self.assertTrue(answer.getheader("Content-Type").startswith("application/vnd.oai.openapi"))
        description = json.loads(text)
        self.assertTrue(description["openapi"].startswith("3.1."))
        described = {f"{method.upper()} {path}" for path, operations in description["paths"].items()
                     for method in operations}
        told = json.loads(self.call("GET", "/nothing")[1])["accepted"].split(", ")
        self.assertEqual(described, set(told))
        ids = [operation["operationId"] for operations in description["paths"].values()
               for operation in operations.values()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_clients_do_not_reach_it(self):
        self.start()
        self.admin = self.port
        self.assertEqual(self.call("GET", "/v1/openapi.json")[1], "hello")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
