"""`./app faces`: the public names that your code may build on, and their signatures.

`docs/faces.txt` has them as they were at the last release. They follow Semantic Versioning: each
name that changed since then must be named in CHANGELOG.md, under "Unreleased". A test compares.

Everything is read from the source, without importing it: the text is the same for every Python.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.checkout import ROOT

FACES: Final = (
    "kernel",
    "kernel.cache",
    "kernel.config",
    "kernel.errors",
    "kernel.events",
    "kernel.identity",
    "kernel.jobs",
    "kernel.limits",
    "kernel.mail",
    "kernel.observe",
    "kernel.redis",
    "kernel.supabase",
    "kernel.web",
)
COPY: Final = ROOT / "docs" / "faces.txt"
_HEAD: Final = "# The public names of the last release, written by ./app faces --write\n"
# Each setting is in .env.example, which a test compares with this class.
_WITHOUT_MEMBERS: Final = {"kernel.config.settings.Settings"}
_CALLED: Final = {"__init__", "__call__", "__aenter__", "__enter__"}
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(faces)


def faces(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Update docs/faces.txt: for a release.")
    ] = False,
) -> None:
    """Show which public names changed since the last release.

    They are the names of the platform that slices may import. docs/faces.txt has those of the
    release.
    """
    now = public_names(ROOT)
    if write:
        COPY.write_text(written(now), encoding="utf-8")
        return
    before = read(COPY.read_text(encoding="utf-8"))
    changed = changes(before, now)
    for name in changed:
        old, new = before.get(name, ()), now.get(name, ())
        for sign, lines, others in (("-", old, new), ("+", new, old)):
            for line in lines:
                if line not in others:
                    typer.echo(f"{sign} {name}{line}")
    if not changed:
        typer.echo("No public name has changed since the last release.")


def changes(before: "Names", now: "Names") -> list[str]:
    """Return the names that were added, removed, or have another signature."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def unmentioned(names: list[str], changelog: str) -> list[str]:
    """Return the names that the section "Unreleased" does not name in code: `Cached`."""
    section = changelog.partition("\n## Unreleased\n")[2].partition("\n## ")[0]
    words = {
        word for code in re.findall(r"`([^`]+)`", section) for word in re.findall(r"\w+", code)
    }
    return [name for name in names if name.rpartition(".")[2] not in words]


Names = Mapping[str, tuple[str, ...]]
"""By the name with its face, `kernel.web.Answer`: the lines of its signature."""


def written(names: Names) -> str:
    """Return the text of the copy."""
    lines = (f"{name}{line}\n" for name, lines in sorted(names.items()) for line in lines)
    return _HEAD + "".join(lines)


def read(text: str) -> Names:
    """Return the names of a copy."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if (name := re.match(r"[\w.]+", line)) is not None:
            # A member's line begins with its class: the longest face decides.
            face = max((one for one in FACES if name[0].startswith(f"{one}.")), key=len)
            own = f"{face}.{name[0].removeprefix(f'{face}.').partition('.')[0]}"
            found[own] = (*found.get(own, ()), line.removeprefix(own))
    return found


def public_names(root: Path) -> Names:
    """Return the public names of all faces of a checkout."""
    source = _Source(root)
    return {
        f"{face}.{name}": tuple(_signature(*source.find(face, name)))
        for face in FACES
        for name in source.public(face)
    }


class _Source:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[str, ast.Module | None] = {}

    def public(self, module: str) -> list[str]:
        """Return the names of `__all__` or, without it, of public classes and functions."""
        tree = self._tree(module)
        assert tree is not None, f"{module} is a face and does not exist"
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return sorted(ast.literal_eval(node.value))
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return sorted(
            node.name
            for node in tree.body
            if isinstance(node, kinds) and not node.name.startswith("_")
        )

    def find(self, module: str, name: str) -> tuple[_Definition | None, str]:
        """Return where a name is defined, through imports, and its place."""
        tree = self._tree(module)
        for node in tree.body if tree else ():
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == name and node.module:
                        return self.find(node.module, alias.name)
            elif name in _defined(node):
                assert isinstance(node, _Definition)
                return node, f"{module}.{name}"
        return None, f"{module}.{name}"

    def _tree(self, module: str) -> ast.Module | None:
        if module not in self._trees:
            self._trees[module] = self._parsed(module)
        return self._trees[module]

    def _parsed(self, module: str) -> ast.Module | None:
        place = (self._root / "platform").joinpath(*module.split("."))
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return ast.parse(file.read_text(encoding="utf-8"))
        return None  # a library's


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {ast.unparse(target) for target in node.targets}
    return {ast.unparse(node.target)} if isinstance(node, ast.AnnAssign) else set()


def _signature(node: _Definition | None, place: str) -> Iterator[str]:
    if node is None:
        yield f" = {place}"  # a library's
    elif isinstance(node, ast.ClassDef):
        yield f"({', '.join(map(ast.unparse, node.bases))})"
        for member in node.body if place not in _WITHOUT_MEMBERS else ():
            yield from _member(member)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield _call(node)
    elif isinstance(node, ast.AnnAssign):
        yield f": {ast.unparse(node.annotation)}"
    else:
        yield " = …"


def _member(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.name in _CALLED or not node.name.startswith("_"):
            decorators = [ast.unparse(one) for one in node.decorator_list]
            yield f".{node.name}{': property' if 'property' in decorators else _call(node)}"
    elif isinstance(node, ast.AnnAssign):
        name = ast.unparse(node.target)
        if not name.startswith("_"):
            default = "" if node.value is None else " = …"
            yield f".{name}: {ast.unparse(node.annotation)}{default}"


def _call(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kind = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"({ast.unparse(node.args)}){returns}{f' [{kind.strip()}]' if kind else ''}"
