#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pools - servers that go down and come back, as their health checks see it.

Usage: tests/fault/pools.py BRIM

Every step waits for what the node says of itself (/metrics), never for a time.
"""

import contextlib
import http.client
import re
import socket
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import stillness  # noqa: E402
from brim_node import wait_until  # noqa: E402
from pool_server import PoolServer  # noqa: E402

BRIM = sys.argv.pop(1) if len(sys.argv) > 1 else brim_node.default_binary()
HEALTH = {"path": "/healthz", "interval": "100ms", "timeout": "60s", "rise": 2, "fall": 2}


class Pools(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.node = None

    def servers(self, *names):
        made = [PoolServer(name) for name in names]
        for server in made:
            self.addCleanup(server.stop)
        return made

    def start(self, *origins, site=None):
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, 1)
        config["origins"] = list(origins)
        config["sites"] = [{"hosts": ["*"], "origin": origins[0]["name"], **(site or {})}]
        self.config = config
        self.node = brim_node.Node(self.directory.name, config, BRIM).start()
        self.addCleanup(self.node.stop)

    def reload(self, config):
        self.node.config = config
        self.node.reload()

    def get(self, path="/", method="GET", fields=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=fields or {})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, text, {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def metric(self, name):
        return brim_node.metric(self.admin, name)

    def await_down(self, count, origin="app"):
        name = f'brim_origin_pool_servers_down{{origin="{origin}"}}'
        wait_until(lambda: self.metric(name) == count, f"{name} {count}")

    def await_log(self, pattern):
        """The line is written a moment after what it tells is in force, and counted."""
        wait_until(lambda: re.search(pattern, self.node.log_path.read_text()), pattern)

    def pool(self, servers, name="app", **options):
        return {"name": name, "servers": [{"url": one.url} for one in servers], **options}


class Health(Pools):
    def test_a_server_that_fails_its_checks_is_not_asked_until_it_passes_them(self):
        one, two = self.servers("one", "two")
        self.start(self.pool([one, two], health={**HEALTH, "host": "check.example"},
                             slow_start="0", eject_failures=0, eject_percent=0))
        one.health_status = 500
        self.await_down(1)
        one.asked.clear()
        self.assertEqual({self.get(f"/{i}")[1] for i in range(10)}, {"two"})
        self.assertEqual(one.asked, [])
        self.assertEqual(one.checks[-1]["Host"], "check.example")
        one.health_status, one.health_body = 204, b""
        self.await_down(0)
        self.assertEqual({self.get(f"/{i}")[1] for i in range(10)}, {"one", "two"})
        self.await_log(rf"origin.down origin=app server={one.url} reason=status status=500")
        self.await_log(rf"origin.up origin=app server={one.url} status=204")
        failed = self.metric("brim_origin_pool_check_failures_total")
        self.assertGreaterEqual(failed, 2)
        self.assertGreater(self.metric("brim_origin_pool_checks_total"), failed)
        # Checks are no requests: those of this test, and no others.
        self.assertEqual(self.metric("brim_origin_pool_requests_total"), 20)

    def test_who_comes_back_gets_its_share_little_by_little(self):
        one, two = self.servers("one", "two")
        one.health_status = 503
        self.start(self.pool([one, two], health=HEALTH, slow_start="1h"))
        self.await_down(1)
        one.health_status = 200
        self.await_down(0)
        bodies = [self.get(f"/{i}")[1] for i in range(33)]
        self.assertIn(bodies.count("one"), range(1, 7))  # a tenth of the other's

    def test_the_body_must_hold_what_is_looked_for(self):
        one, two = self.servers("one", "two")
        one.health_body = b"x" * 70000 + b"database: ok"  # beyond what is read
        two.health_body = b"x" * 60000 + b"database: ok"
        self.start(self.pool([one, two], health={**HEALTH, "body": "database: ok"}))
        self.await_down(1)
        self.assertEqual(self.get()[1], "two")
        self.await_log("reason=body")

    def test_a_server_that_does_not_answer_in_time_is_down(self):
        one, two = self.servers("one", "two")
        held = threading.Event()
        self.addCleanup(held.set)
        one.health = lambda: (held.wait(60), (200, {}, b""))[1]
        # The other is not checked: it could be late, too.
        self.start(self.pool([one], fallback="second", health={**HEALTH, "timeout": "200ms"}),
                   self.pool([two], name="second"))
        self.await_down(1)
        self.await_log("reason=timeout")
        self.assertEqual(self.get()[1], "two")

    def test_when_all_are_down_the_answer_comes_at_once(self):
        one, = self.servers("one")
        one.fields = {"Cache-Control": "max-age=0, stale-if-error=600"}
        self.start(self.pool([one], health=HEALTH))
        self.assertEqual(self.get("/kept")[1], "one")
        one.health_status = 500
        self.await_down(1)
        one.asked.clear()
        status, _, fields = self.get("/new")
        self.assertEqual((status, fields["retry-after"]), (503, "1"))
        self.assertIn("destination_unavailable", fields["proxy-status"])
        status, body, fields = self.get("/kept")
        self.assertEqual((status, body), (200, "one"))
        self.assertIn("stale-if-error", fields["cache-status"])
        self.assertEqual(one.asked, [])

    def test_all_down_ask_asks_them_all_the_same(self):
        one, = self.servers("one")
        one.health_status = 500
        self.start(self.pool([one], health={**HEALTH, "all_down": "ask"}))
        self.await_down(1)
        self.assertEqual(self.get()[:2], (200, "one"))

    def test_a_reload_keeps_what_is_known_of_unchanged_servers(self):
        one, two, three = self.servers("one", "two", "three")
        one.health_status = 500
        self.start(self.pool([one, two], health={**HEALTH, "interval": "1h"}))
        # The first check comes within half an hour: what is known is told by a first config.
        config = {**self.config, "origins": [self.pool([one, two], health=HEALTH)]}
        self.reload(config)
        self.await_down(1)
        config["origins"] = [self.pool([three, two, one], health={**HEALTH, "interval": "1h"})]
        self.reload(config)
        self.assertEqual(self.metric("brim_origin_pool_servers_down"), 1)
        self.assertEqual(self.metric("brim_origin_pool_servers"), 3)
        self.assertEqual({self.get(f"/{i}")[1] for i in range(12)}, {"two", "three"})
        config["origins"] = [self.pool([one, two])]  # not checked any more: nobody is down
        self.reload(config)
        self.assertEqual(self.metric("brim_origin_pool_servers_down"), 0)
        self.assertEqual({self.get(f"/{i}")[1] for i in range(12)}, {"one", "two"})

    def test_live_tells_how_many_are_down(self):
        one, two = self.servers("one", "two")
        one.health_status = 500
        self.start(self.pool([one, two], health=HEALTH))
        self.await_down(1)
        live = brim_node.json.loads(brim_node.admin_get(self.admin, "/v1/live")[1])
        self.assertEqual([(o["servers"], o["servers_down"]) for o in live["origins"]], [(2, 1)])

class Failover(Pools):
    def start_pair(self, primary, secondary, **options):
        self.start(self.pool(primary, name="first", fallback="second", **options),
                   self.pool(secondary, name="second"))

    def test_another_pool_stands_in_when_no_server_answers(self):
        one, two = self.servers("one", "two")
        self.start_pair([one], [two], slow_start="0", eject_time="1ms")
        self.assertEqual(self.get()[1], "one")
        one.stop()
        for i in range(30):  # also before the first is ejected, and the POSTs that reach nobody
            self.assertEqual(self.get(f"/{i}")[:2], (200, "two"))
            self.assertEqual(self.get("/", "POST", body=b"x")[:2], (200, "two"))
        self.assertEqual(self.metric("brim_origin_failovers_total"), 60)
        one.start()  # asked again as soon as its time is over: 1 ms, 32 at most
        wait_until(lambda: self.get()[1] == "one", "the first pool is back")

    def test_a_pool_that_is_down_is_not_waited_for(self):
        one, two = self.servers("one", "two")
        one.health_status = 500
        self.start_pair([one], [two], health=HEALTH)
        self.await_down(1, "first")
        self.assertEqual({self.get(f"/{i}")[1] for i in range(10)}, {"two"})
        self.assertEqual(one.asked, [])

    def test_who_comes_back_takes_over_little_by_little(self):
        one, two = self.servers("one", "two")
        one.health_status = 500
        self.start_pair([one], [two], health=HEALTH, slow_start="1h")
        self.await_down(1, "first")
        one.health_status = 200
        self.await_down(0, "first")
        bodies = [self.get(f"/{i}")[1] for i in range(40)]
        self.assertIn(bodies.count("one"), range(2, 9))  # a tenth
        two.stop()  # better somebody in doubt than nobody
        self.assertEqual({self.get(f"/{i}")[1] for i in range(40)}, {"one"})

    def test_an_answer_of_retry_on_is_asked_of_another(self):
        one, two = self.servers("one", "two")
        one.status = 503
        self.start_pair([one], [two], retry_on=[503, "timeout"], eject_failures=0, eject_percent=0)
        self.assertEqual(self.get()[:2], (200, "two"))
        self.assertEqual(self.get("/", "PUT", body=b"body")[:2], (200, "two"))
        self.assertEqual(two.asked[-1][3], b"body")
        self.assertEqual(self.get("/", "POST", body=b"x")[:2], (503, "one"))
        two.status = 503  # nobody else is left: the answer is what it is
        self.assertEqual(self.get()[0], 503)
        self.assertGreaterEqual(self.metric("brim_origin_retries_total"), 3)

    def test_retries_are_bounded_when_all_fail(self):
        names = [f"s{i}" for i in range(5)]
        servers = self.servers(*names)
        for server in servers:
            server.status = 503
        self.start(self.pool(servers, retry_on=[503], eject_failures=0, eject_percent=0))
        begun = time.monotonic()
        for i in range(100):
            self.assertEqual(self.get(f"/{i}")[0], 503)
        halved = int((time.monotonic() - begun) / 10)  # so often was half of the retries forgotten
        asked = sum(len(server.asked) for server in servers)
        self.assertLessEqual(asked, 100 + (10 + 20 + 2) * (1 + halved / 2))
        self.assertGreater(self.metric("brim_origin_retries_refused_total"), 0)

    def test_a_slow_get_is_hedged(self):
        one, two = self.servers("one", "two")
        held = threading.Event()
        self.addCleanup(held.set)

        def slow(_handler):
            held.wait(60)
            return 200, {"Cache-Control": "no-store"}, b"slow"
        one.answer = slow
        self.start(self.pool([one, two], hedge="20ms"))
        for i in range(4):  # in turn: every other begins with the slow one
            self.assertEqual(self.get(f"/{i}")[:2], (200, "two"))
        hedges = self.metric("brim_origin_hedges_total")
        self.assertGreaterEqual(hedges, 2)
        held.set()
        one.answer = two.answer
        self.assertEqual(self.get("/", "POST", body=b"x")[0], 200)

class Connections(Pools):
    def test_what_may_not_be_sent_twice_leaves_no_connection_behind(self):
        one, = self.servers("one")
        self.start(self.pool([one]))
        for i in range(20):
            self.assertEqual(self.get(f"/{i}", "POST", body=b"x")[0], 200)
            self.assertEqual(self.get(f"/{i}")[0], 200)
        wait_until(lambda: self.metric("brim_origin_pool_connections") == 1, "one is kept")
        self.assertEqual(one.all_connections, 21)


class Sticky(Pools):
    def start_sticky(self, servers, **options):
        secret = Path(self.directory.name) / "secret"
        secret.write_text("0123456789abcdef0123")
        self.start(self.pool(servers, sticky={"cookie": "stay", "secret": str(secret),
                                              **options}))

    def test_a_client_stays_with_its_server(self):
        servers = self.servers("one", "two", "three")
        for server in servers:
            server.fields = {}
        self.start_sticky(servers)
        _, body, fields = self.get("/", "POST", body=b"x")
        cookie = fields["set-cookie"].split(";")[0]
        self.assertRegex(fields["set-cookie"],
                         r"^stay=[0-9a-f]{16}\.\d+\.[0-9a-f]{64}; Max-Age=3600; Path=/; HttpOnly")
        self.assertEqual(fields["cache-control"], "private")
        for server in servers:
            self.assertNotIn(str(server.port), cookie)
        for i in range(12):
            _, again, fields = self.get(f"/{i}", "POST", body=b"x",
                                        fields={"Cookie": "a=b; " + cookie})
            self.assertEqual(again, body)
            self.assertNotIn("set-cookie", fields)  # it has it
        # One that is not signed by us, or says another server with this signature, is nothing.
        forged = "stay=" + "0" * 16 + cookie[21:]
        seen = {self.get(f"/{i}", "POST", body=b"x", fields={"Cookie": forged})[1]
                for i in range(9)}
        self.assertEqual(len(seen), 3)
        # Its server is gone: another, and a cookie that says so.
        by_name = {server.name: server for server in servers}
        by_name[body].stop()
        _, other, fields = self.get("/", "POST", body=b"x", fields={"Cookie": cookie})
        self.assertNotEqual(other, body)
        self.assertIn("stay=", fields["set-cookie"])

    def test_what_may_be_kept_for_others_carries_no_cookie(self):
        one, = self.servers("one")
        self.start_sticky([one])
        one.fields = {"Cache-Control": "max-age=60"}
        self.assertNotIn("set-cookie", self.get("/stored")[2])
        self.assertIn("hit", self.get("/stored")[2]["cache-status"])
        self.assertNotIn("set-cookie", self.get("/stored")[2])
        # An answer to POST that stands where GET looks (RFC 9110 9.3.3) is shared, too.
        one.fields = {"Cache-Control": "max-age=60", "Content-Location": "/posted"}
        self.assertNotIn("set-cookie", self.get("/posted", "POST", body=b"x")[2])
        self.assertNotIn("set-cookie", self.get("/posted")[2])
        one.fields = {"Cache-Control": "public"}
        self.assertNotIn("set-cookie", self.get("/", "PUT", body=b"x")[2])
        one.fields = {"Cache-Control": "private"}
        self.assertIn("set-cookie", self.get("/", "PUT", body=b"x")[2])

    def test_a_secret_that_is_too_short_is_refused(self):
        one, = self.servers("one")
        self.start(self.pool([one]))
        short = Path(self.directory.name) / "short"
        short.write_text("short")
        config = {**self.config, "origins": [
            self.pool([one], sticky={"cookie": "stay", "secret": str(short)})]}
        brim_node.write_config(config, self.node.config_path)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        connection.request("POST", "/v1/reload")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 422)
        told = answer.read().decode()
        connection.close()
        self.assertRegex(told, r"brim.yaml:\d+: origins\[0\].sticky.secret: .*short.* signs nothing")
        self.assertEqual(self.get()[1], "one")


class Upload(Pools):
    BYTES, HELD = 16_000_000, 7_000_000

    def test_a_body_that_is_taken_slowly_is_no_silence(self):
        """The time for the first byte of the answer begins when the whole request is sent: to the
        kernel, so that what that may hold is taken at once."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.addCleanup(listener.close)
        threading.Thread(target=self.take_slowly, args=(listener,), daemon=True).start()
        self.start({"name": "app", "first_byte_timeout": "3s", "servers": [
            {"url": "http://127.0.0.1:%d" % listener.getsockname()[1]}]})
        stillness.undisturbed(lambda: self.assertEqual(
            self.get("/", "PUT", body=bytes(self.BYTES))[0], 201))

    def take_slowly(self, listener):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionError):
                self.take_one(connection)

    def take_one(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        left = self.BYTES - len(head.split(b"\r\n\r\n", 1)[1])
        while left > 0:
            part = connection.recv(min(left, 250_000), socket.MSG_WAITALL)
            left -= len(part)
            if left > self.HELD:
                time.sleep(0.1)  # 2.5 MB a second at most: more than the timeout for all of this
            if not part:
                return
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")


class ErrorPage(Pools):
    def page(self, name, text):
        path = Path(self.directory.name) / name
        path.write_text(text)
        return str(path)

    def test_a_site_shows_its_own_page_when_its_origin_has_no_answer(self):
        one, = self.servers("one")
        path = self.page("sorry.html", "<p>back soon</p>")
        self.start(self.pool([one], pool=1, queue=0),
                   self.pool([one], name="slow", first_byte_timeout="200ms"),
                   site={"error_page": path, "routes": [{"path": "/slow", "origin": "slow"}]})
        self.assertEqual(self.get()[:2], (200, "one"))
        held = threading.Event()
        self.addCleanup(held.set)
        one.answer = lambda _: (held.wait(60), (200, {}, b""))[1]
        self.check_page(self.get("/slow"), 504, "<p>back soon</p>")
        held.set()
        one.stop()
        status, body, fields = self.get()
        self.check_page((status, body, fields), 502, "<p>back soon</p>")
        self.assertIn("connection_refused", fields["proxy-status"])
        self.assertEqual(self.get(method="HEAD")[:2], (502, ""))
        only = self.get(fields={"Cache-Control": "only-if-cached"})
        self.assertIn("only-if-cached was asked", only[1])
        Path(path).write_text("<p>still gone</p>")
        self.assertEqual(self.get()[1], "<p>back soon</p>")  # read when the config is
        self.reload(self.config)
        self.assertEqual(self.get()[1], "<p>still gone</p>")

    def check_page(self, answer, status, body):
        self.assertEqual(answer[:2], (status, body))
        fields = answer[2]
        self.assertEqual(fields["content-type"], "text/html; charset=utf-8")
        self.assertEqual(fields["cache-control"], "no-store")
        self.assertEqual(fields["retry-after"], "1")

    def test_an_origins_own_errors_are_its_own(self):
        one, = self.servers("one")
        one.status = 503
        self.start(self.pool([one]), site={"error_page": self.page("sorry.json", "{}")})
        self.assertEqual(self.get()[:2], (503, "one"))

    def test_a_page_that_is_too_large_is_refused(self):
        one, = self.servers("one")
        self.start(self.pool([one]))
        large = {**self.config["sites"][0], "error_page": self.page("x.html", "x" * 1048577)}
        brim_node.write_config({**self.config, "sites": [large]}, self.node.config_path)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        connection.request("POST", "/v1/reload")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 422)
        told = answer.read().decode()
        connection.close()
        self.assertRegex(told, r"brim.yaml:\d+: sites\[0\]\.error_page: site.error_page file=\S+x.html reason=")
        self.assertEqual(self.get()[1], "one")


if __name__ == "__main__":
    unittest.main(verbosity=1)
