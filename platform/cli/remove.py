"""`./app remove`: takes a slice out with its tests, and says what else mentions it."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.checkout import ROOT
from cli.kinds import table_made_by
from cli.text import unknown_slice
from cli.written import NoStartError, update_lists

_SEARCHED: Final = (
    "features", "platform", "tests", "docs", "deploy", "bench", "supabase", ".env.example",
    "README.md", "compose.yaml",
)  # fmt: skip
_GENERATED: Final = frozenset(
    {"docs/SLICES.md", "docs/openapi.json", "tests/contract/shipped.json"}
)
_TEXTS: Final = frozenset(
    {".py", ".md", ".sql", ".toml", ".yaml", ".yml", ".json", ".example", ".txt", ".html"}
)


class RemoveError(Exception):
    """The slice cannot be removed; the message is one sentence, and nothing has changed."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(remove)


def remove(
    name: Annotated[str, typer.Argument(help="The slice, e.g. get_post.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a slice with its tests, and show what mentions it.

    Migrations stay: databases may have applied them, and other slices may use their tables. Those
    that were written for the slice are named.
    """
    try:
        known(ROOT, name)
        _ask(name, yes=yes)
        changed = take_out(ROOT, name)
    except RemoveError as error:
        sys.exit(str(error))
    typer.echo("\n".join([f"removed features/{name}, tests/features/{name}", *changed]))
    if found := list(mentions(ROOT, name)):
        typer.echo("\nStill mentioned, look whether it should be:")
        typer.echo("\n".join(f"  {place}" for place in found))
    for path in unused(ROOT):
        typer.echo(f"\nNo slice uses {path} any more: delete it, too, unless you need it.")
    if left := list(migrations(ROOT, name)):
        typer.echo("\nIts migrations:")
        typer.echo("\n".join(f"  {line}" for line in left))
        typer.echo(
            "If no database has applied one, delete the file and run ./app features --write. "
            "Your local database forgets it by ./app up --fresh."
        )
    typer.echo(
        "\nMigrations stay once a database has applied them. To drop a table, first deploy without "
        "the slice, then write a migration: docs/how-to/change-schema.md"
    )


def _ask(name: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise RemoveError(f"Say that you are sure: ./app remove {name} --yes")
    typer.confirm(f"Delete features/{name} and tests/features/{name}?", abort=True)


def known(root: Path, name: str) -> None:
    """Raise RemoveError unless there is this slice."""
    slices = sorted(file.parent.name for file in (root / "features").glob("*/__init__.py"))
    slices.remove("shared")
    if name not in slices:
        raise RemoveError(unknown_slice(name, slices))


def take_out(root: Path, name: str) -> list[str]:
    """Delete the slice and its tests, and update the lists; return those that have changed.

    If anything fails, the slice is put back. Raises RemoveError if the application would not start
    without it.
    """
    with tempfile.TemporaryDirectory(dir=root, prefix=".removed-") as aside:
        moved: list[tuple[Path, Path]] = []
        try:
            # First all that the slice states: its privileges stay in databases.
            update_lists(root)
            for part in ("features", "tests/features"):
                folder, place = root / part / name, Path(aside) / part.replace("/", "-")
                if folder.exists():
                    shutil.move(folder, place)
                    moved.append((folder, place))
            return update_lists(root)
        except BaseException as error:  # Ctrl-C, too
            for folder, place in moved:
                shutil.move(place, folder)
            if not isinstance(error, NoStartError):
                raise
            raise RemoveError(
                f"Nothing was removed, because the application would not start: {error}"
            ) from None


def mentions(root: Path, name: str) -> Iterator[str]:
    """Yield the places that name a slice as a whole word, as `path:line`, without migrations.

    A name without _ may be a word of any sentence: it counts as a part of a path or in quotes.
    """
    whole, quoted = rf"(?<![\w-]){name}(?!\w)", rf"features[./]{name}\b|([\"'`]){name}\1"
    word = re.compile(whole if "_" in name else quoted)
    for path in _texts(root):
        where = path.relative_to(root).as_posix()
        if where in _GENERATED or where.startswith("supabase/migrations/"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if word.search(line):
                yield f"{where}:{number}"


def unused(root: Path) -> list[str]:
    """Return the modules of features/shared that no slice imports."""
    code = "\n".join(file.read_text(encoding="utf-8") for file in (root / "features").rglob("*.py"))
    modules = [
        file for file in (root / "features" / "shared").glob("*.py") if file.stem != "__init__"
    ]
    return [
        file.relative_to(root).as_posix()
        for file in sorted(modules)
        if f"features.shared.{file.stem} " not in code
    ]


def migrations(root: Path, name: str) -> Iterator[str]:
    """Yield path and purpose of each migration that a removed slice leaves.

    These are those named like the slice, and that of a table of `./app new` which no slice uses.
    """
    idle = {Path(path).stem for path in unused(root)}
    for path in sorted((root / "supabase" / "migrations").glob("*.sql")):
        table = table_made_by(path.read_text(encoding="utf-8"))
        if table not in idle and path.stem.partition("_")[2] != name:
            continue
        where = path.relative_to(root).as_posix()
        if table is None:
            yield f"{where} has the name of the slice"
        elif table in idle or not (root / f"features/shared/{table}.py").exists():
            yield f"{where} made the table {table}"
        else:
            yield f"{where} made the table {table}, which other slices use: keep it"


def _texts(root: Path) -> Iterator[Path]:
    for name in _SEARCHED:
        top = root / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() and path.suffix in _TEXTS and "__pycache__" not in path.parts:
                yield path
