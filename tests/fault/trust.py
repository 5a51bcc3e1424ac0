#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""trust - whose word for an origin's name is taken: the system's CAs, or those of `tls.ca` and no others.

Usage: tests/fault/trust.py BRIM

The system's CAs are another folder here, in a mount namespace of the node's own: one of them has signed
a certificate for the name of an origin whose config names a CA of its own. That is no proof. When the
file of `tls.ca` is replaced, the next connection goes by what it says then.
Exits 77 where there may be no such namespace.
"""

import http.client
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

NAME = "origin.test"
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
MOUNT = 'mount --bind "$0" /etc/ssl/certs && exec "$@"'


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_certificates(directory):
    """Of two authorities, own.pem and public.pem, and what each has signed for NAME: own-leaf.pem and
    public-leaf.pem. The folder `system` has what the system is to trust."""
    (directory / "name").write_text(f"subjectAltName=DNS:{NAME}\n")
    for ca in ("own", "public"):
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl(directory, "req", "-x509", *new, "-days", "2", "-subj", f"/CN={ca}", "-keyout",
                f"{ca}.key", "-out", f"{ca}.pem")
        openssl(directory, "req", *new, "-subj", f"/CN={NAME}", "-keyout", f"{ca}-leaf.key", "-out",
                f"{ca}-leaf.csr")
        openssl(directory, "x509", "-req", "-days", "2", "-in", f"{ca}-leaf.csr", "-CA", f"{ca}.pem",
                "-CAkey", f"{ca}.key", "-CAcreateserial", "-extfile", "name", "-out", f"{ca}-leaf.pem")
    (directory / "system").mkdir()
    shutil.copy(directory / "public.pem", directory / "system/ca-certificates.crt")
    shutil.copy(directory / "public.pem", directory / "system/public.pem")
    openssl(directory, "rehash", "system")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # HTTP/1.0: each exchange has a connection, and a handshake, of its own
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(directory, leaf):
    """The port of an origin that shows that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{leaf}.pem", directory / f"{leaf}.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def configure(directory):
    leaves = {"own": "own-leaf", "stranger": "public-leaf", "system": "public-leaf"}
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
    config["origins"] = [{"name": origin, "tls": {"server_name": NAME},
                          "servers": [{"url": f"https://127.0.0.1:{serve(directory, leaf)}"}]}
                         for origin, leaf in leaves.items()]
    for origin in config["origins"][:2]:
        origin["tls"]["ca"] = str(directory / "ca.pem")
    config["sites"] = [{"hosts": [f"{origin}.test"], "origin": origin, "cache": {"bypass": True}}
                       for origin in leaves]
    return config


def status(port, origin):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/", headers={"Host": f"{origin}.test"})
    answer = connection.getresponse().status
    connection.close()
    return answer


def main():
    if subprocess.run([*UNSHARE, "sh", "-c", MOUNT, "/tmp", "true"], capture_output=True,
                      check=False).returncode != 0:
        print("trust: skipped: no mount namespace to be had, or no /etc/ssl/certs")
        return 77
    with tempfile.TemporaryDirectory(prefix="brim-trust-") as name:
        directory = Path(name)
        os.chmod(directory, 0o755)
        make_certificates(directory)
        shutil.copy(directory / "own.pem", directory / "ca.pem")
        config = configure(directory)
        node = brim_node.Node(directory, config, sys.argv[1], supervise=False)
        port = int(config["listeners"][0]["address"].rsplit(":", 1)[1])
        with node.running(prefix=[*UNSHARE, "sh", "-c", MOUNT, str(directory / "system")]):
            assert status(port, "system") == 200, "the system's CAs count where none is named"
            assert status(port, "own") == 200, "the CA that is named counts"
            assert status(port, "stranger") == 502, "no other counts beside the one that is named"
            shutil.copy(directory / "public.pem", directory / "ca.new")
            os.rename(directory / "ca.new", directory / "ca.pem")
            assert status(port, "stranger") == 200, "another file counts at once"
            assert status(port, "own") == 502, "also for a server whose session might be resumed"
    print("trust: the system's CAs, or those of tls.ca and no others, as that file is now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
