"""`./app rename "Acme API"`: gives the application your own name."""

import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.checkout import ROOT

_LONGEST: Final = 80  # the database's limit of a site's name
_BESIDE_LETTERS: Final = " -_.,&'+()!"
_PACKAGE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME_FILE: Final = "features/__init__.py"


class RenameError(Exception):
    """The name cannot be used; the message is for people, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file with its new content; `lines` are the old and new line of each place in it."""

    path: Path
    content: str
    lines: tuple[tuple[str, str], ...] = ()


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rename)


def rename(
    name: Annotated[str, typer.Argument(help='The name that people see, e.g. "Acme API".')],
    package: Annotated[
        str | None,
        typer.Option(help="The package's name, if it should not derive from the other."),
    ] = None,
) -> None:
    """Give the application its name.

    The name is in /docs, mails, settings of the site and pyproject.toml. Shows each change; a
    second run changes nothing. For details see docs/how-to/rename.md.
    """
    try:
        changes = list(changes_to(ROOT, name, package))
    except RenameError as error:
        sys.exit(str(error))
    for change in changes:
        change.path.write_text(change.content, encoding="utf-8")
        typer.echo(change.path.relative_to(ROOT))
        for old, new in change.lines or (("", "a new migration"),):
            typer.echo(f"  {old} → {new}" if old else f"  {new}")
    if changes:
        typer.echo("Look at it: git diff. Then ./app up, or restart what runs.")
    else:
        typer.echo("It has this name already: nothing was changed.")


def changes_to(root: Path, name: str, package: str | None = None) -> Iterator[Change]:
    """Yield the files to write for these names, the application's name last.

    So the next run completes an interrupted one. Raises RenameError before any change.
    """
    name = _checked_name(name)
    package = _checked_package(root, name, package)
    text = (root / _NAME_FILE).read_text(encoding="utf-8")
    found = re.search(r'^APP_NAME = (".*")$', text, re.MULTILINE)
    if found is None:
        raise RenameError(f'{_NAME_FILE} has no line like APP_NAME = "…": add it, and try again.')
    old = str(json.loads(found[1]))
    sender = str(Address(display_name=name, addr_spec="no-reply@localhost"))
    places = (
        (
            "pyproject.toml",
            re.compile(r'^\[project\]$[^\[]*?^(name = "[^"]*")', re.MULTILINE),
            f'name = "{package}"',
        ),
        (
            "supabase/config.toml",
            re.compile(r'^(project_id = "[^"]*")', re.MULTILINE),
            f'project_id = "{package}"',
        ),
        (
            ".devcontainer/devcontainer.json",
            re.compile(r'^  ("name": "[^"]*")', re.MULTILINE),
            f'"name": {json.dumps(name, ensure_ascii=False)}',
        ),
        (".env.example", re.compile(r"^(# APP_NAME=.*)", re.MULTILINE), f"# APP_NAME={name}"),
        (
            ".env.example",
            re.compile(r"^(# MAIL_FROM=.*<no-reply@localhost>)", re.MULTILINE),
            f"# MAIL_FROM={sender}",
        ),
        (
            _NAME_FILE,
            re.compile(r'^(APP_NAME = ".*")', re.MULTILINE),
            f"APP_NAME = {json.dumps(name, ensure_ascii=False)}",
        ),
    )
    if old != name:
        yield from _of_the_site(root, old, name)
    for file in dict.fromkeys(file for file, _, _ in places):
        own = [(pattern, line) for other, pattern, line in places if other == file]
        yield from _in_file(root / file, own)


def _in_file(path: Path, places: list[tuple[re.Pattern[str], str]]) -> Iterator[Change]:
    if not path.exists():
        return
    text, lines = path.read_text(encoding="utf-8"), []
    for pattern, line in places:
        found = pattern.search(text)
        if found is not None and found[1] != line:
            lines.append((found[1], line))
            text = text[: found.start(1)] + line + text[found.end(1) :]
    if lines:
        yield Change(path, text, tuple(lines))


def _of_the_site(root: Path, old: str, name: str) -> Iterator[Change]:
    """Yield a migration: the site has the application's name until an admin chooses another."""
    folder = root / "supabase" / "migrations"
    files = sorted(folder.glob("*.sql"))
    if not any("create table public.settings" in file.read_text("utf-8") for file in files):
        return
    sql = (
        "-- The site is called like the application, until an admin gives it another name.\n"
        f"alter table public.settings alter column site_name set default {_quoted(name)};\n"
        f"update public.settings set site_name = {_quoted(name)} "
        f"where site_name = {_quoted(old)};\n"
    )
    last = files[-1]
    if last.read_text("utf-8") == sql:  # of an interrupted run
        return
    now = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    version = max(now, int(last.name.partition("_")[0]) + 1)
    yield Change(folder / f"{version}_site_name.sql", sql)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 1 <= len(name) <= _LONGEST:
        raise RenameError(f"A name has 1 to {_LONGEST} characters.")
    strange = [one for one in name if not _is_letter(one) and one not in _BESIDE_LETTERS]
    if strange or not _is_letter(name[0]):
        raise RenameError(
            f"{(strange or name)[0]!r} is not allowed there: a name starts with a letter or digit "
            f"and has letters, digits, spaces and {_BESIDE_LETTERS.strip()}"
        )
    return name


def _is_letter(one: str) -> bool:
    return unicodedata.category(one)[0] in "LMN"


def _checked_package(root: Path, name: str, package: str | None) -> str:
    if package is None:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        package = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    if not _PACKAGE.fullmatch(package):
        raise RenameError(
            "The package's name needs lower-case letters, digits and hyphens: set it, "
            "as in --package acme-api."
        )
    locked = {
        re.sub("[-_.]+", "-", found.lower())
        for file in root.glob("requirements*.lock")
        for found in re.findall(r"^([\w.-]+)==", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    if package in locked:
        raise RenameError(
            f"{package} is a package that this project depends on: set another name, "
            f"as in --package {package}-api."
        )
    return package
