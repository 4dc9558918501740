"""Rules for every slice that no linter knows; each returns a sentence for each breach."""

import ast
import importlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from kernel import Feature
from kernel.errors import ApiError
from kernel.jobs import Job

LONGEST_JOB = timedelta(minutes=10)
MOST_RETRIES = 3


def limits(name: str, feature: Feature, source: str) -> Iterator[str]:
    """A slice without limits says why, in a comment above its Feature."""
    if feature.limited:
        return
    above = source.partition("feature = Feature(")[0].rstrip().splitlines()[-1:]
    if not any(line.startswith("#") for line in above):
        yield f"features/{name}/__init__.py: limited=False needs its reason in a comment above it"


def errors(name: str, modules: list[ModuleType], listed: set[str]) -> Iterator[str]:
    """Each error that a slice raises has a code that the document lists for one of its calls."""
    for module in modules:
        for raised in _raised(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            kind = getattr(module, raised.id, None) if isinstance(raised, ast.Name) else None
            if isinstance(kind, type) and issubclass(kind, ApiError) and kind.code not in listed:
                yield (
                    f"{Path(str(module.__file__)).name}:{raised.lineno} of features/{name} raises "
                    f"{kind.__name__} ({kind.code}), which no route lists: add it to raises(…)"
                )


def _raised(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what is raised: by `raise`, and by `refusals({code: error})`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "refusals":
            for meanings in node.args:
                yield from meanings.values if isinstance(meanings, ast.Dict) else ()


def jobs(one: Job) -> Iterator[str]:
    """A job is limited in time and retries, and has a key: its slot, or a field of its event."""
    if not timedelta(0) < one.timeout <= LONGEST_JOB:
        yield f"{one.name} may run for {one.timeout}: allow at most {LONGEST_JOB}"
    if not 0 <= one.retries <= MOST_RETRIES:
        yield f"{one.name} is retried {one.retries} times: allow at most {MOST_RETRIES}"
    if one.schedule is None and one.once_per is None:
        yield f'{one.name} has no key: say once_per="…", a field of {one.on.__name__}'


def cached(name: str, feature: Feature, source: str) -> Iterator[str]:
    """A cached read is dropped by an event, or a comment in cache.py says why by none."""
    for one in feature.cached:
        if not one.drop_on and "# No event: " not in source:
            yield (
                f"features/{name}/cache.py: no event drops {one.key}: name some in drop_on, or say "
                "why not in a comment, `# No event: REASON`"
            )


def modules_of(package: str, name: str) -> list[ModuleType]:
    """Return the modules of a slice that answer requests."""
    folder = Path(str(importlib.import_module(f"{package}.{name}").__file__)).parent
    return [
        importlib.import_module(f"{package}.{name}.{role}")
        for role in ("route", "handler", "schema")
        if (folder / f"{role}.py").exists()
    ]


def codes(document: dict[str, Any], name: str, slices: set[str]) -> set[str]:
    """Return the codes of errors that the document lists for the calls of a slice."""
    longer = [one for one in slices if one.startswith(f"{name}_")]
    return {
        code
        for operations in document["paths"].values()
        for operation in operations.values()
        if operation["operationId"] == name
        or (
            operation["operationId"].startswith(f"{name}_")
            and not operation["operationId"].startswith(tuple(longer) or ("\0",))
        )
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/json", {}).get("examples", ())
    }
