"""Database privileges: a slice states its own in tests/features/<slice>/grants.py.

`./app test` compares the statements with the database, and fails for any privilege that is not
stated.
"""

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
EVERYONE: Final = frozenset({"anon", "authenticated", "service_role"})
USERS: Final = frozenset({"authenticated"})
SERVICE: Final = frozenset({"service_role"})
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""An id that no user has."""


@dataclass(frozen=True)
class Function:
    """Who may call a function of `public`; `arguments` are an example that changes nothing."""

    roles: frozenset[str]
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Privileges: `tables` by table and role, as `SELECT` or `UPDATE(title)`, and `functions`."""

    tables: Mapping[tuple[str, str], set[str]] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)


def stated_in(file: Path) -> Grants:
    """Return the `GRANTS` of a file."""
    spec = importlib.util.spec_from_file_location(f"grants_of_{file.parent.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Any = module.GRANTS
    assert isinstance(found, Grants), f"{file} has no GRANTS = Grants(…)"
    return found


def of_slices(root: Path = ROOT) -> dict[str, Grants]:
    """Return the grants of each slice that has a grants.py, by the slice's name."""
    files = sorted((root / "tests" / "features").glob("*/grants.py"))
    return {file.parent.name: stated_in(file) for file in files}


def union(all_of_them: Iterable[Grants]) -> Grants:
    """Merge them. Raises AssertionError if two describe the same function differently."""
    tables: dict[tuple[str, str], set[str]] = {}
    functions: dict[str, Function] = {}
    for one in all_of_them:
        for place, privileges in one.tables.items():
            tables.setdefault(place, set()).update(privileges)
        for name, function in one.functions.items():
            known = functions.setdefault(name, function)
            assert known.roles == function.roles, f"{name} is stated differently in two places"
    return Grants(tables=tables, functions=functions)


def named_by(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what the code of a slice uses in the database: ("table" or "rpc", name)."""
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"table", "rpc"}:
                name = node.args[0] if node.args else None
                assert isinstance(name, ast.Constant), (
                    f"{file}, line {node.lineno}: write the name of the {node.func.attr} itself, "
                    "so that this check finds its grants."
                )
                yield node.func.attr, str(name.value)


def missing(slice_: str, stated: Grants, folder: Path) -> list[str]:
    """Return a sentence for each table and function that a slice uses but does not state."""
    tables = {table for table, _ in stated.tables}
    known = {"table": tables, "rpc": set(stated.functions)}
    return [
        f"features/{slice_} asks for the {kind} {name}: say in tests/features/{slice_}/grants.py "
        "who may do what with it, as tests/kit/grants.py explains."
        for kind, name in dict.fromkeys(named_by(folder))
        if name not in known[kind]
    ]
