#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""names - servers that are names: what DNS says is followed within the record's TTL, and a name server
that is slow, dead or wrong takes nothing away that was there.

Usage: tests/fault/names.py BRIM

A name server of this test's own (UDP, on the loopback), and an origin on two addresses of it. Where
there is IPv6, two name servers, one of each family.
"""

import http.client
import socket
import struct
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2
TTL_S = 1
PATIENCE_S = 120  # of whoever waits here: the resolver gives up after 15


class NameServer(threading.Thread):
    """records: {name: (ttl, addresses)}; held: {name: an event that the answer waits for};
    half_mute: names of which it says nothing about IPv6; is_dead: no answer at all."""

    def __init__(self, host="127.0.0.1"):
        super().__init__(daemon=True)
        is_ipv6 = ":" in host
        self.socket = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET,
                                    socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        port = self.socket.getsockname()[1]
        self.address = f"[{host}]:{port}" if is_ipv6 else f"{host}:{port}"
        self.records, self.held, self.asked, self.half_mute = {}, {}, {}, set()
        self.is_dead, self.code = False, 0

    def run(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            threading.Thread(target=self.answer, args=(packet, peer), daemon=True).start()

    @staticmethod
    def question(packet):
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        return ".".join(labels).lower(), struct.unpack("!H", packet[at + 1:at + 3])[0], at + 5

    def answer(self, packet, peer):
        name, kind, end = self.question(packet)
        self.asked[name] = self.asked.get(name, 0) + 1
        if name in self.held:
            self.held[name].wait(PATIENCE_S)
        if self.is_dead or (kind == AAAA and name in self.half_mute):
            return
        ttl, addresses = self.records.get(name, (0, []))
        family = socket.AF_INET6 if kind == AAAA else socket.AF_INET
        answers = [socket.inet_pton(family, text) for text in addresses
                   if (":" in text) == (kind == AAAA) and kind in (A, AAAA)]
        code = self.code or (0 if name in self.records else NXDOMAIN)
        if code:
            answers = []
        head = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
                        for data in answers)
        self.socket.sendto(head + packet[12:end] + body, peer)


class Origin(http_origin.Handler):
    """Says at which address it was asked."""

    def do_GET(self):
        self.answer(self.connection.getsockname()[0].encode(), "no-store")


class Client:
    def __init__(self, port):
        self.port = port

    def ask(self, host):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def until(self, host, wanted, what):
        brim_node.wait_until(lambda: self.ask(host) == wanted, f"{what}: {host} gives {wanted}",
                             PATIENCE_S)


def follows(node, names, client):
    """A change is followed, also by connections that are open and in use without a pause."""
    assert client.ask("app") == (200, "127.0.0.1")
    names.records["app.test"] = (TTL_S, ["127.0.0.2"])
    client.until("app", (200, "127.0.0.2"), "a change")
    for _ in range(20):
        assert client.ask("app") == (200, "127.0.0.2")
    # One more of both: nobody is left, no connection given up.
    changes = brim_node.metric(node.admin_port, "brim_dns_changes_total")
    names.records["app.test"] = (TTL_S, ["127.0.0.2", "127.0.0.1"])
    asked = names.asked["app.test"]
    brim_node.wait_until(lambda: names.asked["app.test"] >= asked + 4, "looked up again",
                         PATIENCE_S)
    assert client.ask("app")[0] == 200
    assert brim_node.metric(node.admin_port, "brim_dns_changes_total") == changes
    names.records["app.test"] = (TTL_S, ["127.0.0.2"])


def outlives_a_dead_server(node, names, client):
    """Also one that says there is no such name, or that it is out of order."""
    def failed():
        return brim_node.metric(node.admin_port, 'brim_dns_lookups_total{result="failed"}')

    for how, code, is_dead in (("says SERVFAIL", SERVFAIL, False), ("says NXDOMAIN", NXDOMAIN, False),
                               ("is dead", 0, True)):
        names.code, names.is_dead = code, is_dead
        before = failed()
        brim_node.wait_until(lambda before=before: failed() > before, f"it {how}", PATIENCE_S)
        assert client.ask("app") == (200, "127.0.0.2"), how
    log = node.log_path.read_text()
    assert 'dns.failed name=app.test' in log and 'going_on="with the last addresses"' in log, log
    names.code, names.is_dead = 0, False
    names.records["app.test"] = (TTL_S, ["127.0.0.1"])
    client.until("app", (200, "127.0.0.1"), "it is back")


def nothing_waits_for_a_slow_server(names, client):
    """One name is not answered until that is said: its first request waits, nobody else."""
    answers, first, later = [], threading.Event(), threading.Event()
    names.held["slow.test"] = first
    asker = threading.Thread(target=lambda: answers.append(client.ask("slow")))
    asker.start()
    brim_node.wait_until(lambda: names.asked.get("slow.test"), "the slow name is looked up",
                         PATIENCE_S)
    for _ in range(6):
        assert client.ask("app") == (200, "127.0.0.1")
        assert client.ask("fixed") == (200, "127.0.0.1")
    assert client.ask("other") == (200, "127.0.0.1")  # a name that was not known yet
    assert asker.is_alive() and not answers
    first.set()
    asker.join()
    assert answers == [(200, "127.0.0.1")], answers
    # Its next look-ups are behind: its own requests do not wait for them.
    names.held["slow.test"] = later
    asked = names.asked["slow.test"]
    brim_node.wait_until(lambda: names.asked["slow.test"] > asked, "looked up again",
                         PATIENCE_S)
    for _ in range(5):
        assert client.ask("slow") == (200, "127.0.0.1")
    later.set()


def uses_both_families(names, client, has_ipv6):
    """IPv6 is named first; where nobody listens there, IPv4 is used."""
    if has_ipv6:
        names.records["both.test"] = (TTL_S, ["127.0.0.1", "::1"])
        assert client.ask("both") == (200, "::1")
    names.records["half.test"] = (TTL_S, ["127.0.0.1", "::2"])
    assert client.ask("half") == (200, "127.0.0.1")


def waits_for_no_second_family(names, client):
    """Some name servers, and some boxes before them, take no notice of questions for IPv6: who has an
    address does not wait for another as long as the resolver would (10 s; connect_timeout is 8 s)."""
    names.half_mute.add("mute.test")
    names.records["mute.test"] = (TTL_S, ["127.0.0.1"])
    assert client.ask("mute") == (200, "127.0.0.1")


def says_what_is_wrong(client):
    """A name that nobody knows is no name: an answer, not a wait."""
    status, body = client.ask("none")
    assert status == 502, (status, body)
    assert client.ask("local") == (200, "127.0.0.1")  # localhost, of no name server


def asks_both_families(directory, port):
    """Of two name servers the first is out of order: the second is asked, whichever is which."""
    for hosts in (("127.0.0.1", "::1"), ("::1", "127.0.0.1")):
        first, second = servers = [NameServer(host) for host in hosts]
        first.code = SERVFAIL
        second.records["app.test"] = (TTL_S, ["127.0.0.2"])
        for server in servers:
            server.start()
        config = configure(servers, port)
        node = brim_node.Node(directory, config, sys.argv[1], supervise=False)
        with node.running():
            client = Client(int(config["listeners"][0]["address"].rsplit(":", 1)[1]))
            assert client.ask("app") == (200, "127.0.0.2"), hosts
        assert first.asked["app.test"] and second.asked["app.test"], hosts


def configure(servers, port):
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), port)
    config["dns"] = {"nameservers": [server.address for server in servers], "ttl_min": "500ms"}
    hosts = {name: f"{name}.test" for name in ("app", "slow", "other", "both", "half", "mute",
                                             "none")}
    hosts.update(fixed="127.0.0.1", local="localhost")
    config["origins"] = [{"name": name, "servers": [{"url": f"http://{host}:{port}"}],
                          "retry_on": [], "connect_timeout": "8s" if name == "mute" else "60s"}
                         for name, host in hosts.items()]
    config["sites"] = [{"hosts": [name], "origin": name} for name in hosts]
    return config


def main():
    names = NameServer()
    port = http_origin.start(Origin).server_port
    http_origin.start(Origin, "127.0.0.2", port)
    try:
        http_origin.start(Origin, "::1", port)
        has_ipv6 = True
    except OSError:
        has_ipv6 = False
    for name in ("app", "slow", "other"):
        names.records[f"{name}.test"] = (TTL_S, ["127.0.0.1"])
    names.start()
    with tempfile.TemporaryDirectory(prefix="brim-names-") as directory:
        config = configure([names], port)
        node = brim_node.Node(directory, config, sys.argv[1], supervise=False)
        client = Client(int(config["listeners"][0]["address"].rsplit(":", 1)[1]))
        with node.running():
            follows(node, names, client)
            outlives_a_dead_server(node, names, client)
            nothing_waits_for_a_slow_server(names, client)
            uses_both_families(names, client, has_ipv6)
            waits_for_no_second_family(names, client)
            says_what_is_wrong(client)
        if has_ipv6:
            asks_both_families(directory, port)
    print(f"names: followed, kept without a name server, nobody waited; "
          f"{sum(names.asked.values())} questions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
