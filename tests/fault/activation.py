#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""activation - brim serves on the sockets that a service manager hands over: found by address or by
name, in use before it started, kept from one life to the next.

Usage: tests/fault/activation.py BRIM
"""

import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

ASK = b"GET / HTTP/1.1\r\nHost: a..b\r\nConnection: close\r\n\r\n"  # refused: no origin is asked


def answer_of(client):
    client.settimeout(30)
    client.sendall(ASK)
    got = b""
    while part := client.recv(65536):
        got += part
    return got.split(b"\r\n")[0]


def check_life(directory, config, sockets, names):
    """A client that came before brim did is served, and every worker has the socket."""
    waiting = [socket.create_connection(one.getsockname()) for one in sockets[:2]]
    node = brim_node.Node(directory, config, sys.argv[1])
    with node.running(**brim_node.hand_over(sockets, names)):
        for client in waiting:
            assert answer_of(client) == b"HTTP/1.1 400 Bad Request", client
            client.close()


def check_refused(directory, config, sockets, names):
    node = brim_node.Node(directory, config, sys.argv[1])
    node.log_path.unlink(missing_ok=True)
    node.start(wait=False, **brim_node.hand_over(sockets, names))
    assert node.process.wait(30) == 1, node.log_tail()
    return node.log_tail()


def main():
    one, two, admin, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(4))
    ports = [each.getsockname()[1] for each in (one, two, admin)]
    config = brim_node.make_config(ports[0], ports[2], 1)
    config["listeners"].append({"address": ":1", "socket": "web"})  # its address is not asked for
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(2):
            check_life(directory, config, [one, two, admin], ["x", "web", "y"])
        said = check_refused(directory, config, [one, two, admin, other], ["x", "web", "y", "spare"])
        assert '"spare" that is none of these' in said, said
        config["listeners"][1]["address"] = f"127.0.0.1:{ports[1]}"
        said = check_refused(directory, config, [one, admin], ["x", "y"])  # two is in use: here
        assert "Address already in use" in said, said
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            said = check_refused(directory, config, [one, two, admin, datagrams],
                                 ["x", "web", "y", "log"])
            assert '"log" that is none of these' in said, said
    print("activation: served on sockets that were handed over")
    return 0


if __name__ == "__main__":
    sys.exit(main())
