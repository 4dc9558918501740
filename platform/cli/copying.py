"""Copies a slice that exists, for `./app new NAME --from SLICE`: another call on the same data."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.fields import FieldError
from cli.renaming import Renaming, defined_in

if TYPE_CHECKING:
    from kernel.feature import Feature

_PARAMETER: Final = re.compile(r"\{\w+\}")
_COPIED: Final = frozenset({".py", ".txt", ".html"})


def kind_of(feature: "Feature") -> str:
    """Return the kind that a slice is like."""
    if feature.router is None:
        return "schedule" if feature.jobs[0].schedule is not None else "job"
    from kernel.edge.routes import routes_of

    route = routes_of({"it": feature})[0]
    if route.method == "GET":
        return "read" if route.path.endswith("}") else "list"
    return {"POST": "write", "PUT": "change", "PATCH": "change", "DELETE": "delete"}[route.method]


def copies(root: Path, old: str, new: str, feature: "Feature") -> dict[str, str]:
    """Return the files of the copy by path: new names, paths, cache keys and texts.

    Raises FieldError for a slice with jobs: each event would be handled twice.
    """
    if feature.jobs:
        raise FieldError(
            f"{old} has a job: a copy would do its work a second time for each event. Begin with "
            f"./app new {new} --kind job --table …."
        )
    from kernel.edge.routes import routes_of

    routes = routes_of({old: feature})
    paths = {route.path: path_of(route.path, new) for route in routes}
    keys = {cached.key: f"{new}:{cached.key}" for cached in feature.cached}
    folders = ((root / "features" / old, f"features/{new}"),
               (root / "tests" / "features" / old, f"tests/features/{new}"))  # fmt: skip
    files = {
        file: f"{place}/{file.relative_to(folder)}"
        for folder, place in folders
        for file in sorted(folder.rglob("*"))
        if file.suffix in _COPIED
    }
    sources = {file: file.read_text(encoding="utf-8") for file in files}
    python = [text for file, text in sources.items() if file.suffix == ".py"]
    words = {old: new, f"RATE_LIMIT_{old.upper()}": f"RATE_LIMIT_{new.upper()}"}
    words |= {f"rate_limit_{old}": f"rate_limit_{new}"}
    # Two models of one name would change how the document calls the first one's.
    camel = "".join(part.capitalize() for part in new.split("_"))
    words |= {name: f"{camel}{name}" for name in _models(root / "features" / old)}
    renaming = Renaming(words, defined_in(python), own=(f"features.{old}.",), whole=True)
    return {
        path.replace(f"/test_{old}", f"/test_{new}"): (
            renaming.code(with_strings(sources[file], paths, keys))
            if file.suffix == ".py"
            else sources[file]
        )
        for file, path in files.items()
    }


def _models(folder: Path) -> list[str]:
    file = folder / "schema.py"
    tree = ast.parse(file.read_text(encoding="utf-8") if file.exists() else "")
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def path_of(path: str, new: str) -> str:
    """Return the path of the copy: /posts/{post_id}/NEW, or /NEW in place of /posts."""
    word = new.replace("_", "-")
    if path.endswith("}"):
        return f"{path}/{word}"
    return f"{path.rpartition('/')[0]}/{word}"


def with_strings(source: str, paths: Mapping[str, str], keys: Mapping[str, str]) -> str:
    """Return a module with other paths and cache keys, also where a test calls the path."""
    lines = source.splitlines(keepends=True)
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr | ast.Constant) and node.lineno == node.end_lineno
    ]
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        if isinstance(node, ast.Constant) and not isinstance(node.value, str):
            continue
        line = lines[node.lineno - 1].encode()
        start, end = node.col_offset, node.end_col_offset
        text = line[start:end].decode()
        new = _written(text, paths, keys)
        lines[node.lineno - 1] = (line[:start] + new.encode() + line[end:]).decode()
    return "".join(lines)


def _written(literal: str, paths: Mapping[str, str], keys: Mapping[str, str]) -> str:
    for old, new in keys.items():
        if literal == f'"{old}"':
            return f'"{new}"'
        if literal.endswith('"') and f":{old.partition('{')[0]}" in literal and "cache:" in literal:
            return literal.replace(old.partition("{")[0], new.partition("{")[0])
    for old, new in paths.items():
        bare_old, bare_new = old.removeprefix("/api/v1"), new.removeprefix("/api/v1")
        shape = _PARAMETER.sub(r"(\\{[^{}]+\\}|[^/?\"{}]+)", bare_old.replace("?", r"\?"))
        found = re.fullmatch(rf'(f?")(/api/v1)?{shape}(\?[^"]*)?(")', literal)
        if found:
            body = literal[len(found[1]) :]
            path, question, query = body[:-1].partition("?")
            return f'{found[1]}{_changed(path, bare_old, bare_new)}{question}{query}"'
    return literal


def _changed(path: str, old: str, new: str) -> str:
    if new.startswith(old):
        return path + new.removeprefix(old)
    head = old.rpartition("/")[0]
    return path[: path.rindex("/")] + new.removeprefix(head)
