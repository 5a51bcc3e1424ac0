#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""origin_h2 - an origin of another make over HTTP/2: nginx, over TLS (ALPN), in cleartext by prior
knowledge, and one that is asked for HTTP/2 and speaks HTTP/1.1 alone.

Usage: tests/fault/origin_h2.py BRIM

Methods, bodies, revalidation, ranges and errors come through; the server ends each connection after a
few requests (GOAWAY), is reloaded and drops connections under load, and no client sees it.
Exits 77 where nginx is missing.
"""

import concurrent.futures
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

LARGE = 5_000_000
CLIENTS, REQUESTS = 8, 400

SERVER = """
  server {{
    listen 127.0.0.1:{port} {how};
    ssl_certificate {directory}/origin.pem;
    ssl_certificate_key {directory}/origin.key;
    keepalive_requests 20;
    client_max_body_size 8m;
    root {directory}/files;
    add_header X-Protocol $server_protocol;
    location /echo {{
      client_body_buffer_size 8m;
      proxy_pass http://127.0.0.1:{sink};
      proxy_set_header X-Protocol $server_protocol;
    }}
    location /dropped {{ return 444; }}
    location /error {{ return 500 "its own"; }}
    location /none {{ return 204; }}
  }}
"""

# Behind nginx: says what body it was given.
SINK = """
  server {{
    listen 127.0.0.1:{sink};
    client_max_body_size 8m;
    location / {{ return 200 "$request_method $content_length $http_x_protocol"; }}
  }}
"""

NGINX = """
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  types {{ text/plain txt; }}
  {servers}
}}
"""

# how nginx listens, the scheme, and what protocol both agree on
KINDS = {"tls": ("ssl http2", "https", "HTTP/2.0"), "clear": ("http2", "http", "HTTP/2.0"),
         "old": ("ssl", "https", "HTTP/1.1")}


def prepare(directory):
    """Files, certificate, config. Returns the port of each kind."""
    (directory / "files").mkdir()
    (directory / "files/small.txt").write_text("small\n")
    (directory / "files/large.txt").write_text("0123456789" * (LARGE // 10))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=origin.test",
                    "-addext", "subjectAltName=DNS:origin.test", "-keyout",
                    str(directory / "origin.key"), "-out", str(directory / "origin.pem")],
                   check=True, capture_output=True)
    ports, sink = {kind: brim_node.free_port() for kind in KINDS}, brim_node.free_port()
    servers = "".join(SERVER.format(port=ports[kind], how=how, directory=directory, sink=sink)
                      for kind, (how, _, _) in KINDS.items()) + SINK.format(sink=sink)
    (directory / "nginx.conf").write_text(NGINX.format(directory=directory, servers=servers))
    return ports


def configure(directory, ports):
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
    config["origins"] = [{"name": kind, "http2": True, "pool": CLIENTS, "retry_percent": 100,
                          "servers": [{"url": f"{scheme}://127.0.0.1:{ports[kind]}"}],
                          "tls": {"ca": str(directory / "origin.pem"), "server_name": "origin.test"}}
                         for kind, (_, scheme, _) in KINDS.items()]
    config["sites"] = [{"hosts": [f"{kind}.test"], "origin": kind} for kind in KINDS]
    config["sites"].append({"hosts": ["past.test"], "origin": "tls", "cache": {"bypass": True}})
    return config


class Client:
    def __init__(self, port, host):
        self.host = host
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, {"Host": self.host, **named})
        response = self.connection.getresponse()
        return response, response.read()


def speaks(client, protocol):
    """One of each."""
    answer, body = client.ask("GET", "/small.txt")
    assert (answer.status, body) == (200, b"small\n"), (answer.status, body)
    assert answer.getheader("X-Protocol") == protocol, answer.getheaders()
    assert answer.getheader("Connection") in (None, "keep-alive")
    answer, body = client.ask("HEAD", "/small.txt", Cache_Control="no-cache")
    assert (answer.status, body, answer.getheader("Content-Length")) == (200, b"", "6"), (
        answer.status, answer.getheaders())
    answer, body = client.ask("GET", "/small.txt", Cache_Control="no-cache")
    assert (answer.status, body) == (200, b"small\n")
    assert "fwd-status=304" in answer.getheader("Cache-Status"), answer.getheader("Cache-Status")
    answer, body = client.ask("GET", "/large.txt")
    assert answer.status == 200 and body == b"0123456789" * (LARGE // 10), len(body)
    for method, sent in (("POST", b"x" * 1_000_000), ("PUT", b"y"), ("POST", b"")):
        answer, body = client.ask(method, "/echo", sent)
        assert body == f"{method} {len(sent)} {protocol}".encode(), body
    for path, status in (("/error", 500), ("/absent", 404), ("/none", 204), ("/dropped", 502)):
        answer, body = client.ask("GET", path)
        assert answer.status == status, (path, answer.status, body)
    answer, body = client.ask("GET", "/large.txt", Range="bytes=10-29")
    assert (answer.status, body) == (206, b"0123456789" * 2), (answer.status, body)


def crowd(port, number):
    """Past the cache: each is an exchange."""
    client = Client(port, "past.test")
    for turn in range(REQUESTS):
        path, length = ("/large.txt", LARGE) if (turn + number) % 50 == 0 else ("/small.txt", 6)
        answer, body = client.ask("GET", path)
        assert (answer.status, len(body)) == (200, length), (answer.status, body[:100])
    return REQUESTS


def outlives(node, nginx, port):
    """GOAWAY every 20 requests, and reloads in between."""
    def asked():
        return brim_node.metric(node.admin_port, 'brim_origin_pool_requests_total{origin="tls"}')

    reloads = 0
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        crowds = [pool.submit(crowd, port, number) for number in range(CLIENTS)]
        while not all(one.done() for one in crowds):
            before = asked()
            brim_node.wait_until(lambda before=before: asked() > before + 300 or
                                 all(one.done() for one in crowds), "requests", 120)
            os.kill(nginx.pid, signal.SIGHUP)
            reloads += 1
        return sum(one.result() for one in crowds), reloads


def main():
    if shutil.which("nginx") is None:
        print("skipped: no nginx")
        return 77
    with tempfile.TemporaryDirectory(prefix="brim-h2-") as name:
        directory = Path(name)
        os.chmod(directory, 0o755)
        ports = prepare(directory)
        with open(directory / "nginx.out", "ab") as out:
            nginx = subprocess.Popen(["nginx", "-p", name, "-c", str(directory / "nginx.conf")],
                                     stdout=out, stderr=out)
        config = configure(directory, ports)
        node = brim_node.Node(directory, config, sys.argv[1], supervise=False)
        port = int(config["listeners"][0]["address"].rsplit(":", 1)[1])
        try:
            brim_node.wait_until((directory / "nginx.pid").exists, "nginx up")
            with node.running():
                for kind, (_, _, protocol) in KINDS.items():
                    speaks(Client(port, f"{kind}.test"), protocol)
                count, reloads = outlives(node, nginx, port)
        except BaseException:
            print((directory / "error.log").read_text()[-2000:], file=sys.stderr)
            raise
        finally:
            nginx.terminate()
            nginx.wait()
    print(f"origin_h2: {len(KINDS)} kinds of listener; {count} exchanges through a connection's end "
          f"every 20 and {reloads} reloads of the origin, no client saw one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
