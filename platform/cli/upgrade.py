"""`./app upgrade`: take a later version of the platform, and leave what is yours alone.

Each file is one of ours or one of yours (`is_ours`; docs/UPGRADING.md). `platform/release.txt`
lists our files as the release had them that this checkout began with, by the ids that git gives to
contents. So a file that you did not change is recognised without any history, and the base for a
three-way merge is found in your own: your first commit has it.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from cli.checkout import ROOT
from cli.our_files import MANIFEST, blob_id, is_addition_only, manifest, our_files, record

_GIT: Final = ("git", "-c", "core.quotepath=off")


class UpgradeError(Exception):
    """There is nothing to upgrade from, or to; the message is for people."""


@dataclass(frozen=True)
class Change:
    """What an upgrade does with a file; a conflict is left to you, and `new` is what we have."""

    path: str
    kind: Literal["add", "update", "merge", "remove", "conflict"]
    new: bytes = b""
    why: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(upgrade)


def upgrade(
    source: Annotated[
        str | None,
        typer.Option("--from", help="The newer version: a folder, or a tag or commit of git."),
    ] = None,
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Change the files; without it they are only shown.")
    ] = False,
    record_release: Annotated[
        bool, typer.Option("--record", help="For releases: write platform/release.txt.")
    ] = False,
) -> None:
    """Show what a newer release changes, or apply it.

    Your files are never touched: your slices, adapters, migrations and their tests. A file of ours
    that you changed is merged if your changes and the new ones do not meet.
    """
    if record_release:
        typer.echo(f"{record(ROOT)} files are in {MANIFEST}.")
        return
    if source is None:
        typer.echo("Say where the newer version is: ./app upgrade --from ../newer", err=True)
        raise typer.Exit(1)
    try:
        with _newer(source) as newer:
            changes = plan(ROOT, newer)
            if apply:
                _refuse_unsaved(ROOT)
                carry_out(ROOT, newer, changes)
            else:
                for change in changes:
                    typer.echo("".join(_diff(ROOT, change)), nl=False)
    except UpgradeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    _summarise(changes, applied=apply)
    if any(change.kind == "conflict" for change in changes):
        raise typer.Exit(1)


def plan(root: Path, newer: Path) -> list[Change]:
    """Return what an upgrade to the checkout in `newer` changes in `root`, by path."""
    base, theirs = manifest(root), our_files(newer)
    changes = (_change(root, newer, path, base) for path in sorted({*base, *theirs}))
    return [change for change in changes if change is not None]


def carry_out(root: Path, newer: Path, changes: list[Change]) -> None:
    """Change the files, but those in conflict; then the checkout's base is the newer version."""
    for change in changes:
        path = root / change.path
        if change.kind == "remove":
            path.unlink()
        elif change.kind != "conflict":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(change.new)
            shutil.copymode(newer / change.path, path)
    shutil.copyfile(newer / MANIFEST, root / MANIFEST)


def _change(root: Path, newer: Path, path: str, base: dict[str, str]) -> Change | None:
    mine, theirs = _content(root / path), _content(newer / path)
    known = base.get(path)
    if mine == theirs or (theirs is not None and blob_id(theirs) == known):
        return None
    unchanged = mine is not None and blob_id(mine) == known
    if theirs is None:
        gone = Change(path, "conflict", why="you changed it, and it is not there any more")
        return Change(path, "remove") if unchanged else gone
    if mine is None:
        gone = Change(path, "conflict", theirs, "you removed it, and it has changed")
        return Change(path, "add", theirs) if known is None else gone
    if is_addition_only(path):
        return Change(path, "conflict", theirs, "a migration never changes")
    return Change(path, "update", theirs) if unchanged else _merged(root, path, mine, theirs, known)


def _merged(root: Path, path: str, mine: bytes, theirs: bytes, known: str | None) -> Change:
    before = _base(root, known) if known else b""
    if before is None:
        return Change(path, "conflict", theirs, "you changed it, and git does not have its base")
    with tempfile.TemporaryDirectory(prefix="upgrade-") as folder:
        files = [Path(folder) / name for name in ("yours", "base", "ours")]
        for file, content in zip(files, (mine, before, theirs), strict=True):
            file.write_bytes(content)
        done = _git(root, "merge-file", "--stdout", *map(str, files))
    if done.returncode:
        return Change(path, "conflict", theirs, "your changes and the new ones meet")
    return Change(path, "merge", done.stdout)


def _base(root: Path, known: str) -> bytes | None:
    done = _git(root, "cat-file", "blob", known)
    return done.stdout if done.returncode == 0 else None


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@contextmanager
def _newer(source: str) -> Iterator[Path]:
    """Yield the folder of the newer version. Raises UpgradeError."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        yield _checkout(folder.resolve(), source)
        return
    found = _git(
        ROOT, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{source}^{{commit}}"
    )
    if found.returncode:
        raise UpgradeError(
            f"{source} is neither a folder nor a tag or commit of this repository. To get tags: "
            "git fetch --tags URL-OF-THE-TEMPLATE"
        )
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        archive = _git(ROOT, "archive", "--format=tar", found.stdout.decode().strip())
        unpacked = subprocess.run(["tar", "-x", "-C", name], input=archive.stdout, check=False)  # noqa: S603, S607
        if archive.returncode or unpacked.returncode:
            raise UpgradeError(f"git could not unpack {source}: {archive.stderr.decode().strip()}")
        yield _checkout(Path(name), source)


def _checkout(folder: Path, source: str) -> Path:
    if not (folder / MANIFEST).is_file():
        raise UpgradeError(f"{source} is no version to upgrade to: it has no {MANIFEST}.")
    if folder == ROOT:
        raise UpgradeError(f"{source} is this checkout itself: name another version.")
    return folder


def _refuse_unsaved(root: Path) -> None:
    done = _git(root, "status", "--porcelain", "--untracked-files=no")
    if done.returncode == 0 and done.stdout:
        raise UpgradeError(
            "Commit your changes first, so that you can go back: git stash, or commit."
        )


def _git(root: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run([*_GIT, *words], cwd=root, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise UpgradeError("This command needs git.") from None


def _diff(root: Path, change: Change) -> Iterator[str]:
    if change.kind == "conflict":
        return
    old, new = _content(root / change.path) or b"", change.new
    if b"\0" in old + new:
        yield f"{change.path}: binary\n"
        return
    before, after = (text.decode(errors="replace").splitlines(keepends=True) for text in (old, new))
    lines = difflib.unified_diff(
        before,
        after,
        f"a/{change.path}",
        f"b/{change.path}" if change.kind != "remove" else os.devnull,
    )
    yield from (line if line.endswith("\n") else f"{line}\n" for line in lines)


def _summarise(changes: list[Change], *, applied: bool) -> None:
    say = sys.stderr.write
    kinds = [change.kind for change in changes]
    words = {"add": "new", "update": "updated", "merge": "merged", "remove": "removed"}
    counts = [f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds]
    if not changes:
        say("Nothing to do: the files of ours are those of that version.\n")
        return
    say(f"{'Applied' if applied else 'Would apply'}: {', '.join(counts) or 'nothing'}.\n")
    for change in changes:
        if change.kind == "conflict":
            say(f"By hand: {change.path} ({change.why}).\n")
    if any(re.fullmatch(r"requirements.*\.lock|pyproject\.toml", one.path) for one in changes):
        say("Dependencies changed: run ./app lock if you have some of your own.\n")
    if not applied:
        say("To do so: the same command with --apply. Read docs/UPGRADING.md and the change log.\n")
