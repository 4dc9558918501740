"""The lists that are written from the code whenever a slice comes or goes.

`python -m cli.written` writes all of them, and prints the paths of those that have changed.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

from cli.checkout import ROOT


class NoStartError(Exception):
    """The application does not start; the message is the start's own."""


def update_lists(root: Path) -> list[str]:
    """Write all lists of a checkout, in a new process; return those that have changed.

    Raises NoStartError if the application does not start; then nothing is written.
    """
    paths = os.pathsep.join(str(root / name) for name in ("", "platform", "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "cli.written"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NoStartError(said[-1] if said else "no reason was given.")
    return done.stdout.split()


def main() -> None:
    """Write the lists of this checkout."""
    from cli import document, tables
    from kernel.boot.discovery import BootError

    # The tests know what slices state of the database.
    shipped = importlib.import_module("kit.shipped")
    try:
        texts: dict[Path, str] = {
            tables.PAGE: tables.page(),
            document.COPY: document.written(document.document()),
            shipped.FILE: shipped.written(),
        }
    except BootError as error:
        sys.exit(str(error))
    for path, text in texts.items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
