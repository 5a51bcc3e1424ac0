#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""package - the .deb that cpack makes installs, runs, is removed and purged, in a root of its own.

Usage: tests/cli/package.py [BRIM]      exit status 77: not root, or no cpack here
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BRIM = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
BUILD = Path(BRIM).resolve().parent
CONFIG = "etc/brim/brim.yaml"
FILES = {  # path: mode
    "usr/bin/brim": 0o755,
    CONFIG: 0o644,
    "etc/logrotate.d/brim": 0o644,
    "usr/lib/systemd/system/brim.service": 0o644,
    "usr/lib/sysusers.d/brim.conf": 0o644,
    "usr/share/man/man1/brim.1.gz": 0o644,
    "usr/share/man/man5/brim.yaml.5.gz": 0o644,
    "usr/share/bash-completion/completions/brim": 0o644,
    "usr/share/zsh/vendor-completions/_brim": 0o644,
    "usr/share/fish/vendor_completions.d/brim.fish": 0o644,
    "usr/share/doc/brim/copyright": 0o644,
    "usr/share/doc/brim/README.md": 0o644,
    "usr/share/doc/brim/examples/reference.yaml": 0o644,
}


def call(*command, check=True, **options):
    run = subprocess.run([str(word) for word in command], text=True, check=False, timeout=200,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert not check or run.returncode == 0, f"{command}: {run.returncode}\n{run.stdout}"
    return run


class TestPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="brim-package-")
        cls.directory = Path(cls.temporary.name)
        call("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B",
             cls.directory / "made", cwd=cls.directory)
        packages = list((cls.directory / "made").glob("*.deb"))
        assert len(packages) == 1, packages
        cls.deb = packages[0]

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        """A root in which dpkg knows nothing yet; the scripts run outside, told by DPKG_ROOT."""
        self.root = self.directory / self.id().rsplit(".", 1)[1]
        for directory in ("etc", "var/lib/dpkg/updates", "var/lib/dpkg/info"):
            (self.root / directory).mkdir(parents=True)
        for name in ("var/lib/dpkg/status", "var/lib/dpkg/available", "etc/shadow", "etc/gshadow"):
            (self.root / name).touch()
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\n")

    def dpkg(self, *arguments):
        return call("dpkg", f"--root={self.root}", "--force-script-chrootless", "--force-depends",
                    *arguments)

    def field(self, name):
        return call("dpkg-deb", "-f", self.deb, name).stdout.strip()

    def test_control_names_version_and_what_the_binary_needs(self):
        version = call(BRIM, "version").stdout.split()[1]
        self.assertEqual(self.field("Package"), "brim")
        self.assertTrue(self.field("Version").startswith(version))
        depends = self.field("Depends")
        for library in ("libc6", "libh2o-evloop", "liblmdb0", "libcurl4", "libssl3", "liblua5.4",
                        "libyaml-0-2", "libsystemd0"):
            self.assertIn(library, depends)

    def test_everything_is_where_debian_expects_it_and_belongs_to_root(self):
        self.dpkg("--install", self.deb)
        for path, mode in FILES.items():
            status = (self.root / path).stat()
            self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid), (mode, 0), path)
        listed = call("dpkg-deb", "--contents", self.deb).stdout.splitlines()
        for line in listed:
            self.assertRegex(line.split()[5], r"^\./(usr/|etc/|$)", line)
            self.assertIn("root/root", line)

    def test_installed_binary_runs_and_takes_the_installed_config(self):
        self.dpkg("--install", self.deb)
        brim = self.root / "usr/bin/brim"
        self.assertEqual(call(brim, "version").stdout, call(BRIM, "version").stdout)
        run = call(brim, "check", "-c", self.root / CONFIG)
        self.assertTrue(run.stdout.endswith(": ok\n"), run.stdout)
        for example in ("reference", "minimal"):
            call(brim, "check", "-c", self.root / f"usr/share/doc/brim/examples/{example}.yaml")

    def test_user_and_its_cache_are_made_once(self):
        for _ in range(2):
            self.dpkg("--install", self.deb)
            users = [line for line in (self.root / "etc/passwd").read_text().splitlines()
                     if line.startswith("brim:")]
            self.assertEqual(len(users), 1)
            self.assertTrue(users[0].endswith(":/var/cache/brim:/usr/sbin/nologin"), users[0])
            cache = (self.root / "var/cache/brim").stat()
            self.assertEqual((cache.st_uid, stat.S_IMODE(cache.st_mode)),
                             (int(users[0].split(":")[2]), 0o750))

    def test_changed_config_survives_an_upgrade(self):
        self.dpkg("--install", self.deb)
        config = self.root / CONFIG
        config.write_text(config.read_text() + "# mine\n")
        self.dpkg("--install", self.deb)
        self.assertTrue(config.read_text().endswith("# mine\n"))

    def test_removal_keeps_config_and_cache(self):
        self.dpkg("--install", self.deb)
        kept = self.root / "var/cache/brim/data"
        kept.touch()
        self.dpkg("--remove", "brim")
        self.assertFalse((self.root / "usr/bin/brim").exists())
        self.assertTrue((self.root / CONFIG).exists())
        self.assertTrue(kept.exists())

    def test_purge_leaves_nothing_but_the_user(self):
        self.dpkg("--install", self.deb)
        (self.root / "var/cache/brim/data").touch()
        self.dpkg("--purge", "brim")
        left = [path for path in self.root.rglob("*")
                if "brim" in path.name and not str(path).startswith(str(self.root / "var/lib"))]
        self.assertEqual(left, [])


class TestInstall(unittest.TestCase):
    def test_prefix_takes_everything_and_an_own_config_stays(self):
        with tempfile.TemporaryDirectory(prefix="brim-package-") as directory:
            root = Path(directory)
            for _ in range(2):
                call("cmake", "--install", BUILD, "--prefix", root)
                self.assertTrue((root / "bin/brim").exists())
                self.assertTrue((root / "share/man/man5/brim.yaml.5.gz").exists())
                config = root / CONFIG
                own = config.read_text() + "# mine\n"
                config.write_text(own)
            self.assertEqual(config.read_text().count("# mine"), 2)


if __name__ == "__main__":
    if os.geteuid() != 0 or not all(map(shutil.which, ("cpack", "dpkg", "dpkg-shlibdeps"))):
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
