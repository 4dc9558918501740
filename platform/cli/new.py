"""`./app new`: makes a slice with its tests, from a kind or from a slice that exists."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.checkout import ROOT
from cli.fields import FieldError, checked_name
from cli.kinds import KINDS, Kind, table_of
from cli.text import unknown_slice
from cli.written import NoStartError, update_lists

if TYPE_CHECKING:
    from kernel.feature import Feature

# The limits of these names are others' settings, and the last are slices of every test.
_TAKEN: Final = (
    "shared", "default", "fallback", "reauthentication", "whoami", "enter", "renew", "leave",
)  # fmt: skip
_ENV: Final = ".env.example"
_ENV_END: Final = "# ── Local stack"
_ADDED_ENV: Final = """\
# What {slice} checks the signatures of messages with (https://www.standardwebhooks.com): whsec_
# and 24 bytes or more in base64. Without it every message is refused.
# {variable}=

"""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(new)


def new(
    name: Annotated[str, typer.Argument(help="The new folder: a verb phrase, e.g. save_bookmark.")],
    *,
    source: Annotated[
        str | None, typer.Option("--from", help="A slice to copy: its call on the same data.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"Or what to begin from: {', '.join(KINDS)}.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="The table, in the plural: new, or one of ./app new.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="A new table's column for the user who owns a row: user_id.")
    ] = None,
    fields: Annotated[
        str | None, typer.Option(help="A new table's columns: 'url:text title:text?'.")
    ] = None,
    one: Annotated[
        str | None, typer.Option(help="What one row is called, if it is no regular plural.")
    ] = None,
) -> None:
    """Make a slice with tests, from a kind or from another slice.

    With a new table, it also makes its migration, entity and events. With --from and --table, the
    new slice is of the kind of that slice.
    """
    try:
        made = make(ROOT, name, source=source, kind=kind, table=table, owner=owner,
                    fields=fields, one=one)  # fmt: skip
    except FieldError as error:
        sys.exit(str(error))
    for path in made:
        typer.echo(path)
    typer.echo("\n" + next_steps(name, made))


def make(
    root: Path,
    name: str,
    *,
    source: str | None = None,
    kind: str | None = None,
    table: str | None = None,
    owner: str | None = None,
    fields: str | None = None,
    one: str | None = None,
) -> list[str]:
    """Write the files of the new slice, and update the lists; return the paths.

    Raises FieldError, and then nothing has changed.
    """
    checked_name("slice", name, *_TAKEN)
    for folder in ("features", "tests/features"):
        if (root / folder / name).exists():
            raise FieldError(f"{folder}/{name} exists already: choose another name, or remove it.")
    if source is not None and kind is not None:
        raise FieldError("Take one of the two: --from or --kind.")
    if source is None and kind is None:
        raise FieldError(
            "Say what to begin from: --from SLICE (./app features lists them), or --kind with one "
            f"of {', '.join(KINDS)}."
        )
    if source is not None:
        feature = _slice(source)
        if table is None:
            if owner or fields or one:
                raise FieldError("--owner, --fields and --one are of a table: name it by --table.")
            from cli.copying import copies as of_slice

            return _write(root, name, of_slice(root, source, name, feature))
        from cli.copying import kind_of

        kind = kind_of(feature)
    if kind not in KINDS:
        raise FieldError(f"There is no kind {kind!r}: take one of {', '.join(KINDS)}.")
    if table is None:
        example = " --fields 'url:text title:text?'" if KINDS[kind].fields else ""
        raise FieldError(f"The kind {kind} needs a table: --table bookmarks{example}.")
    known = KINDS[kind]
    found = table_of(root, known, table, one=one, owner=owner, fields=fields)
    from cli.kinds import copies as of_kind

    return _write(root, name, of_kind(root, known, name, found, _version(root)), known)


def next_steps(name: str, made: list[str]) -> str:
    """Return what to edit next."""
    steps = [f"./app test {name} && ./app check"]
    if migration := next((path for path in made if path.endswith(".sql")), None):
        steps.insert(0, f"Read {migration}: bounds of the columns, who may see a row.")
        steps.append("./app up applies the migration: if it runs, stop it and start it again.")
    if f"features/{name}/route.py" in made:
        steps.insert(
            0, f"Read features/{name}/route.py: the path, and the sentence for the document."
        )
    steps.insert(0, f"Say the use case in one sentence: features/{name}/__init__.py.")
    if f"features/{name}/tasks.py" in made:
        steps.insert(1, f"Write what the job does: features/{name}/tasks.py.")
    if _ENV in made:
        steps.insert(1, f"Set {name.upper()}_SECRET: see {_ENV}.")
    return "Next:\n" + "\n".join(f"  {place}. {step}" for place, step in enumerate(steps, 1))


def _slice(name: str) -> "Feature":
    from kernel.boot.discovery import discover

    features = discover()
    if name not in features:
        raise FieldError(unknown_slice(name, features))
    return features[name]


def _version(root: Path) -> int:
    """Return the number of the next migration: now, and behind all others."""
    now = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    files = sorted((root / "supabase" / "migrations").glob("*.sql"))
    return max(now, int(files[-1].name.partition("_")[0]) + 1) if files else now


def _write(root: Path, name: str, files: Mapping[str, str], kind: Kind | None = None) -> list[str]:
    """Write them, and undo that if anything fails.

    Raises FieldError if the application does not start with them.
    """
    files = dict(files)
    if kind is not None and kind.slice == "receive_delivery":
        files[_ENV] = _with_secret(root, name)
    before = {path: _read(root / path) for path in files}
    try:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content, encoding="utf-8")
        _tidy(root, [path for path in files if path.endswith(".py")])
        return [*files, *update_lists(root)]
    except BaseException as error:  # Ctrl-C, too
        for path, text in before.items():
            _restore(root, root / path, text)
        if not isinstance(error, NoStartError):
            raise
        raise FieldError(
            f"Nothing was written, because the application would not start: {error}"
        ) from None


def _tidy(root: Path, modules: list[str]) -> None:
    """Sort the imports, remove those that are not used, and format. Raises FieldError."""
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        raise FieldError("This command needs ruff: run it in a checkout, by ./app.")
    for words in (("check", "--fix", "-q", "--select", "I,F401,F811"), ("format", "-q")):
        subprocess.run([ruff, *words, *modules], cwd=root, check=True)  # noqa: S603 - a tool of ours


def _with_secret(root: Path, name: str) -> str:
    text = (root / _ENV).read_text(encoding="utf-8")
    added = _ADDED_ENV.format(slice=name, variable=f"{name.upper()}_SECRET")
    head, mark, tail = text.partition(_ENV_END)
    return f"{head}{added}{mark}{tail}"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _restore(root: Path, path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text, encoding="utf-8")
        return
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if not folder.exists():
            continue
        if folder == root or any(one.name != "__pycache__" for one in folder.iterdir()):
            break
        for one in folder.glob("__pycache__/*"):
            one.unlink()
        for one in folder.glob("__pycache__"):
            one.rmdir()
        folder.rmdir()
