"""Checks at the start that each handler of a route gets its services and its arguments."""

import ast
import inspect
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from kernel.identity.account_limit import AccountLimit
from kernel.web.services import services_of

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def faults_of(module: ModuleType, services: Collection[Any], *, by_account: bool) -> Iterator[str]:
    """Yield a sentence for each service that a module's routes ask for but cannot have.

    Routes ask by `services.call(handler.get_post, post_id=…)` and by `services.aget(AsCaller)`,
    where `services` is a parameter with the annotation Services. The argument `services` has the
    existing ones; `by_account` says whether the slice has a limit for accounts.
    """
    tree = ast.parse(Path(str(module.__file__)).read_bytes())
    for node in _uses(tree):
        assert isinstance(node.func, ast.Attribute)  # see _uses
        if node.func.attr == "call":
            yield from _faults_of_call(module, node, services, by_account=by_account)
        elif node.func.attr in {"get", "aget"}:
            for argument in node.args:
                kind = _resolve(module, argument)
                yield from _faults_of_kind(ast.unparse(argument), kind, services, by_account)


def _uses(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield the method calls of each parameter with the annotation Services."""
    for function in (node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)):
        names = {
            one.arg
            for one in (*function.args.args, *function.args.kwonlyargs)
            if one.annotation is not None and ast.unparse(one.annotation).endswith("Services")
        }
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in names
            ):
                yield node


def _faults_of_call(
    module: ModuleType, node: ast.Call, services: Collection[Any], *, by_account: bool
) -> Iterator[str]:
    handler = _resolve(module, node.args[0]) if len(node.args) == 1 else None
    passed = {keyword.arg for keyword in node.keywords}
    if not inspect.iscoroutinefunction(handler) or None in passed:
        yield (
            f"line {node.lineno} must name an async handler, and its arguments one by one: "
            "services.call(handler.get_post, post_id=post_id)."
        )
        return
    name = handler.__name__
    for parameter, kind in services_of(handler):
        what = f"the parameter {parameter} of {name}"
        yield from _faults_of_kind(what, kind, services, by_account)
    parameters = inspect.signature(handler).parameters.values()
    own = {one.name: one for one in parameters if one.kind is one.KEYWORD_ONLY}
    for parameter, one in own.items():
        if one.default is one.empty and parameter not in passed:
            yield f"line {node.lineno} does not pass {parameter} to {name}."
    for parameter in sorted(filter(None, passed.difference(own))):
        yield f"line {node.lineno} passes {parameter} to {name}, which has no such own argument."


def _faults_of_kind(
    what: str,
    kind: Any,
    services: Collection[Any],
    by_account: bool,  # noqa: FBT001 - passed on
) -> Iterator[str]:
    if kind is None:
        yield f"{what} has no annotation."
    elif kind not in services:
        known = ", ".join(sorted(one.__name__ for one in services))
        yield (
            f"{what} is no service that requests have ({known}); a handler's own arguments stand "
            "after a `*`."
        )
    elif kind is AccountLimit and not by_account:
        yield (
            f"{what} is an AccountLimit, and the feature declares none: "
            'Feature(limits=(Limit("20/15 minutes", per="account"),)).'
        )


def _resolve(module: ModuleType, node: ast.expr) -> Any:
    """Return the object of a dotted name in the module, or a unique placeholder."""
    found: Any = module
    for part in ast.unparse(node).split("."):
        found = getattr(found, part, node)
    return found
