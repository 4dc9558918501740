"""docs/TUTORIAL.md, carried out in a copy of the checkout.

A block whose path stands above it is written to that file; a `sh` block is run.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.copies import ROOT, copy_of_checkout

PAGE = ROOT / "docs" / "TUTORIAL.md"
BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SLICES = ("create_bookmark", "get_bookmark", "list_bookmarks", "delete_bookmark")
CHECKS = (("ruff", "check", "--no-cache"), ("ruff", "format", "--check", "--no-cache"))


@dataclass(frozen=True)
class Block:
    """A file to write or, without a path, commands to run."""

    path: str
    kind: str
    text: str


BLOCKS = [Block(*found) for found in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
CARRIED_OUT = [block.path for block in BLOCKS if block.path and (ROOT / block.path).exists()]
COMMANDS = [line for block in BLOCKS if not block.path for line in block.text.splitlines()]


pytestmark = pytest.mark.skipif(
    bool(CARRIED_OUT), reason=f"the tutorial was carried out in this checkout: {CARRIED_OUT[:1]}"
)


def test_every_block_is_a_file_or_commands():
    files = [block for block in BLOCKS if block.path]
    assert len(files) >= 20
    assert {block.kind for block in BLOCKS if not block.path} == {"sh"}
    tests = [line for line in COMMANDS if line.startswith("./app test ")]
    assert tests == [f"./app test {name}" for name in SLICES]
    assert PAGE.read_text(encoding="utf-8").count("\n```") == 2 * len(BLOCKS)


class Copy:
    """A copy of the checkout in which the tutorial is carried out."""

    def __init__(self):
        self.root = copy_of_checkout(
            *("tests", "docs", "bench", "deploy", "requirements.lock", "requirements-dev.lock"),
            *("README.md", "CHANGELOG.md", "LICENSE", ".env.example", ".gitignore"),
        )
        path = os.pathsep.join(str(self.root / name) for name in ("", "platform", "tests"))
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        } | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        (self.root / ".venv").symlink_to(sys.prefix)  # for pyright
        # The reader's command, without the installation: the environment exists already.
        command = shlex.join([sys.executable, "-m", "cli"])
        (self.root / "app").write_text(f'#!/bin/sh\nexec {command} "$@"\n')

    def write(self, blocks):
        for block in blocks:
            if block.path:
                file = self.root / block.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")

    def run(self, *command):
        """Run a command as the reader; return its exit code and output."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy():
    copy = Copy()
    yield copy
    shutil.rmtree(copy.root)


@pytest.mark.slow
def test_the_files_of_the_tutorial_are_four_slices_that_work(copy):
    copy.write(BLOCKS)
    commands = (("features", "--write"), ("test", *SLICES, "-q"), ("openapi", "--write"))
    for command in commands:
        code, said = copy.run("./app", *command)
        assert code == 0, said
    assert "/bookmarks/{bookmark_id}" in (copy.root / "docs" / "SLICES.md").read_text()
    written = [block.path for block in BLOCKS if block.path.endswith(".py")]
    for program, *words in CHECKS:
        code, said = copy.run(str(Path(sys.executable).parent / program), *words, *written)
        assert code == 0, said


@pytest.mark.slow
def test_a_tutorial_that_is_wrong_is_noticed(copy):
    wrong = [
        Block(block.path, block.kind, block.text.replace("BOOKMARK_NOT_FOUND", "NOT_HERE"))
        for block in BLOCKS
        if "test_get_bookmark.py" not in block.path
    ]
    copy.write([*wrong, *(block for block in BLOCKS if "test_get_bookmark.py" in block.path)])
    code, said = copy.run("./app", "test", "get_bookmark", "-q", "-k", "may_call")
    assert code == 1
    assert "test_only_the_owner_may_call" in said


@pytest.mark.nightly
def test_the_tutorial_goes_as_it_is_written(copy):
    for block in BLOCKS:
        copy.write([block])
        for line in block.text.splitlines() if not block.path else ():
            code, said = copy.run("sh", "-c", line)
            assert code == 0, f"{line}\n{said}"
