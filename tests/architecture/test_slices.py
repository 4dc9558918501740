"""Every slice has limits and lists its errors; every job has limits and a key; reads are dropped.

tests/architecture/test_layout.py has the rules about tests and callers. `./app check` compares the
routes with the tests that call them.
"""

from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from uuid import UUID

import pytest
from fastapi import APIRouter

from cli.document import document
from kernel import Feature
from kernel.boot.discovery import discover
from kernel.cache import Cached, everyone, minutes
from kernel.edge.routes import routes_of
from kernel.errors import Conflict, NotFound
from kernel.events import Event
from kernel.jobs import job
from kit import slice_rules
from kit.removal import ROOT

FEATURES = discover()
CALLED = [name for name, feature in FEATURES.items() if feature.router is not None]
ROUTES = routes_of(FEATURES)
JOBS = {one.name: one for feature in FEATURES.values() for one in feature.jobs}


class Happened(Event):
    thing_id: UUID


@job(on=Happened, once_per="thing_id")
async def act(thing_id: UUID) -> None: ...


def source(name, file):
    path = ROOT / "features" / name / file
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_there_are_slices_to_look_at():
    assert CALLED


@pytest.mark.parametrize("name", FEATURES)
def test_a_slice_without_limits_says_why(name):
    assert list(slice_rules.limits(name, FEATURES[name], source(name, "__init__.py"))) == []


@pytest.mark.parametrize(
    ("text", "breaches"),
    [
        ("feature = Feature(limited=False)", 1),
        ("# For balancers.\n\nfrom x import y\n\nfeature = Feature(limited=False)", 1),
        ("from x import y\n\n# For balancers.\nfeature = Feature(limited=False)", 0),
    ],
)
def test_a_slice_without_limits_and_reason_is_found(text, breaches):
    unlimited = Feature(router=APIRouter(), caller="ignored", limited=False)
    assert len(list(slice_rules.limits("one", unlimited, text))) == breaches


@pytest.fixture(scope="module")
def shown():
    return document()


# OpenAPI does not describe WebSockets.
DESCRIBED = [name for name in CALLED if any(route.feature_name == name for route in ROUTES)]


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_slice_lists_the_errors_that_it_raises(name, shown):
    listed = slice_rules.codes(shown, name, set(FEATURES))
    assert listed, f"the document has no call of {name}"
    modules = slice_rules.modules_of("features", name)
    assert list(slice_rules.errors(name, modules, listed)) == []


@pytest.mark.parametrize(
    "raising",
    ["raise NotFound", "raise NotFound(thing_id=1)", 'with refusals({"23505": NotFound}): ...'],
)
def test_an_error_that_no_route_lists_is_found(tmp_path, raising):
    file = tmp_path / "handler.py"
    file.write_text(f"def do():\n    {raising}\n    raise Conflict\n")
    module = ModuleType("handler_of_a_test")
    module.__file__ = str(file)
    vars(module).update({"NotFound": NotFound, "Conflict": Conflict})
    (one,) = slice_rules.errors("one", [module], {"CONFLICT"})
    assert one.startswith("handler.py:2 of features/one raises NotFound (NOT_FOUND)")
    assert list(slice_rules.errors("one", [module], {"NOT_FOUND", "CONFLICT"})) == []


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_limits_and_a_key(name):
    assert list(slice_rules.jobs(JOBS[name])) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"timeout": timedelta(minutes=11)}, "may run for"),
        ({"timeout": timedelta(0)}, "may run for"),
        ({"retries": 4}, "is retried 4 times"),
        ({"once_per": None}, "has no key"),
    ],
)
def test_a_job_without_limits_or_key_is_found(changes, sentence):
    assert list(slice_rules.jobs(act)) == []
    (one,) = slice_rules.jobs(replace(act, **changes))
    assert sentence in one


@pytest.mark.parametrize("name", FEATURES)
def test_a_cached_read_is_dropped_or_says_why_not(name):
    assert list(slice_rules.cached(name, FEATURES[name], source(name, "cache.py"))) == []


@pytest.mark.parametrize(
    ("drop_on", "text", "breaches"),
    [((), "", 1), ((Happened,), "", 0), ((), "# No event: a constant\n", 0)],
)
def test_a_cached_read_that_no_event_drops_is_found(drop_on, text, breaches):
    router = APIRouter()
    read = Cached("one", ttl=minutes(1), audience=everyone, drop_on=drop_on)

    @router.get("/one")
    @read.serves
    async def one() -> int:
        return 1

    feature = Feature(router=router, caller="ignored")
    assert len(list(slice_rules.cached("one", feature, text))) == breaches
