"""The locks install with pip of any age and with uv, from the package index and without a cache.

These tests need the index. They say whether somebody who clones the project today can start it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.checkout import ROOT

# The oldest pip that each Python has ever come with: 3.11.0, 3.12.0, 3.13.0, 3.14.0.
OLDEST_PIP = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2", (3, 14): "25.2"}
UV = "uv==0.11.0"
LONG = 600
NOT_OURS = ("PYTHONPATH", "PYTHON", "INSTALL_WITH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")

pytestmark = pytest.mark.slow


class Checkout:
    """A copy of the checkout without .venv, under a path with a space and an é, in no locale."""

    def __init__(self, root, environment):
        self.root, self.environment = root, environment
        self.python = root / ".venv" / "bin" / "python"

    def begin(self, *words, **environment):
        return subprocess.Popen(
            words,
            cwd=self.root.parent,  # ./app finds the checkout by its own path
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def run(self, *words, code=0, **environment):
        with self.begin(*words, **environment) as process:
            try:
                printed, _ = process.communicate(timeout=LONG)
            finally:
                process.kill()
        assert process.returncode == code, printed
        return printed

    def app(self, *words, code=0, **environment):
        return self.run(str(self.root / "app"), *words, code=code, **environment)

    def interrupt_once_it_prints(self, words, **environment):
        """Begin ./app, press Ctrl-C when it prints these words, and return all that it printed."""
        command = ("setsid", "--wait", str(self.root / "app"), "--help")
        with self.begin(*command, **environment) as process:
            assert process.stdout
            printed = ""
            for line in process.stdout:
                printed += line
                if words in line:
                    time.sleep(0.5)  # anywhere within the step
                    (child,) = (
                        Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                    )
                    os.killpg(int(child), signal.SIGINT)
        assert process.returncode == 130, printed
        return printed


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "a chékout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, root, ignore=ignored)
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    python = getattr(sys, "_base_executable", sys.executable)
    no_cache = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
    return Checkout(root, kept | no_cache | {"PYTHON": python, "LC_ALL": "C", "TERM": "dumb"})


@pytest.fixture
def uv(tmp_path):
    """A folder for PATH, with uv in it."""
    folder = tmp_path / "uv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", UV]
    subprocess.run(command, check=True, timeout=LONG)
    return folder / "bin"
