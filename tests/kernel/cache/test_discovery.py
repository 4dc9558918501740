"""A cached read without a route, or with the key of another one, stops the start."""

import pytest

from kernel.boot.discovery import BootError, discover

INIT = """
from kernel import Feature
from . import route{and_cache}
feature = Feature(router=route.router, caller="ignored")
"""
CACHE = """
from kernel.cache import Cached, everyone, minutes
KEPT = Cached("{key}", ttl=minutes({minutes}), audience=everyone)
"""
SERVED = """
from fastapi import APIRouter
from .cache import KEPT
router = APIRouter()
@router.{method}("/{path}/{{{parameter}}}")
@KEPT.serves
async def read({parameter}: int) -> int: ...
"""
NOT_SERVED = SERVED.replace("from .cache import KEPT\n", "").replace("@KEPT.serves\n", "")


def slice_of(key="one:{one_id}", route=SERVED, and_cache="", path="ones", method="get", ttl=1):
    parameter = key.partition("{")[2].partition("}")[0] or "one_id"
    return {
        "__init__.py": INIT.format(and_cache=and_cache),
        "cache.py": CACHE.format(key=key, minutes=ttl),
        "route.py": route.format(path=path, parameter=parameter, method=method),
    }


def test_a_cached_read_that_a_route_serves_is_found(package):
    name = package("read_one", slice_of())
    (cached,) = discover(name)["read_one"].cached
    assert cached.key == "one:{one_id}"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (slice_of(route=NOT_SERVED), "cache.py is not wired up: nothing in .* imports it"),
        (
            slice_of(route=NOT_SERVED, and_cache=", cache"),
            "cache.py: no route serves KEPT: write @KEPT.serves below the decorator of the route",
        ),
        (slice_of(method="post"), "read_one: /ones/{one_id} is not a GET: only reads are cached"),
        (slice_of(key="ones"), "one_id changes the response but is not in ones: add it to the key"),
    ],
)
def test_a_cached_read_that_is_not_wired_up_stops_the_start(package, files, sentence):
    name = package("read_one", files)
    with pytest.raises(BootError, match=sentence) as raised:
        discover(name)
    assert str(raised.value).startswith(f"{name}/read_one")


@pytest.mark.parametrize("ttl", [60 * 41, 60 * 40])
def test_a_cached_read_with_a_ttl_that_is_too_long_stops_the_start(package, ttl):
    name = package("read_one", slice_of(ttl=ttl))
    with pytest.raises(ValueError, match=r"one:\{one_id\} is kept for longer"):
        discover(name)


@pytest.mark.parametrize("other", ["one:{one_id}", "one:{id}"])
def test_k11_two_slices_never_keep_under_one_key_whatever_its_placeholders_are_called(
    package, other
):
    package("read_one", slice_of())
    name = package("read_other", slice_of(other, path="others"))
    with pytest.raises(BootError, match="both cache under one:") as raised:
        discover(name)
    assert f"{name}/read_one" in str(raised.value)
    assert f"{name}/read_other" in str(raised.value)
