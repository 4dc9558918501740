"""Commands in a copy of the checkout: see kit.removal.checkout."""

import os
import subprocess
import sys
from pathlib import Path


class Checkout:
    """A copy of the checkout, in which commands run with this environment's programs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tried(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program; return how it ended."""
        paths = os.pathsep.join(str(self.root / name) for name in ("", "platform", "tests"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        kept.pop("PYTEST_XDIST_WORKER", None)
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=self.root,
            env=kept | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run a program that must succeed; return its output."""
        done = self.tried(program, *arguments)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-6000:]
        return output

    def app(self, *words: str) -> str:
        """Run `./app …`."""
        return self.run("python", "-m", "cli", *words)

    def tests(self, *paths: str) -> str:
        """Run tests that must pass."""
        return self.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths)
