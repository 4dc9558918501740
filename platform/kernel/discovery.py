"""Finds the features: each folder is one, and a folder that is not wired up stops the start."""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fastapi.routing import APIRoute

from kernel.feature import Feature
from kernel.routes import Route, routes_of

ROLES: Final = ("__init__", "route", "schema", "handler", "cache", "tasks")
NOT_A_FEATURE: Final = "shared"


class BootError(Exception):
    """The features do not fit together; the message is one sentence that names the folders."""


def discover(package: str = "features") -> dict[str, Feature]:
    """Return the features by their folder's name, sorted by name.

    Raises BootError when a folder is no feature, a file of it is not wired up, or two features
    have the same call.
    """
    root = importlib.import_module(package)
    folders = [
        folder
        for place in root.__path__
        for folder in sorted(Path(place).iterdir())
        if folder.name != NOT_A_FEATURE and any(folder.glob("*.py"))
    ]
    features = {folder.name: _feature(package, folder) for folder in folders}
    _refuse_collisions(package, routes_of(features))
    return features


def _feature(package: str, folder: Path) -> Feature:
    where = f"{package}/{folder.name}"
    files = {file.stem for file in folder.glob("*.py")}
    if "__init__" not in files:
        raise BootError(
            f"{where} has no __init__.py: add one that says `feature = Feature(router=…)`."
        )
    if strange := sorted(files.difference(ROLES)):
        raise BootError(
            f"{where}/{strange[0]}.py has no role: a feature holds only "
            f"{', '.join(f'{role}.py' for role in ROLES)}."
        )
    name = f"{package}.{folder.name}"
    feature = getattr(importlib.import_module(name), "feature", None)
    if not isinstance(feature, Feature):
        raise BootError(f"{where}/__init__.py defines no `feature = Feature(…)`.")
    for stem in sorted(files - {"__init__"}):
        if f"{name}.{stem}" not in sys.modules:
            raise BootError(f"{where}/{stem}.py is not wired up: nothing in {where} imports it.")
    route = sys.modules.get(f"{name}.route")
    if route is not None and getattr(route, "router", None) is not feature.router:
        raise BootError(f"{where}/__init__.py does not pass on the router of its route.py.")
    if not any(isinstance(item, APIRoute) for item in feature.router.routes):
        raise BootError(f"{where} has no route: its router is empty.")
    return feature


def _refuse_collisions(package: str, routes: Iterable[Route]) -> None:
    seen: dict[tuple[str, str], Route] = {}
    for route in routes:
        other = seen.setdefault((route.method, route.shape), route)
        if other is not route:
            raise BootError(
                f"{package}/{other.feature_name} and {package}/{route.feature_name} both answer "
                f"{route.method} {route.path}: change the path of one."
            )
