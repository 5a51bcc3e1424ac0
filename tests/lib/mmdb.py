#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mmdb - writes a small MaxMind DB (format 2.0), for tests of what reads one.

Usage: mmdb.py FILE CIDR=JSON...   e.g. mmdb.py x.mmdb '192.0.2.0/24={"country": {"iso_code": "AT"}}'

A tree of 24-bit records over 128 bits; IPv4 stands below ::/96. Types that are written: map, array,
string, double, 32-bit unsigned.
"""

import ipaddress
import json
import struct
import sys

class Short(int):
    """A 16-bit unsigned."""


class Long(int):
    """A 64-bit unsigned."""


MARKER = b"\xab\xcd\xefMaxMind.com"


def head(kind, size):
    """Control byte(s): kind 1 to 7 in the first byte, others in a second one."""
    extra = b""
    if size >= 285:
        extra, size = struct.pack(">H", size - 285), 30
    elif size >= 29:
        extra, size = bytes([size - 29]), 29
    first = bytes([kind << 5 | size]) if kind <= 7 else bytes([size, kind - 7])
    return first + extra


def encode(value):
    if isinstance(value, dict):
        return head(7, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, list):
        return head(11, len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        return head(2, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return head(3, 8) + struct.pack(">d", value)
    if isinstance(value, Short):
        return head(5, 2) + struct.pack(">H", value)
    if isinstance(value, Long):
        return head(9, 8) + struct.pack(">Q", value)
    return head(6, 4) + struct.pack(">I", value)


def bits_of(cidr):
    network = ipaddress.ip_network(cidr)
    number, length = int(network.network_address), network.prefixlen
    if network.version == 4:
        length += 96
    return [number >> (127 - i) & 1 for i in range(length)]


def write(path, places):
    """places: {CIDR: value}; one may not lie within another."""
    nodes, data = [[None, None]], b""
    for cidr, value in places.items():
        at = 0
        bits = bits_of(cidr)
        for bit in bits[:-1]:
            if nodes[at][bit] is None:
                nodes.append([None, None])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        nodes[at][bits[-1]] = ("data", len(data))
        data += encode(value)
    count = len(nodes)

    def record(entry):
        if entry is None:
            return count
        return count + 16 + entry[1] if isinstance(entry, tuple) else entry

    tree = b"".join(record(side).to_bytes(3, "big") for node in nodes for side in node)
    about = {"binary_format_major_version": Short(2), "binary_format_minor_version": Short(0),
             "build_epoch": Long(1700000000), "database_type": "Test", "description": {"en": "test"},
             "ip_version": Short(6), "languages": ["en"], "node_count": count, "record_size": Short(24)}
    with open(path, "wb") as file:
        file.write(tree + b"\0" * 16 + data + MARKER + encode(about))


if __name__ == "__main__":
    write(sys.argv[1], {cidr: json.loads(text)
                        for cidr, text in (arg.split("=", 1) for arg in sys.argv[2:])})
