"""The removal drill: it removes slices with their tests; everything else must stay green.

Run it as `python -m kit.removal get_post health`, in a checkout with `PYTHONPATH=.:platform:tests`.
It removes each named slice in a copy of the checkout (without names: every slice, one by one),
collects the rest, and runs the suites that look at the slices. `--domain posts` removes a module of
features/shared with all slices that use it. `--apart` removes half of the slices at a time and runs
the tests of the other half, until every two slices were separated once. `--whole` runs every fast
test each time.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", ".site", ".load", ".stack", "__pycache__", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".hypothesis", ".coverage*", ".import_linter_cache", "dist",
)  # fmt: skip
# Names that a test uses to look at the application's slices rather than at those of the kit.
_LOOKS: Final = frozenset({"discover", "whole", "APPLICATION", "shipped"})
_COUNTS: Final = re.compile(r"(\d+) (failed|error|errors)\b")


@dataclass(frozen=True)
class Removal:
    """What is removed: slices, and modules of features/shared."""

    slices: frozenset[str]
    words: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its name in reports."""
        return ", ".join(sorted([*self.slices, *(f"shared/{word}" for word in self.words)]))


@dataclass(frozen=True)
class Outcome:
    """How many tests failed in each step, or None if a step did not finish."""

    collected: int | None
    passed: int | None
    output: str

    @property
    def green(self) -> bool:
        """Whether no test failed."""
        return self.collected == self.passed == 0


def slices(root: Path = ROOT) -> list[str]:
    """Return the names of the slices."""
    return sorted(file.parent.name for file in (root / "features").glob("*/__init__.py")
                  if file.parent.name != "shared")  # fmt: skip


def domain(word: str, root: Path = ROOT) -> Removal:
    """Return the removal of a module of features/shared with the slices that use it."""
    name = f"features.shared.{word}"
    users = {
        file.parent.name
        for file in (root / "features").glob("*/*.py")
        if file.parent.name != "shared" and name in _imported(file)
    }
    assert users, f"no slice uses {name}"
    return Removal(frozenset(users), frozenset({word}))


def halves(names: Sequence[str]) -> Iterator[Removal]:
    """Yield halves of the slices, until each two were separated: one removed, the other present."""
    for bit in range(max(1, (len(names) - 1).bit_length())):
        for side in (0, 1):
            yield Removal(
                frozenset(name for place, name in enumerate(names) if place >> bit & 1 == side)
            )


def suites(root: Path = ROOT) -> list[str]:
    """Return the tests of the platform that look at the application's slices."""
    tests = root / "tests"
    others = {tests / "features", tests / "kinds"}  # kinds run in copies, as slices' own tests
    files = sorted(
        file
        for file in tests.rglob("test_*.py")
        if others.isdisjoint(file.parents) and _looks(file)
    )
    assert files
    return [str(file.relative_to(root)) for file in files]


@contextmanager
def checkout() -> Iterator[Path]:
    """Make a copy of the checkout, without `.git` and ignored files."""
    with tempfile.TemporaryDirectory(prefix="removal-") as folder:
        root = Path(folder) / "checkout"
        shutil.copytree(ROOT, root, ignore=_LEFT_OUT)
        yield root


@contextmanager
def removed(root: Path, removal: Removal) -> Iterator[None]:
    """Move slices and modules of features/shared out of a copy, and back at the end."""
    paths = [
        root / part / name for name in removal.slices for part in ("features", "tests/features")
    ]
    paths += [root / "features" / "shared" / f"{word}.py" for word in removal.words]
    aside = root.parent / "removed"
    aside.mkdir()
    places = {path: aside / str(number) for number, path in enumerate(paths)}
    for path, place in places.items():
        path.rename(place)
    try:
        yield
    finally:
        for path, place in places.items():
            place.rename(path)
        aside.rmdir()


def drill(root: Path, removal: Removal, tests: Iterable[str]) -> Outcome:
    """Remove it from the copy, collect everything, and run these tests."""
    assert root != ROOT, "a drill is for a copy"
    with removed(root, removal):
        collecting = _pytest(root, "--collect-only")
        running = _pytest(root, "-m", "not slow and not nightly", "-n", "2", *tests)
    return Outcome(
        _failures(collecting), _failures(running), f"{collecting.stdout}\n{running.stdout}"
    )


def _pytest(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    paths = (root, root / "platform", root / "tests")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    kept.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *options],
        cwd=root,
        env=kept | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


def _failures(done: subprocess.CompletedProcess[str]) -> int | None:
    """Return the number of failures and errors; None if pytest itself failed in another way."""
    last = done.stdout.strip().splitlines()[-1:] or [""]
    found = sum(int(number) for number, _ in _COUNTS.findall(last[0]))
    if done.returncode == 0:
        return 0
    return found or None


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }


def _looks(file: Path) -> bool:
    """Return whether a test looks at the application's slices: by name, or at all of them."""
    if any(name.partition(".")[0] == "features" for name in _imported(file)):
        return True
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and node.id in _LOOKS:
            return True
        if isinstance(node, ast.Constant) and node.value == "features":
            return True
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("create_app")
            and len(node.args) + len(node.keywords) < 2  # without slices: the whole application
        ):
            return True
    return False


def main() -> None:
    """Run drills and print a row for each; the exit code is 1 if a test failed."""
    parser = argparse.ArgumentParser(prog="python -m kit.removal", description=__doc__)
    parser.add_argument("slices", nargs="*")
    parser.add_argument("--domain")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--whole", action="store_true")
    told = parser.parse_args()
    removals = [Removal(frozenset({name})) for name in told.slices]
    if told.domain:
        removals.append(domain(told.domain))
    if told.apart:
        removals += halves(slices())
    if not removals:
        removals = [Removal(frozenset({name})) for name in slices()]
    tests = [] if told.whole else [*suites(), *(["tests/features"] if told.apart else [])]
    red = 0
    with checkout() as root:
        for removal in removals:
            found = drill(root, removal, tests)
            red += not found.green
            shown = f"{found.collected} errors of collection, {found.passed} failures"
            sys.stdout.write(f"{'green' if found.green else 'RED  '}  {removal.name}: {shown}\n")
            if not found.green:
                sys.stdout.write(found.output[-6000:])
            sys.stdout.flush()
    sys.exit(min(red, 1))


if __name__ == "__main__":
    main()
