"""For `./app check`: new migrations must fit the code that runs while they are applied.

squawk has the rules, supabase/squawk.toml chooses; docs/how-to/change-schema.md explains them.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

from cli.checkout import ROOT

# Migrations up to this one were written before there were these rules, and are never edited.
_LAST_EXEMPT: Final = "20261130999999"
_BARE_IGNORE: Final = re.compile(r"^\s*-- squawk-ignore(?!.* -- \S)", re.MULTILINE)
_RULES: Final = ROOT / "supabase" / "squawk.toml"


def lint(folder: Path) -> int:
    """Print what is wrong with the new migrations of a folder; return the exit code."""
    new = [path for path in sorted(folder.glob("*.sql")) if path.name > _LAST_EXEMPT]
    if not new:
        return 0
    bare = [path.name for path in new if _BARE_IGNORE.search(path.read_text(encoding="utf-8"))]
    for name in bare:
        typer.echo(f"{name}: write the reason, too: -- squawk-ignore RULE -- REASON", err=True)
    squawk = Path(sys.executable).parent / "squawk"
    done = subprocess.run([squawk, "--config", _RULES, *new], check=False)  # noqa: S603 - a tool of ours
    if done.returncode:
        typer.echo("How to change a schema in steps: docs/how-to/change-schema.md", err=True)
    return done.returncode or bool(bare)


if __name__ == "__main__":
    raise SystemExit(lint(ROOT / "supabase" / "migrations"))
