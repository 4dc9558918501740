"""Pages of the documentation, carried out in a copy of the checkout.

A block whose path stands above it is a file; a `sh` block has commands.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from kit.copies import copy_of_checkout

_BLOCK: Final = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A file to write or, without a path, commands to run."""

    path: str
    kind: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


class CarriedOut:
    """A copy of the checkout in which a page is carried out."""

    def __init__(self) -> None:
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

    def write(self, blocks: Iterable[Block]) -> None:
        """Write the files of the blocks."""
        for block in blocks:
            if block.path:
                file = self.root / block.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")

    def run(self, *command: str) -> tuple[int, str]:
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
def carried_out() -> Iterator[CarriedOut]:
    """A fresh copy; it is removed after the test."""
    copy = CarriedOut()
    yield copy
    shutil.rmtree(copy.root)
