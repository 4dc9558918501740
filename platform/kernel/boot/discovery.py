"""Finds the slices: each folder is one, and an incomplete folder prevents the start."""

import importlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute

from kernel.boot.adapters import Adapters, discover_adapters
from kernel.boot.calls import faults_of
from kernel.boot.errors import BootError
from kernel.boot.services import JOB_SERVICES, REQUEST_SERVICES
from kernel.cache import Cached
from kernel.cache.cached import PLACEHOLDER
from kernel.edge.routes import Route, routes_of, sockets_of
from kernel.events import known_events
from kernel.feature import Feature
from kernel.jobs import Job
from kernel.jobs.schedule import InvalidJob
from kernel.web.precondition import Precondition
from kernel.web.routing import PREFIX

ROLES: Final = ("__init__", "route", "schema", "handler", "cache", "tasks")
NOT_A_FEATURE: Final = "shared"


__all__ = ["BootError", "discover", "version"]


def discover(package: str = "features", adapters: Adapters | None = None) -> dict[str, Feature]:
    """Return the slices' `Feature` objects by folder name, sorted.

    Handlers and jobs can ask for the clients of `adapters`, by default those of the folder.

    Raises BootError if a folder is not a slice, a file of it is not imported, or two slices have
    the same call, cache key or limit name.
    """
    root = importlib.import_module(package)
    folders = [
        folder
        for place in root.__path__
        for folder in sorted(Path(place).iterdir())
        if folder.name != NOT_A_FEATURE and any(folder.glob("*.py"))
    ]
    adapters = discover_adapters() if adapters is None else adapters
    features = {folder.name: _feature(package, folder, adapters) for folder in folders}
    try:
        routes = [*routes_of(features), *sockets_of(features)]
    except ValueError as error:
        raise BootError(f"{package}/{error}") from error
    _refuse_collisions(package, routes)
    _refuse_shared_keys(package, features)
    _refuse_copied_jobs(package, features)
    _refuse_shared_limits(package, features)
    _check_topics(package, features)
    return features


def version(package: str = "features") -> str:
    """Return the version of the application, which the features package states."""
    stated: str = importlib.import_module(package).__version__
    return stated


def _feature(package: str, folder: Path, adapters: Adapters) -> Feature:
    where = f"{package}/{folder.name}"
    files = {file.stem for file in folder.glob("*.py")}
    if "__init__" not in files:
        raise BootError(
            f"{where} has no __init__.py: add one that says `feature = Feature(router=…)`."
        )
    if strange := sorted(files.difference(ROLES)):
        raise BootError(
            f"{where}/{strange[0]}.py has no role: a slice has only "
            f"{', '.join(f'{role}.py' for role in ROLES)}."
        )
    name = f"{package}.{folder.name}"
    try:
        feature = getattr(importlib.import_module(name), "feature", None)
    except InvalidJob as error:
        raise BootError(f"{where}/tasks.py: {error}") from None
    if not isinstance(feature, Feature):
        raise BootError(f"{where}/__init__.py defines no `feature = Feature(…)`.")
    for stem in sorted(files - {"__init__"}):
        if f"{name}.{stem}" not in sys.modules:
            raise BootError(f"{where}/{stem}.py is not wired up: nothing in {where} imports it.")
    _check_router(where, sys.modules.get(f"{name}.route"), feature)
    own = frozenset[type]({feature.settings} if feature.settings is not None else ())
    of_jobs = own | JOB_SERVICES | {one.client for one in adapters.values() if one.jobs}
    _check_jobs(where, sys.modules.get(f"{name}.tasks"), feature, of_jobs)
    _check_cached(where, sys.modules.get(f"{name}.cache"), feature)
    of_requests = own | REQUEST_SERVICES | {one.client for one in adapters.values()}
    route = sys.modules.get(f"{name}.route", sys.modules[name])
    _check_calls(where, route, feature, of_requests)
    return feature


def _check_router(where: str, route: ModuleType | None, feature: Feature) -> None:
    if feature.router is None and route is None:
        if not feature.jobs:
            raise BootError(f"{where} has neither a router nor jobs: give its Feature one of them.")
        return
    if route is not None and getattr(route, "router", None) is not feature.router:
        raise BootError(f"{where}/__init__.py does not pass on the router of its route.py.")
    kinds = (APIRoute, APIWebSocketRoute)
    if not any(isinstance(item, kinds) for item in (feature.router or APIRouter()).routes):
        raise BootError(f"{where} has no route: its router is empty.")


def _check_jobs(
    where: str, tasks: ModuleType | None, feature: Feature, services: frozenset[type]
) -> None:
    defined = [item for item in vars(tasks).values() if isinstance(item, Job)] if tasks else []
    for job in defined:
        if job not in feature.jobs:
            raise BootError(
                f"{where}/__init__.py does not pass on the job {job.function.__name__} of its "
                f"tasks.py: Feature(jobs=(tasks.{job.function.__name__},))."
            )
    for job in feature.jobs:
        for parameter, service in job.services.items():
            if service not in services:
                raise BootError(
                    f"{where}/tasks.py: the parameter {parameter} of {job.function.__name__} is "
                    f"neither a field of {job.on.__name__} nor a service that jobs have "
                    f"({', '.join(sorted(kind.__name__ for kind in services))})."
                )


def _check_cached(where: str, cache: ModuleType | None, feature: Feature) -> None:
    for name, cached in vars(cache).items() if cache else ():
        if isinstance(cached, Cached) and cached not in feature.cached:
            raise BootError(
                f"{where}/cache.py: no route serves {name}: write @{name}.serves below the "
                "decorator of the route."
            )


def _check_calls(
    where: str, route: ModuleType, feature: Feature, services: frozenset[type]
) -> None:
    place = f"{where}/{Path(str(route.__file__)).name}"
    by_account = any(limit.per == "account" for limit in feature.limits)
    if not feature.conditional:
        services -= {Precondition}
    for fault in faults_of(route, services, by_account=by_account):
        raise BootError(f"{place}: {fault}")


def _refuse_collisions(package: str, routes: Iterable[Route]) -> None:
    seen: dict[tuple[str, str], Route] = {}
    for route in routes:
        other = seen.setdefault((route.method, route.shape), route)
        if other is not route:
            raise BootError(
                f"{_line(package, other.feature_name, other.path)} and "
                f"{_line(package, route.feature_name, route.path)} both answer "
                f"{route.method} {route.path}: change the path of one."
            )


def _refuse_shared_keys(package: str, features: Mapping[str, Feature]) -> None:
    seen: dict[str, str] = {}
    for name, feature in features.items():
        for cached in feature.cached:
            shape = PLACEHOLDER.sub("{}", cached.key)
            if (other := seen.setdefault(shape, name)) != name:
                raise BootError(
                    f"{_line(package, other, cached.key)} and "
                    f"{_line(package, name, cached.key)} both cache under {cached.key}: "
                    "change the key of one."
                )


def _refuse_copied_jobs(package: str, features: Mapping[str, Feature]) -> None:
    """Refuse a job of the same name for the same event: a copied folder would do its work twice."""
    seen: dict[tuple[object, ...], str] = {}
    for name, feature in features.items():
        for job in feature.jobs:
            does = job.function.__name__
            if (other := seen.setdefault((does, job.on, job.schedule), name)) != name:
                after = "its schedule" if job.schedule else job.on.__name__
                raise BootError(
                    f"{_line(package, other, does)} and {_line(package, name, does)} both do "
                    f"{does} after {after}, so it would happen twice each time: change what the "
                    "copy does, and the name of its function."
                )


def _check_topics(package: str, features: Mapping[str, Feature]) -> None:
    """Refuse a live topic that nothing would change, and two that clients cannot tell apart."""
    seen: dict[str, str] = {}
    for name, feature in features.items():
        for topic in feature.topics:
            if topic.on not in known_events(f"{package}.{NOT_A_FEATURE}").values():
                raise BootError(
                    f"{package}/{name}: the live topic {topic.name} follows {topic.on.__name__}, "
                    f"which is no event of {package}/{NOT_A_FEATURE}."
                )
            if (other := seen.setdefault(topic.shape, name)) != name:
                raise BootError(
                    f"{package}/{other} and {package}/{name} both declare the live topic "
                    f"{topic.name}: change the name of one."
                )


def _line(package: str, name: str, text: str) -> str:
    """Return where a slice's code has this string or function: `features/get_post/route.py:12`."""
    marks = (f'"{text.removeprefix(PREFIX)}"', f"def {text}(")
    folder = Path(str(importlib.import_module(f"{package}.{name}").__file__)).parent
    for file in sorted(folder.glob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if any(mark in line for mark in marks):
                return f"{package}/{name}/{file.name}:{number}"
    return f"{package}/{name}"


def _refuse_shared_limits(package: str, features: Mapping[str, Feature]) -> None:
    seen: dict[str, str] = {}
    for name, feature in features.items():
        if name.lower() in {"default", "fallback", "reauthentication"}:
            raise BootError(
                f"{package}/{name} has the name of a setting, RATE_LIMIT_{name.upper()}: rename it."
            )
        for limit in dict.fromkeys([name, *(one.name(name) for one in feature.limits)]):
            if (other := seen.setdefault(limit.lower(), name)) != name:
                raise BootError(
                    f"{package}/{other} and {package}/{name} both have a limit {limit}: "
                    "rename one folder."
                )
