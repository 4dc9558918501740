"""`./app lock`: write the locks of production, of development, and of what is installed apart."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from cli.checkout import ROOT
from cli.install import LOCKS, blocks, entries

_HEADERS = (
    "# What production runs. Made by `./app lock`; install it with --no-deps: it is complete.\n",
    "# What development needs on top of requirements.lock. Made by `./app lock`.\n",
)
# Each has an environment of its own, which `./app docs` and `./app load` install when they need it.
SITE_LOCK = "docs/site/requirements.lock"
LOAD_LOCK = "tests/load/requirements.lock"
_APART = {
    SITE_LOCK: "# The generator of the documentation site. Made by `./app lock`.\n",
    LOAD_LOCK: "# Locust, for the scenarios of `./app load`. Made by `./app lock`.\n",
}
# gevent has no wheel there since 2025: `./app load` says so.
_WITHOUT_WHEELS = {LOAD_LOCK: frozenset({"Python 3.11 macOS arm64"})}
# How uv names the platforms of cli.lock_check.
_TRIPLES = {
    "Linux x86_64": "x86_64-unknown-linux-gnu",
    "Linux arm64": "aarch64-unknown-linux-gnu",
    "macOS arm64": "aarch64-apple-darwin",
}


class LockError(Exception):
    """The locks cannot be written; the text says why."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(lock)


def lock(
    upgrade: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take the newest version of this package; repeatable."),
    ] = None,
    *,
    upgrade_all: Annotated[
        bool, typer.Option("--upgrade-all", help="Take the newest version of every package.")
    ] = False,
) -> None:
    """Write the locks from the requirements in pyproject.toml.

    They are requirements.lock and requirements-dev.lock; the documentation site and the load tests
    have their own in docs/site and tests/load. Locked versions are kept as long as the requirements
    allow them. Every package must have wheels for each supported Python on Linux and macOS. Needs
    uv and the package index.
    """
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if not uv:
        typer.echo(
            "uv writes the locks, and is not on PATH. Install it: pipx install uv, brew install "
            "uv, or .venv/bin/python -m pip install uv. Then run the command again.",
            err=True,
        )
        raise typer.Exit(1)
    before, before_apart = entries(ROOT), {name: _entries_apart(ROOT, name) for name in _APART}
    options = ["--upgrade"] if upgrade_all else []
    options += [word for name in upgrade or [] for word in ("--upgrade-package", name)]
    try:
        apart = {name: lock_apart(uv, ROOT, name, options, _say) for name in _APART}
        write(uv, ROOT, options, _say)
        for name, text in apart.items():
            (ROOT / name).write_text(text, "utf-8")
    except LockError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    changes = _changes(before, entries(ROOT))
    for name, old in before_apart.items():
        folder = str(Path(name).parent)
        changes += [f"{folder}: {line}" for line in _changes(old, _entries_apart(ROOT, name))]
    typer.echo("\n".join(changes or ["No version has changed."]))
    names = ", ".join((*LOCKS, *_APART))
    typer.echo(f"Written: {names}. Commit them; the next ./app installs them.")


def write(uv: str, root: Path, options: Sequence[str], say: Callable[[str], None]) -> None:
    """Resolve everything together and write it into the two locks.

    Raises LockError, and keeps the old locks, if there is no solution.
    """
    sources = ["pyproject.toml", "--group", "dev"]
    if (root / "devstack" / "pyproject.toml").exists():
        sources.append("devstack/pyproject.toml")
    old = "".join((root / name).read_text("utf-8") for name in LOCKS)
    say("Resolving …")
    together = _compile(uv, root, old, [*sources, *options])
    # With these versions as locked ones, the same are chosen for production.
    production = blocks(_compile(uv, root, together, ["pyproject.toml"]))
    rest = {
        name: entry
        for name, entry in blocks(together).items()
        if name not in production or _requirement(entry) != _requirement(production[name])
    }
    locks = [production, rest]
    texts = [
        header + "".join(entries.values()) for header, entries in zip(_HEADERS, locks, strict=True)
    ]
    _look_everywhere(uv, root, sources, texts, say=say)
    for name, text in zip(LOCKS, texts, strict=True):
        (root / name).write_text(text, "utf-8")


def lock_apart(
    uv: str, root: Path, name: str, options: Sequence[str], say: Callable[[str], None]
) -> str:
    """Return the text of a lock of what is installed apart: one version for all Pythons.

    Raises LockError.
    """
    path = root / name
    requirements = str(Path(name).with_suffix(".in"))
    old = path.read_text("utf-8") if path.exists() else ""
    say(f"Resolving {requirements} …")
    sources = [requirements, "--fork-strategy", "fewest"]
    lock = _APART[name] + _compile(uv, root, old, [*sources, *options])
    left_out = _WITHOUT_WHEELS.get(name, frozenset())
    _look_everywhere(uv, root, [requirements], [lock], say=say, left_out=left_out)
    return lock


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _entries_apart(root: Path, name: str) -> dict[str, str]:
    path = root / name
    return blocks(path.read_text("utf-8")) if path.exists() else {}


def _compile(uv: str, root: Path, locked: str, arguments: Sequence[str]) -> str:
    """Return the lock of these sources for all Pythons and platforms at once."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "requirements.lock"
        output.write_text(locked, "utf-8")
        options = ["--universal", "--generate-hashes", "--python-version", "3.11"]
        _uv_compile(uv, root, [*arguments, *options, "--output-file", str(output)])
        return output.read_text("utf-8")


def _look_everywhere(
    uv: str,
    root: Path,
    sources: Sequence[str],
    locks: Sequence[str],
    *,
    say: Callable[[str], None],
    left_out: AbstractSet[str] = frozenset(),
) -> None:
    """Resolve the locks on each Python and platform: the result must be the same, all wheels.

    `./app check` reads installed packages; this also reads the packages of other machines, but for
    those `left_out`. Raises LockError.
    """
    from cli.lock_check import FIRST, environments, pythons, read_lock

    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {name: entry for text in locks for name, entry in read_lock(text).items()}
    machines = {
        machine: environment
        for machine, environment in environments(pythons(project), [FIRST])
        if machine not in left_out
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.lock"
        path.write_text("".join(locks), "utf-8")
        for number, (machine, environment) in enumerate(machines.items(), 1):
            say(f"Checking {machine} ({number} of {len(machines)}) …")
            _, version, platform = machine.split(" ", 2)
            options = ["--python-version", version, "--python-platform", _TRIPLES[platform]]
            printed = _uv_compile(uv, root, [*sources, str(path), *options, "--no-annotate"])
            found = set(read_lock(printed))
            expected = {name for name, entry in locked.items() if entry.holds(environment)}
            if found != expected:
                names = ", ".join(sorted(found ^ expected))
                raise LockError(f"{machine} needs other packages than the locks name: {names}")


def _uv_compile(uv: str, root: Path, arguments: Sequence[str]) -> str:
    always = ["--quiet", "--no-header", "--no-emit-index-url", "--only-binary", ":all:"]
    command = [uv, "pip", "compile", *always, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)  # noqa: PLW1510, S603  # the exit code is looked at; the command is ours
    if done.returncode:
        raise LockError(f"{done.stderr.strip()}\nThe locks are as they were.")
    return done.stdout


def _requirement(entry: str) -> str:
    return entry.splitlines()[0]


def _changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return a line for each package that is added, removed, or has another version."""
    before, after = (
        {name: _requirement(entry).rstrip(" \\").partition("==")[2] for name, entry in lock.items()}
        for lock in (old, new)
    )
    lines = [f"+ {name} {after[name]}" for name in after.keys() - before.keys()]
    lines += [f"- {name} {before[name]}" for name in before.keys() - after.keys()]
    lines += [
        f"{name} {before[name]} → {after[name]}"
        for name in before.keys() & after.keys()
        if before[name] != after[name]
    ]
    return sorted(lines, key=lambda line: line.lstrip("+- "))
