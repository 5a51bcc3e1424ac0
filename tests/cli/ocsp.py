#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ocsp - which OCSP responses a certificate is stapled with, and why others are refused.

Usage: tests/cli/ocsp.py BRIM

A CA with a leaf, a responder that it has named for OCSP, and a certificate of its that it has not.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BINARY = brim_node.default_binary()


class TestOcsp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="brim-ocsp-")
        cls.dir = Path(cls.scratch.name)
        cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
                    "ca.pem", "-days", "9", "-subj", "/CN=ca")
        for name, extension in (("leaf", "subjectAltName=DNS:localhost"),
                                ("named", "extendedKeyUsage=OCSPSigning"),
                                ("other", "extendedKeyUsage=serverAuth")):
            cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                        f"{name}.csr", "-subj", f"/CN={name}")
            (cls.dir / "extension").write_text(extension + "\n")
            cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                        "-CAcreateserial", "-days", "9", "-extfile", "extension", "-out",
                        f"{name}.pem")
        chain = "".join((cls.dir / f"{name}.pem").read_text() for name in ("leaf", "ca"))
        (cls.dir / "chain.pem").write_text(chain)
        for name in ("leaf", "other"):
            cls.openssl("ocsp", "-issuer", "ca.pem", "-cert", f"{name}.pem", "-no_nonce",
                        "-reqout", f"{name}.req")
        cls.answer("good", "ca")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def openssl(cls, *args):
        return subprocess.run(["openssl", *args], cwd=cls.dir, check=True, text=True,
                              capture_output=True).stdout

    @classmethod
    def answer(cls, out, signer, about="leaf", revoked=False, by=()):
        rows = []
        for name in ("leaf", "other"):
            serial = cls.openssl("x509", "-in", f"{name}.pem", "-noout", "-serial").split("=")[1]
            state = "R\t491231235959Z\t200101000000Z" if revoked else "V\t491231235959Z\t"
            rows.append(f"{state}\t{serial.strip()}\tunknown\t/CN={name}\n")
        (cls.dir / "index").write_text("".join(rows))
        subprocess.run([*by, "openssl", "ocsp", "-index", "index", "-rsigner", f"{signer}.pem",
                        "-rkey", f"{signer}.key", "-CA", "ca.pem", "-reqin", f"{about}.req",
                        "-ndays", "2", "-respout", f"{out}.der"], cwd=cls.dir, check=True,
                       capture_output=True)

    def config(self, name, *ports):
        config = brim_node.make_config(*ports, [(str(self.dir / "chain.pem"),
                                                 str(self.dir / "leaf.key"))])
        pair = config["listeners"][1]["tls"]["certificates"][0]
        pair["ocsp"] = str(self.dir / f"{name}.der")
        return config

    def check(self, name):
        brim_node.write_config(self.config(name, 8080, 8081, 9, 8443), self.dir / "brim.yaml")
        done = subprocess.run([BINARY, "check", "-c", str(self.dir / "brim.yaml")], text=True,
                              capture_output=True, check=False)
        return done.returncode, done.stderr

    def refused(self, name, reason):
        status, text = self.check(name)
        self.assertEqual(status, 2, text)
        self.assertRegex(text, r"brim.yaml:\d+: ")
        self.assertIn(reason, text)

    def test_by_the_issuer(self):
        self.assertEqual(self.check("good"), (0, ""))

    def test_by_a_responder_that_the_issuer_has_named(self):
        self.answer("delegated", "named")
        self.assertEqual(self.check("delegated"), (0, ""))

    def test_by_one_that_it_has_not(self):
        self.answer("usurped", "other")
        self.refused("usurped", "is not signed by the certificate's issuer")

    def test_about_a_revoked_certificate(self):
        self.answer("revoked", "ca", revoked=True)
        self.refused("revoked", "does not say that the certificate is good")

    def test_about_another_certificate(self):
        self.answer("another", "ca", about="other")
        self.refused("another", "is about another certificate")

    def test_damaged(self):
        good = (self.dir / "good.der").read_bytes()
        # The parameters (NULL) of the signature's algorithm, and then the signature, of 2048 bits: it covers
        # neither them nor the certificates that follow.
        parameters = good.index(b"\x05\x00\x03\x82\x01\x01\x00")
        signature = parameters + 2
        uncovered = {parameters, parameters + 1, *range(signature + 261, len(good))}
        for at in {*range(0, len(good), 7), parameters, signature + 260}:
            (self.dir / "damaged.der").write_bytes(good[:at] + bytes([good[at] ^ 0x55]) +
                                                   good[at + 1:])
            self.assertIn(self.check("damaged")[0], (0, 2) if at in uncovered else (2,), at)
        (self.dir / "cut.der").write_bytes(good[:-9])
        self.refused("cut", "holds no OCSP response")

    def stapled(self, name):
        """What a client that asks for it is shown, and what the node's log says."""
        tls_port = brim_node.free_port()
        config = self.config(name, brim_node.free_port(), brim_node.free_port(), 9, tls_port)
        node = brim_node.Node(self.dir, config, BINARY, log=self.dir / f"{name}.log").start()
        try:
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls_port}",
                                   "-servername", "localhost", "-status"], input="", text=True,
                                  capture_output=True, check=False, timeout=60)
            return done.stdout, node.log_tail()
        finally:
            node.stop()

    @unittest.skipUnless(shutil.which("faketime"), "Debian's faketime is missing")
    def test_an_expired_one_is_told_and_not_stapled(self):
        self.answer("expired", "ca", by=("faketime", "9 days ago"))
        self.assertEqual(self.check("expired")[0], 0)  # a node must start with it
        shown, log = self.stapled("expired")
        self.assertIn("OCSP response: no response sent", shown)
        self.assertIn("tls.ocsp_expired", log)
        shown, log = self.stapled("good")
        self.assertIn("OCSP Response Status: successful", shown)
        self.assertNotIn("tls.ocsp_expired", log)

    def test_an_error_of_the_responder(self):
        good = bytearray((self.dir / "good.der").read_bytes())
        at = good.index(b"\x0a\x01\x00") + 2  # responseStatus: 6 is unauthorized
        good[at] = 6
        (self.dir / "error.der").write_bytes(good)
        self.refused("error", "is a responder's error")


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        BINARY = sys.argv.pop(1)
    unittest.main()
