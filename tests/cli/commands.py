#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""commands - what the subcommands of brim print and how they exit: the interface of scripts.

Usage: tests/cli/commands.py [BRIM]
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
COMMANDS = ("serve", "check", "purge", "explain", "warm", "reload", "upgrade", "key", "sign", "stats", "top", "version")


def brim(*arguments, stdout=subprocess.PIPE, input="", **environment):
    env = {k: v for k, v in os.environ.items() if k != "BRIM_ADMIN"}
    return subprocess.run([BRIM, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                          env={**env, **environment}, input=input, timeout=60, check=False)


class Case(unittest.TestCase):
    def assert_run(self, run, status, stdout="", stderr=""):
        """The exit status, and a text that each stream has in it; "" means: nothing at all."""
        self.assertEqual(run.returncode, status, run)
        for text, expected in ((run.stdout, stdout), (run.stderr, stderr)):
            if expected:
                self.assertIn(expected, text)
            else:
                self.assertEqual(text or "", "")


class TestUsage(Case):
    def test_help_goes_to_stdout_and_says_the_exit_status(self):
        for arguments in ((), ("-h",), ("--help",), ("help",)):
            run = brim(*arguments)
            text = run.stdout if arguments else run.stderr
            self.assertEqual(run.returncode, 0 if arguments else 2)
            for command in COMMANDS:
                self.assertIn(f"\n  {command} ", text)
        for command in COMMANDS:
            for arguments in ((command, "--help"), ("help", command)):
                run = brim(*arguments)
                self.assert_run(run, 0, f"usage: brim {command}")
                self.assertIn("exit status: 0 ", run.stdout)

    def test_version_is_one_line(self):
        for arguments in (("version",), ("--version",)):
            run = brim(*arguments)
            self.assert_run(run, 0, "brim ")
            self.assertRegex(run.stdout, r"\Abrim \d+\.\d+\.\d+\n\Z")

    def test_unknown_command_suggests_the_nearest_if_one_is_near(self):
        self.assert_run(brim("purg"), 2, "", 'no command "purg"; did you mean "purge"?')
        self.assert_run(brim("serv"), 2, "", 'did you mean "serve"?')
        self.assert_run(brim("help", "chek"), 2, "", 'did you mean "check"?')
        run = brim("frobnicate")
        self.assert_run(run, 2, "", 'no command "frobnicate"; see brim --help')

    def test_wrong_options_are_usage_errors_that_name_the_command(self):
        for command in COMMANDS:
            run = brim(command, "--frobnicate")
            self.assert_run(run, 2, "", f"brim {command}: unrecognized option '--frobnicate'")
            self.assertIn(f"see brim {command} --help", run.stderr)
        for arguments in (("serve",), ("check",), ("serve", "-c", "x", "y"), ("purge",),
                          ("stats", "x"), ("version", "x"), ("check", "-c"), ("top", "--interval", "0")):
            self.assertIn(f"brim {arguments[0]}: ", brim(*arguments).stderr)
            self.assert_run(brim(*arguments), 2, "", f"see brim {arguments[0]} --help")

    def test_output_that_does_not_arrive_is_a_failure(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            self.assert_run(brim("check", "--reference", stdout=full), 1, "", "could not write all of it to stdout")


class TestCheck(Case):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brim-commands-")
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "brim.yaml"

    def check(self, text):
        self.path.write_text(text)
        return brim("check", "-c", str(self.path))

    def test_usable_config_is_ok(self):
        for option in ("-c", "--config"):
            brim_node.write_config(brim_node.make_config(80, 9900, 81), self.path)
            run = brim("check", option, str(self.path))
            self.assert_run(run, 0, f"{self.path}: ok\n")

    def test_reference_is_a_usable_config(self):
        run = brim("check", "--reference")
        self.assert_run(run, 0, "listeners:")
        self.assertEqual(run.stdout, (brim_node.ROOT / "conf/reference.yaml").read_text())

    def test_every_fault_is_a_line_with_file_and_line(self):
        run = self.check("nodes: 1\nlog: {level: loud}\n")
        self.assert_run(run, 2, "", f"{self.path}:1: nodes: ")
        self.assertIn(f"{self.path}:2: log.level: ", run.stderr)

    def test_certificates_are_opened(self):
        config = brim_node.make_config(80, 9900, 81)
        config["listeners"][0]["tls"] = {
            "certificates": [{"certificate": str(self.path), "key": str(self.path)}],
            "tickets": str(self.path)}
        run = self.check(json.dumps(config))
        self.assert_run(run, 2, "", "listeners[0].tls.certificates[0].certificate: ")
        self.assertIn("listeners[0].tls.tickets: ", run.stderr)

    def test_a_file_of_cas_that_no_origin_could_be_checked_against_is_told(self):
        config = brim_node.make_config(80, 9900, 81)
        config["origins"][0]["tls"] = {"ca": str(self.path)}
        run = self.check(json.dumps(config))
        self.assert_run(run, 2, "", f'origins[0].tls.ca: "{self.path}" holds no usable certificate')

    def test_a_secret_that_is_too_short_is_told_by_its_own_line(self):
        secret = self.path.with_name("secret")
        secret.write_text("short\n")
        text = (f"listeners: [{{address: ':80'}}]\norigins:\n- name: a\n  servers: [{{url: 'http://a'}}]\n"
                f"- name: b\n  servers: [{{url: 'http://b'}}]\n  sticky:\n    cookie: c\n    secret: {secret}\n"
                f"sites:\n- hosts: a.example\n  origin: a\n  read_your_writes:\n    for: 5s\n    secret: {secret}\n")
        run = self.check(text)
        wrong = f'"{secret}" signs nothing; accepted: a file with 16 bytes or more that nobody else knows\n'
        self.assert_run(run, 2, "", f"{self.path}:9: origins[1].sticky.secret: {wrong}")
        self.assertIn(f"{self.path}:15: sites[0].read_your_writes.secret: {wrong}", run.stderr)
        self.assertEqual(run.stderr.count("\n"), 2, run.stderr)
        run = self.check(f"node: {{tier_secret: {secret}}}\n" + text[:text.index("- name: b")] + text[text.index("sites"):].replace("5s", "0"))
        self.assert_run(run, 2, "", f"{self.path}:1: node.tier_secret: {wrong}")

    def test_what_is_wrong_inside_of_a_named_file_is_told_by_the_line_that_names_it(self):
        users = self.path.with_name("users")
        users.write_text("hello world\n")
        text = (f"listeners: [{{address: ':80'}}]\norigins:\n- {{name: a, servers: [{{url: 'http://a'}}]}}\n"
                f"sites:\n- hosts: a.example\n  origin: a\n  routes:\n"
                f"  - {{path: /a/}}\n  - {{path: /b/, basic_auth: {{file: {users}}}}}\n")
        self.assert_run(self.check(text), 2, "",
                        f"{self.path}:9: sites[0].routes[1].basic_auth.file: basic_auth.file file={users} line=1 reason=")
        run = self.check(text.replace("basic_auth", "handlers"))
        self.assert_run(run, 2, "", f"{self.path}:9: sites[0].routes[1].handlers.file: script.invalid ")
        self.assertIn(f"{users}:1: ", run.stderr)
        run = self.check(f"node: {{geo: {users}}}\n" + text.replace("/b/, ", "/b/} #"))
        self.assert_run(run, 2, "", f"{self.path}:1: node.geo: geo.failed ")

    def test_what_is_wrong_inside_of_named_files_is_told_all_at_once_each_by_the_options_own_line(self):
        junk, large = self.path.with_name("junk"), self.path.with_name("large")
        junk.write_text("not:usable\n")
        large.write_bytes(b"x" * (1 << 20) + b"x")
        good = self.path.with_name("good.lua")
        good.write_text("return {}\n")
        self.path.write_text(f"""node:
  geo: {junk}
listeners: [{{address: ':80'}}]
origins: [{{name: a, servers: [{{url: 'http://a'}}]}}]
sites:
- hosts: a.example
  origin: a
  error_page: {large}
  jwt:
    alg: RS256
    key: {junk}
  basic_auth:
    realm: a
    file: {junk}
  signed_url:
    key: {junk}
  handlers:
    on_error: fail
    file: {junk}
  routes:
  - path: /a/
    basic_auth:
      realm: b
  - path: /b/
    handlers:
      file: {good}
      test: {junk}
""")
        wanted = ["2: node.geo: ", "8: sites[0].error_page: ", "11: sites[0].jwt.key: ",
                  "14: sites[0].basic_auth.file: ", "16: sites[0].signed_url.key: ",
                  "19: sites[0].handlers.file: ", "23: sites[0].routes[0].basic_auth.file: ",
                  "27: sites[0].routes[1].handlers.test: "]
        run = brim("check", "-c", str(self.path))
        self.assertEqual((run.returncode, run.stdout), (2, ""), run)
        for place in wanted:
            self.assertIn(f"{self.path}:{place}", run.stderr)
        self.assertEqual(run.stderr.count("\n"), len(wanted), run.stderr)

    def test_a_start_tells_what_a_check_tells(self):
        """Not everybody runs it before: the same place, and the status of a config not usable."""
        junk = self.path.with_name("junk")
        junk.write_text("not usable\n")
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 81)
        for change, place in (({"node": {"geo": str(junk)}}, "node.geo"),
                              ({"sites": [{**config["sites"][0], "handlers": {"file": str(junk)}}]},
                               "sites[0].handlers.file"),
                              ({"origins": [{**config["origins"][0], "tls": {"ca": str(junk)}}]},
                               "origins[0].tls.ca")):
            self.path.write_text(json.dumps({**config, **change}))
            for command in (["check"], ["serve", "--no-supervise"], ["serve"]):
                with self.subTest(place=place, command=command):
                    run = brim(*command, "-c", str(self.path))
                    self.assert_run(run, 2, "", f"{self.path}:1: {place}: ")

    def test_a_place_that_cannot_be_used_is_no_fault_of_the_config_and_told_with_what_to_do(self):
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 81)
        for section, event in (("cache", "disk.open"), ("kv", "kv.table"),
                               ("access_log", "access_log.open_failed")):
            # /proc is a directory, as a check wants, and nobody makes anything in it.
            self.path.write_text(json.dumps({**config, section: {"path": "/proc/nothing"}}))
            run = brim("serve", "-c", str(self.path))
            self.assert_run(run, 1, "", f" error {event} path=/proc/nothing ")
            self.assertIn(' do="', run.stderr)

    def test_a_port_that_somebody_has_is_no_fault_of_the_config_and_told_with_its_line(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.path.write_text(json.dumps(brim_node.make_config(port, brim_node.free_port(), 81)))
            self.assertEqual(brim("check", "-c", str(self.path)).returncode, 0)
            for mode in ((), ("--no-supervise",)):
                run = brim("serve", "-c", str(self.path), *mode)
                self.assert_run(run, 1, "", f"{self.path}:1: listeners[0].address: cannot listen on ")

    def test_an_admin_listener_open_to_other_hosts_is_warned_of(self):
        token = self.path.with_name("token")
        token.write_text("t" * 32 + "\n")
        config = brim_node.make_config(80, 9900, 81)
        for address, is_open in (("0.0.0.0:9900", True), (":9900", True), ("[::]:9900", True),
                                 ("192.0.2.1:9900", True), ("127.0.0.1:9900", False),
                                 ("[::1]:9900", False), ("unix:/run/brim/admin", False)):
            config["admin"] = {"address": address, "token": str(token)}
            warning = f"{self.path}: warning: admin.address: \"{address}\" is open to other hosts"
            self.assert_run(self.check(json.dumps(config)), 0, f"{self.path}: ok\n",
                            warning if is_open else "")

    def test_standard_input_is_checked_and_not_served(self):
        config = json.dumps(brim_node.make_config(80, 9900, 81))
        self.assert_run(brim("check", "-c", "-", input=config), 0, "-: ok\n")
        self.assert_run(brim("check", "-c", "-", input="nodes: 1\n"), 2, "", "-:1: nodes: ")
        self.assert_run(brim("serve", "-c", "-", input=config), 2, "", "name a file")

    def test_missing_file_is_told(self):
        for command in ("check", "serve", "stats"):
            run = brim(command, "-c", "/nonexistent/brim.yaml")
            self.assert_run(run, 2, "", "/nonexistent/brim.yaml")


class TestTools(Case):
    """purge and stats against a running node."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="brim-commands-")
        cls.port, cls.admin_port = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(cls.port, cls.admin_port, brim_node.free_port())
        cls.node = brim_node.Node(cls.temporary.name, config, BRIM, supervise=False).start()
        cls.admin = f"127.0.0.1:{cls.admin_port}"

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()
        cls.temporary.cleanup()

    def test_node_is_found_by_option_config_and_environment(self):
        config = str(self.node.config_path)
        for arguments, environment in ((("--admin", self.admin), {}),
                                       (("--admin", f":{self.admin_port}"), {}),
                                       (("--admin", f"localhost:{self.admin_port}"), {}),
                                       (("-c", config), {}),
                                       (("--config", config), {"BRIM_ADMIN": "127.0.0.1:1"}),
                                       ((), {"BRIM_ADMIN": self.admin})):
            run = brim("stats", *arguments, **environment)
            self.assert_run(run, 0, 'brim_requests_total{cache="hit"}')

    def test_stats_as_json_are_what_the_node_says(self):
        run = brim("stats", "--json", "--admin", self.admin)
        self.assert_run(run, 0, "{")
        stats = json.loads(run.stdout)
        self.assertEqual(f"brim {stats['version']}\n", brim("version").stdout)
        self.assertIn("brim_purges_total", stats["metrics"])

    def test_purge_says_what_it_did(self):
        before = brim_node.metric(self.admin_port, "brim_purges_total")
        run = brim("purge", "--admin", self.admin, "http://a/1")
        self.assert_run(run, 0, "purged 1 URL (hard)\n")
        run = brim("purge", "--soft", "--admin", self.admin, "http://a/1", "http://a/2")
        self.assert_run(run, 0, "purged 2 URLs (soft)\n")
        urls = [f"http://a/{number}" for number in range(2500)]
        run = brim("purge", "--admin", self.admin, *urls)
        self.assert_run(run, 0, "purged 2500 URLs (hard)\n")
        self.assertEqual(brim_node.metric(self.admin_port, "brim_purges_total"), before + 2503)

    def test_purge_of_what_is_no_url_fails_and_says_which(self):
        run = brim("purge", "--admin", self.admin, "http://a/1", "/2")
        self.assert_run(run, 1, "", "URL number 2 is not an absolute http")
        run = brim("purge", "--admin", self.admin, "--tag", "a b")
        self.assert_run(run, 1, "", "tag number 1 is not one tag")
        self.assert_run(brim("purge"), 2, "", "nothing is named; accepted: URL, --prefix")
        urls = [f"http://a/{number}" for number in range(1000)]
        run = brim("purge", "--admin", self.admin, *urls, "a/1000")
        self.assert_run(run, 1, "", "only the first 1000 of 1001 URLs were purged")

    def test_without_stores_kv_says_what_to_set(self):
        run = brim("kv", "get", "s", "k", "--admin", self.admin)
        self.assert_run(run, 1, "", "no stores are configured; what to do: set kv.path")
        self.assert_run(brim("kv", "get", "s"), 2, "", "the key is missing")
        self.assert_run(brim("kv", "get", "s", "k", "x"), 2, "", "one word too many")
        self.assert_run(brim("kv", "move"), 2, "", "get, set, del, incr or list")
        self.assert_run(brim("kv", "incr", "s", "k", "x"), 2, "", "no whole number")
        for ttl in ("x", "10 m", "-5", "", "250ms", "3651d", "off"):
            run = brim("kv", "set", "s", "k", "v", "--ttl", ttl)
            self.assert_run(run, 2, "", f'--ttl "{ttl}" is ')

    def test_addresses_that_cannot_be_are_usage_errors(self):
        for address in ("127.0.0.1", "a b:1", "unix:", ":", "127.0.0.1:99999", "x" * 300):
            run = brim("stats", "--admin", address)
            self.assert_run(run, 2, "", "accepted: HOST:PORT, :PORT, unix:/PATH")

    def test_no_node_is_told_and_fails(self):
        nobody = f"127.0.0.1:{brim_node.free_port()}"
        for arguments in (("stats",), ("purge", "http://a/1")):
            run = brim(*arguments, "--admin", nobody)
            self.assert_run(run, 1, "", f"no answer from the node at {nobody}: could not connect")

    def test_stores_are_kept_over_a_restart(self):
        with tempfile.TemporaryDirectory(prefix="brim-commands-") as directory:
            config = brim_node.make_config(brim_node.free_port(), 1, brim_node.free_port())
            config["admin"]["address"] = f"unix:{directory}/admin"
            config["kv"] = {"path": f"{directory}/stores", "size": "4MiB"}
            path = Path(directory) / "brim.yaml"
            brim_node.write_config(config, path)

            def kv(*words):
                return brim("kv", "-c", str(path), *words)

            def with_node(check):
                with subprocess.Popen([BRIM, "serve", "-c", str(path), "--no-supervise"],
                                      stderr=subprocess.DEVNULL) as node:
                    try:
                        brim_node.wait_until(
                            lambda: brim("stats", "-c", str(path)).returncode == 0, "an answer")
                        check(node)
                    finally:
                        node.send_signal(signal.SIGTERM)
                        node.wait(30)

            def fill(node):
                self.assert_run(kv("set", "s", "/old", "/new page"), 0)
                self.assert_run(kv("set", "s", "short", "v", "--ttl", "3600"), 0)
                self.assert_run(kv("incr", "s", "n", "--", "-5"), 0, "-5\n")
                self.assert_run(kv("incr", "s", "n", "7"), 0, "2\n")
                self.assert_run(kv("incr", "s", "/old"), 1, "", "not a whole number")
                self.assert_run(kv("list", "s"), 0, "/old\nn\nshort\n")
                self.assert_run(kv("list", "s", "s"), 0, "short\n")
                self.assert_run(kv("list", "s", "--after", "/old", "--limit", "1"), 0, "n\n")
                self.assert_run(kv("del", "s", "short"), 0)
                self.assert_run(kv("get", "s", "short"), 1, "", "no such key")
                self.assert_run(kv("get", "a/b", "k"), 1, "", "letters, digits")
                self.assert_run(kv("set", "s", "k", "v", "--ttl", "0"), 1, "", "range")
                self.assert_run(kv("set", "s", "long", "v", "--ttl", "10m"), 0)
                self.assert_run(kv("set", "s", "over", "v", "--ttl", "1s"), 0)
                brim_node.wait_until(lambda: kv("get", "s", "over").returncode == 1, "its end")
                self.assert_run(kv("get", "s", "long"), 0, "v\n")
                node.kill()  # what was answered is durable

            def look(_node):
                self.assert_run(kv("get", "s", "/old"), 0, "/new page\n")
                self.assert_run(kv("get", "s", "n"), 0, "2\n")

            with_node(fill)
            with_node(look)

    def test_unix_socket_reaches_a_node(self):
        with tempfile.TemporaryDirectory(prefix="brim-commands-") as directory:
            config = brim_node.make_config(brim_node.free_port(), 1, brim_node.free_port())
            address = f"unix:{directory}/admin"
            config["admin"]["address"] = address
            path = Path(directory) / "brim.yaml"
            brim_node.write_config(config, path)
            with subprocess.Popen([BRIM, "serve", "-c", str(path), "--no-supervise"],
                                  stderr=subprocess.DEVNULL) as node:
                try:
                    brim_node.wait_until(
                        lambda: brim("stats", "--admin", address).returncode == 0, "an answer")
                    run = brim("purge", "-c", str(path), "http://a/1")
                    self.assert_run(run, 0, "purged 1 URL")
                finally:
                    node.send_signal(signal.SIGTERM)
                    self.assertEqual(node.wait(30), 0)


class Admin(http_origin.Handler):
    """Says what a test has it say, to whatever it is asked."""

    status, body, fields = 200, b"", {}

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.body, "no-store", self.status, **self.fields)

    do_POST = do_GET


class TestAnswers(Case):
    """Every command that asks a node, and what is not the answer that it hopes for: an operator or
    a script that is told "done" by mistake goes on as if it were."""

    CALLS = (("stats",), ("stats", "--json"), ("top", "--once"), ("reload",), ("upgrade",),
             ("purge", "http://a/1"), ("purge", "--dry-run", "--all"), ("explain", "http://a/1"),
             ("explain", "--json", "http://a/1"), ("kv", "get", "s", "k"), ("kv", "set", "s", "k", "v"),
             ("kv", "del", "s", "k"), ("kv", "incr", "s", "k"), ("kv", "list", "s"))

    def asked(self, status, body, **fields):
        """(command, its run) for all of them, where this is answered."""
        admin = http_origin.start(type("Told", (Admin,), {"status": status, "fields": fields,
                                                          "body": body.encode()}))
        self.addCleanup(admin.server_close)
        self.addCleanup(admin.shutdown)
        for call in self.CALLS:
            yield call, brim(*call, "--admin", f"127.0.0.1:{admin.server_port}")

    def test_a_refusal_is_told_with_its_reason_and_what_to_do(self):
        body = json.dumps({"error": "the node ends", "advice": "repeat the call"})
        for call, run in self.asked(503, body):
            with self.subTest(call=call):
                self.assert_run(run, 1, "", "not done as asked: the node ends; what to do: repeat the call\n")
                self.assertNotIn("accepted", run.stderr)

    def test_a_call_that_is_wrong_is_told_with_what_is_accepted(self):
        body = json.dumps({"error": "the body is too large", "accepted": "up to 4 MiB"})
        for call, run in self.asked(413, body):
            with self.subTest(call=call):
                self.assert_run(run, 1, "", "refused: the body is too large; accepted: up to 4 MiB\n")

    def test_what_is_no_answer_of_a_node_is_no_success(self):
        """As of a web server that has the port: it says 200 to whatever it is asked, or leads on."""
        for status, body, fields in ((200, "<h1>It works!</h1>", {}), (200, "{}", {}), (200, "", {}),
                                     (200, "[]", {}), (200, '"done"', {}), (204, "", {}),
                                     (302, "", {"Location": "http://127.0.0.1:1/"})):
            for call, run in self.asked(status, body, **fields):
                with self.subTest(status=status, body=body, call=call):
                    self.assert_run(run, 1, "", f"no answer of a brim node ({status})")

    def test_an_error_that_is_no_json_is_told_as_it_is(self):
        for call, run in self.asked(502, "<h1>Bad Gateway</h1>"):
            with self.subTest(call=call):
                self.assert_run(run, 1, "", "answered 502: <h1>Bad Gateway</h1>")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
