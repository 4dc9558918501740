"""For `./app check`: mistakes of a copied folder or a new table that nothing else says.

- A slice's tests call each of its routes: copied tests can go on to test the old slice.
- A table of `public` has row security.
- A foreign key has an index, and so has the order of a list. Where it needs none, say why on its
  line: `-- no index: REASON`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.checkout import ROOT

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_PARAMETER: Final = re.compile(r"\{[^{}]*\}")
_NAME: Final = r'(?:if not exists )?(?:(\w+)\.)?"?(\w+)"?'
_TABLE: Final = re.compile(rf"\bcreate table {_NAME} ?\(", re.IGNORECASE)
_SECURED: Final = re.compile(
    rf"\balter table (?:only )?{_NAME} enable row level security", re.IGNORECASE
)
_INDEX: Final = re.compile(
    rf"\bcreate (?:unique )?index (?:concurrently )?(?:if not exists )?\S* ?on {_NAME}"
    r"(?: using \w+)? ?\(([^;]*?)\)(?: where[^;]*)?;",
    re.IGNORECASE,
)
_COLUMN: Final = re.compile(
    r'^(?:add column (?:if not exists )?)?"?(\w+)"? .*\breferences\b', re.IGNORECASE
)
_KEY: Final = re.compile(
    r"\b(?:primary key|unique) ?\(([^)]*)\)|foreign key ?\((\w+)", re.IGNORECASE
)
_ALTERED: Final = re.compile(rf"\balter table (?:only )?{_NAME} ([^;]*);", re.IGNORECASE)
_ORDERED: Final = re.compile(
    r"\bfrom public\.(\w+)(?: \w+)?\s+(?:where (?:(?!\bfrom\b)[^;])*?\s)?"
    r"order by (?:\w+\.)?(\w+)",
    re.IGNORECASE,
)
_INTENDED: Final = "-- no index: "
# Never deleted, and its migration is never edited.
_KNOWN: Final = frozenset({("outbox.events", "topic")})


@dataclass(frozen=True)
class Finding:
    """A mistake, and where it is."""

    place: str
    line: int
    sentence: str

    def __str__(self) -> str:
        """Return it as compilers write errors."""
        return f"{self.place}:{self.line}: {self.sentence}"


def findings(root: Path) -> list[Finding]:
    """Return all mistakes. Raises ValueError where there is nothing to look at."""
    slices = [
        file.parent
        for file in sorted((root / "features").glob("*/__init__.py"))
        if file.parent.name != "shared"
    ]
    migrations = sorted((root / "supabase" / "migrations").glob("*.sql"))
    if not slices or not migrations:
        raise ValueError("There are no slices or no migrations: is this the checkout?")
    uncalled = (one for folder in slices for one in uncalled_routes(root, folder))
    texts = {path: path.read_text(encoding="utf-8") for path in migrations}
    return [*uncalled, *unsafe_tables(root, texts), *unordered(root, slices, texts)]


def uncalled_routes(root: Path, folder: Path) -> Iterator[Finding]:
    """Yield the routes of a slice that none of its tests calls."""
    tests = root / "tests" / "features" / folder.name
    called = {
        path
        for file in sorted(tests.glob("*.py"))
        for path in _paths_in(ast.parse(file.read_text(encoding="utf-8")))
    }
    for file in sorted(folder.glob("*.py")):
        for method, path, line in _routes_in(ast.parse(file.read_text(encoding="utf-8"))):
            shape = re.escape(_PARAMETER.sub("\0", path)).replace("\0", "[^/?]+")
            if not any(re.fullmatch(rf"(/api/v1)?{shape}(\?.*)?", one) for one in called):
                yield Finding(
                    file.relative_to(root).as_posix(),
                    line,
                    f"no test in {tests.relative_to(root).as_posix()} calls {method.upper()} "
                    f"{path}: change the paths in its tests, or write one.",
                )


def _routes_in(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    prefix = next(
        (
            str(node.value.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "prefix"
            if isinstance(node.value, ast.Constant)
        ),
        "",
    )
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for one in node.decorator_list:
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.args:
                path = one.args[0]
                if one.func.attr in _METHODS and isinstance(path, ast.Constant):
                    yield one.func.attr, prefix + str(path.value), path.lineno


def _paths_in(tree: ast.Module) -> Iterator[str]:
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else str(texts.get(ast.unparse(part.value), "x"))
                if isinstance(part, ast.FormattedValue)
                else ""
                for part in node.values
            )


def unsafe_tables(root: Path, migrations: dict[Path, str]) -> Iterator[Finding]:
    """Yield tables without row security, and foreign keys without an index."""
    whole = _plain("\n".join(migrations.values()))
    secured = {_full(found) for found in _SECURED.finditer(whole)}
    indexed = _indexed(whole)
    for path, text in migrations.items():
        where, plain = path.relative_to(root).as_posix(), _plain(text)
        for table, line, body in _bodies(plain):
            if body is not None and table.startswith("public.") and table not in secured:
                yield Finding(
                    where, line, f"{table} has no row security: alter table {table} enable row "
                    "level security; and say in policies who may see which rows.",
                )  # fmt: skip
        for table, column, line in _foreign_keys(plain):
            intended = _INTENDED in text.splitlines()[line - 1] or (table, column) in _KNOWN
            if column not in indexed.get(table, {}) and not intended:
                yield Finding(
                    where, line, f"the foreign key {column} of {table} has no index, so a delete "
                    f"of what it names reads the whole table: create index on {table} ({column}).",
                )  # fmt: skip


def unordered(root: Path, slices: list[Path], migrations: dict[Path, str]) -> Iterator[Finding]:
    """Yield lists whose order has no index: `.order(…)` in slices, `order by` in migrations."""
    indexed = _indexed(_plain("\n".join(migrations.values())), every=True)
    asked: list[tuple[str, int, str, str]] = []
    for folder in slices:
        for file in sorted(folder.glob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            where = file.relative_to(root).as_posix()
            asked += [(where, line, table, column) for table, column, line in _orders_in(tree)]
    for path, text in migrations.items():
        where, plain = path.relative_to(root).as_posix(), _plain(text)
        asked += [
            (where, plain.count("\n", 0, found.start()) + 1, found[1], found[2])
            for found in _ORDERED.finditer(plain)
        ]
    for where, line, table, column in asked:
        if column not in indexed.get(f"public.{table}", {}):
            yield Finding(
                where, line, f"{table} is read in the order of {column}, and no index has this "
                f"column: create index on public.{table} (…, {column} desc).",
            )  # fmt: skip


def _orders_in(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Yield the first order of each chain: db.table("posts")….order("created_at")."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        inner, column = node.func.value, node.args[0] if node.args else None
        if node.func.attr != "order" or not isinstance(column, ast.Constant):
            continue
        while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr == "order":
                break
            if inner.func.attr == "table" and isinstance(inner.args[0], ast.Constant):
                yield str(inner.args[0].value), str(column.value), node.lineno
                break
            inner = inner.func.value


def _plain(sql: str) -> str:
    """Return SQL without comments, with all its lines."""
    return re.sub(r"--[^\n]*", "", sql)


def _full(found: re.Match[str]) -> str:
    return f"{found[1] or 'public'}.{found[2]}".lower()


def _bodies(plain: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield name, line and text of each `create table`; None is the text of `alter table`."""
    for found in _TABLE.finditer(plain):
        depth, end = 1, found.end()
        while depth and end < len(plain):
            depth += {"(": 1, ")": -1}.get(plain[end], 0)
            end += 1
        yield _full(found), plain.count("\n", 0, found.start()) + 1, plain[found.end() : end - 1]
    for found in _ALTERED.finditer(plain):
        yield _full(found), plain.count("\n", 0, found.start(3)) + 1, None


def _parts(body: str) -> Iterator[tuple[str, int]]:
    """Yield the columns and constraints of a table, with their lines in it."""
    depth, begun = 0, 0
    for place, one in enumerate(f"{body},"):
        depth += {"(": 1, ")": -1}.get(one, 0)
        if one == "," and not depth:
            part = body[begun:place]
            lead = len(part) - len(part.lstrip())
            yield " ".join(part.split()), body.count("\n", 0, begun + lead)
            begun = place + 1


def _foreign_keys(plain: str) -> Iterator[tuple[str, str, int]]:
    altered = [
        (_full(found), plain.count("\n", 0, found.start(3)) + 1, found[3])
        for found in _ALTERED.finditer(plain)
    ]
    created = [(name, line, body) for name, line, body in _bodies(plain) if body is not None]
    for table, line, body in [*created, *altered]:
        for part, offset in _parts(body):
            column = _COLUMN.match(part)
            named = re.search(r"foreign key ?\((\w+)", part, re.IGNORECASE)
            if named or column:
                yield table, (named or column)[1], line + offset  # type: ignore[index]


def _indexed(plain: str, *, every: bool = False) -> dict[str, set[str]]:
    """Return the first column of each index by table; with `every`, all columns."""
    found: dict[str, set[str]] = {}

    def add(table: str, columns: str) -> None:
        names = [one.split()[0].strip('"') for one in columns.split(",") if one.split()]
        found.setdefault(table, set()).update(names if every else names[:1])

    for index in _INDEX.finditer(plain):
        add(_full(index), index[3])
    for table, _, body in _bodies(plain):
        for part, _ in _parts(body or ""):
            keys = _KEY.search(part)
            if keys and keys[1]:
                add(table, keys[1])
            elif re.search(r"\b(primary key|unique)\b", part, re.IGNORECASE):
                add(table, part.split()[0])
    return found


def main() -> int:
    """Print the mistakes; return the exit code."""
    found = findings(ROOT)
    for one in found:
        sys.stderr.write(f"{one}\n")
    return min(len(found), 1)


if __name__ == "__main__":
    raise SystemExit(main())
