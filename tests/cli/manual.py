#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""manual - the manual pages and the completions of the shells say what the binary says.

Usage: tests/cli/manual.py [BRIM]
"""

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

BRIM = str(Path(sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()).resolve())
COMPLETIONS = brim_node.ROOT / "deploy/completions"


def output(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, check=True, timeout=60,
                          stdout=subprocess.PIPE, **options).stdout


def commands():
    """What main.c dispatches, as `brim help` lists it."""
    return set(re.findall(r"^  ([a-z]+) ", output(BRIM, "help"), re.M))


class TestManual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="brim-manual-")
        directory = Path(cls.temporary.name)
        output(brim_node.ROOT / "deploy/man/make", BRIM, directory)
        cls.pages = {}
        for name in ("brim.1", "brim.yaml.5"):
            cls.pages[name] = directory / name
            cls.pages[name].write_bytes(gzip.decompress((directory / f"{name}.gz").read_bytes()))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def text(self, name):
        plain = output("mandoc", "-Tutf8", "-Owidth=200", self.pages[name])
        return re.sub(".\b", "", plain)

    def test_built_pages_are_those(self):
        for name, page in self.pages.items():
            built = Path(BRIM).parent / f"man/{name}.gz"
            self.assertEqual(gzip.decompress(built.read_bytes()), page.read_bytes())

    def test_brim_1_has_every_command_with_its_help(self):
        found = set(re.findall(r"^\.SS brim ([a-z]+)$", self.pages["brim.1"].read_text(), re.M))
        self.assertEqual(found, commands())
        text = re.sub(r"\s+", " ", self.text("brim.1"))
        for command in commands():
            self.assertIn(re.sub(r"\s+", " ", output(BRIM, "help", command)).strip(), text)

    def test_brim_yaml_5_has_every_option_of_the_reference(self):
        """Of reference.yaml: `key:`, under the indentation and the dashes that make its path."""
        paths, stack = set(), []
        for line in output(BRIM, "check", "--reference").splitlines():
            match = re.match(r"( *(?:- )?)([a-z_]+):( |$)", line.removeprefix("# "))
            if not match:  # a text
                continue
            depth = len(match[1])
            while stack and stack[-1][0] >= depth:
                stack.pop()
            stack.append((depth, match[2]))
            paths.add(".".join(name for _, name in stack))
        page = self.pages["brim.yaml.5"].read_text()
        found = set(re.findall(r"^\.B ([a-z_.\[\]]+)$", page, re.M))
        self.assertGreater(len(paths), 100)
        self.assertEqual({path.replace("[]", "") for path in found}, paths)

    def test_pages_are_sound(self):
        for page in self.pages.values():
            run = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(page)], text=True,
                                 stdout=subprocess.PIPE, timeout=60, check=False)
            # the pages carry no date, so that a build is reproducible
            faults = [line for line in run.stdout.splitlines() if "missing date" not in line]
            self.assertEqual(faults, [])


class TestCompletions(unittest.TestCase):
    def bash(self, *words):
        script = f"""
            source {COMPLETIONS}/brim.bash
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _brim; printf '%s\\n' "${{COMPREPLY[@]}}" """
        return set(output("bash", "-c", script, "bash", BRIM, *words).split())

    def zsh(self, *words):
        script = f"""
            compadd() {{ print -l -- "${{@[2,-1]}}"; }}; _files() {{ }}
            words=("$@"); CURRENT=$#; fpath=({COMPLETIONS} $fpath); autoload -U _brim; _brim """
        found = output("zsh", "-f", "-c", script, "zsh", BRIM, *words).split()
        return {word for word in found if word.startswith(words[-1])}

    def fish(self, *words):
        line = " ".join(["brim", *words])
        script = f"source {COMPLETIONS}/brim.fish; complete -C '{line}'"
        with tempfile.TemporaryDirectory(prefix="brim-manual-") as home:
            (Path(home) / "brim").symlink_to(BRIM)
            environment = {"HOME": home, "PATH": f"{home}:/usr/bin:/bin"}
            found = output("fish", "--no-config", "-c", script, env=environment).splitlines()
        return {line.split("\t")[0] for line in found}

    def shells(self):
        for name in ("bash", "zsh", "fish"):
            if shutil.which(name) is not None:
                with self.subTest(shell=name):
                    yield getattr(self, name)

    def test_commands_are_those_of_the_binary(self):
        for complete in self.shells():
            self.assertEqual(complete(""), commands() | {"help"})
            self.assertEqual(complete("pur"), {"purge"})
            self.assertEqual(complete("help", "re"), {"reload"})

    def test_options_are_those_of_the_command(self):
        for complete in self.shells():
            for command in commands():
                offered = complete(command, "--")
                accepted = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", output(BRIM, "help", command)))
                self.assertEqual(offered, accepted, command)

    def test_actions_of_a_command_are_offered(self):
        for complete in self.shells():
            self.assertEqual(complete("kv", ""), {"get", "set", "del", "incr", "list"})
            self.assertTrue({"test", "run"} <= complete("lua", ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
