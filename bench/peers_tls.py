# SPDX-License-Identifier: MIT
"""peers_tls - the peers of bench/run behind TLS, HTTP/1.1 and HTTP/2 by ALPN.

One certificate (ECDSA, P-256) for all of them, TLS 1.2 and 1.3, the same ciphers. Varnish in Debian
has no TLS of its own, and the bare libh2o handler none either.
"""

import subprocess

import peers

CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"


def make_pair(directory):
    """A certificate and its key."""
    certificate, key = f"{directory}/bench.pem", f"{directory}/bench.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class Secure:
    """Mixed into a peer: it has a certificate of its own, and is asked by https."""

    def __init__(self, *args):
        super().__init__(*args)
        self.certificate, self.key = make_pair(self.directory)

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"


class Brim(Secure, peers.Brim):
    def config(self):
        config = super().config()
        pair = {"certificate": self.certificate, "key": self.key}
        config["listeners"][0]["tls"] = {"certificates": [pair]}
        return config


class Nginx(Secure, peers.Nginx):
    CONFIG = peers.Nginx.CONFIG.replace(
        "        listen 127.0.0.1:{port} backlog=4096 reuseport;",
        "        listen 127.0.0.1:{port} ssl http2 backlog=4096 reuseport;\n"
        "        ssl_certificate {dir}/bench.pem; ssl_certificate_key {dir}/bench.key;\n"
        f"        ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers {CIPHERS};")


class Haproxy(Secure, peers.Haproxy):
    def command(self):
        """It wants both in one file."""
        pair = [(self.directory / f"bench.{kind}").read_text() for kind in ("pem", "key")]
        (self.directory / "both.pem").write_text("".join(pair))
        self.CONFIG = peers.Haproxy.CONFIG.replace(
            "bind 127.0.0.1:{port}",
            f"bind 127.0.0.1:{{port}} ssl crt {self.directory}/both.pem alpn h2,http/1.1 "
            f"ssl-min-ver TLSv1.2 ciphers {CIPHERS}")
        return super().command()


class TrafficServer(Secure, peers.TrafficServer):
    RECORDS = (peers.TrafficServer.RECORDS.replace(
        ":ip-in=127.0.0.1", ":ip-in=127.0.0.1:proto=http2;http:ssl") +
        f"CONFIG proxy.config.ssl.server.cipher_suite STRING {CIPHERS}\n")

    def command(self):
        command = super().command()
        (self.directory / "etc/ssl_multicert.config").write_text(
            f"dest_ip=* ssl_cert_name={self.certificate} ssl_key_name={self.key}\n")
        return command


CLASSES = (Brim, Nginx, Haproxy, TrafficServer)
