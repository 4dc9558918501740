"""Requests with the same meaning have one cache key, however they are written."""

from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes
from kernel.cache.lookup import RouteCache
from kernel.core.caller import ANONYMOUS
from kit.application import SLICES, running
from kit.small import changed

ID = "3820052a-bbd0-4a50-bce5-53a231166443"
KEPT = range(1, 101)
SAME_ID = [
    ID.upper(),
    *(ID[:place] + ID[place:].replace("a", "A", 1) for place in (0, 8, 18)),
    f"{{{ID}}}",
    ID.replace("-", ""),
    f"urn:uuid:{ID}",
]
NO_ID = [f" {ID}", f"{ID}\n", f"{ID}%00", f"{ID}\x00", f"{ID}/", f"{ID[:-1]}٣"]
SAME_AS_NOTHING = [
    "page=01", "page=%2B1", "page=1.0", "page=%31", "page= 1", "page=1%20", "page=1&", "&page=1",
    "page=+1", "p%61ge=1", "unknown=1", "page=1&unknown=", "unknown=1&unknown=2", "Page=2", "=",
    "&", "page[]=2", "flag=True", "flag=1", "flag=yes", "flag=on", "flag=t", "page=1\n",
    "x=" + "y" * 3000,
]  # fmt: skip
FOR_THE_ROUTE = [
    "page=1e0", "page=1%00", "page=\x00", "page=", "page", "page=1&page=1", "page=1&page=2",
    "page=1;size=2", "page=1#", "page=٣", "flag=", "page=1000000000000000000", "page=" + "9" * 400,
    "page=-1000000000000000000", "none=1", "many=1", "page=1?size=2", "page=null", "page=NaN",
    "page=0x1", "page=1.5",
]  # fmt: skip


def route_cache(path="/things/{thing_id}", key="thing:{thing_id}:{page}:{size}:{flag}", **where):
    router = APIRouter()

    @router.get(path)
    @Cached(key, ttl=minutes(1), audience=everyone, where=where).serves
    async def read(
        thing_id: UUID,
        page: int = 1,
        size: int = 20,
        flag: bool = True,  # noqa: FBT001, FBT002 - a parameter of the query
        none: int | None = None,
        many: Annotated[tuple[int, ...], Query()] = (),
    ) -> int:
        raise NotImplementedError

    (route,) = (one for one in router.routes if isinstance(one, APIRoute))
    return RouteCache(route, path, needs_token=False)


CACHE = route_cache()


def found(path, query="", cache=CACHE) -> Any:
    return cache.find(path, query.encode(), ANONYMOUS)


def test_a_request_is_looked_up_by_its_values():
    lookup = found(f"/things/{ID}", "flag=false&size=5&page=100")
    assert lookup is not None
    assert lookup.key.endswith(f":thing:{ID}:100:5:false")


def test_a_parameter_that_is_not_sent_has_its_default():
    assert found(f"/things/{ID}") == found(f"/things/{ID}", "page=1&flag=true&size=20")


@pytest.mark.parametrize("text", SAME_ID)
def test_s5_another_spelling_of_an_id_has_the_same_key(text):
    assert found(f"/things/{text}") == found(f"/things/{ID}")


@pytest.mark.parametrize("text", NO_ID)
def test_an_invalid_id_is_not_looked_up(text):
    assert found(f"/things/{text}") is None


@pytest.mark.parametrize("query", SAME_AS_NOTHING)
def test_s5_what_means_the_same_to_the_route_has_the_same_key(query):
    assert found(f"/things/{ID}", query) == found(f"/things/{ID}")


@pytest.mark.parametrize("query", FOR_THE_ROUTE)
def test_what_the_route_refuses_or_takes_differently_is_not_looked_up(query):
    assert found(f"/things/{ID}", query) is None


@pytest.mark.parametrize("page", ["0", "101", "999999999999999999"])
def test_what_is_not_to_be_kept_is_not(page):
    cache = route_cache(page=KEPT)
    assert found(f"/things/{ID}", f"page={page}", cache) is None
    assert found(f"/things/{ID}", "page=100", cache) is not None


def test_a_request_that_is_longer_than_any_real_one_is_not_even_remembered():
    cache = route_cache()
    for number in range(2000):
        found(f"/things/{ID}", f"page=1&{'x' * 60_000}{number}", cache)
    assert cache._find.cache_info().currsize == 0


uuids = st.sampled_from([UUID(ID), UUID(int=0), UUID(int=1)]) | st.uuids()
numbers = st.integers(0, 12) | st.integers(0, 10**18 - 1)
requests = st.tuples(uuids, numbers, numbers, st.booleans())


def key_of(thing_id, page, size, flag):
    lookup = found(f"/things/{thing_id}", f"page={page}&size={size}&flag={str(flag).lower()}")
    assert lookup is not None
    return lookup.key


@given(requests, requests)
def test_two_requests_share_a_key_only_where_all_values_are_equal(one, other):
    assert (key_of(*one) == key_of(*other)) is (one == other)


@given(st.text(max_size=50), st.text(max_size=80).map(lambda text: text.encode()))
def test_whatever_is_sent_raises_nothing(path, query):
    CACHE.find(f"/things/{path}", query, ANONYMOUS)
    CACHE.find(f"/things/{ID}", query, ANONYMOUS)


# Through the application: every spelling has the response that it has without a cache ---------


@pytest.fixture
async def on_and_off(own_settings):
    off = changed(own_settings, cache_enabled=False)
    async with (
        running(create_app(own_settings, SLICES)) as on,
        running(create_app(off, SLICES)) as without,
        on() as client,
        without() as plain,
    ):
        yield client, plain


async def answers(on_and_off, url, canonical, expected):
    client, plain = on_and_off
    await client.get(canonical)
    known = await client.get(canonical)
    assert known.headers["x-cache"] == "HIT"
    sent = {"X-Request-ID": "the-same-for-both"}
    here, there = await client.get(url, headers=sent), await plain.get(url, headers=sent)
    assert (here.status_code, here.content) == (there.status_code, there.content)
    assert here.status_code == expected
    assert here.headers["x-cache"] == ("HIT" if expected == 200 else "BYPASS")
    if expected == 200:
        assert here.content == known.content


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [(str.upper, 200), (lambda text: f"{{{text}}}", 200), (lambda text: text + "%00", 422)],
)
async def test_a_thing_by_another_spelling_of_its_id(on_and_off, thing, spelled, expected):
    await answers(on_and_off, f"/things/{spelled(str(thing.id))}", f"/things/{thing.id}", expected)


@pytest.mark.parametrize(
    "query",
    ["x=1", "page=01", "page=%2B1", "page=%31", "page=1&", "x=1&x=2", "published_only=True",
     "published_only=1", "published_only=on", "page=1.0", "x=" + "y" * 1500],
)  # fmt: skip
@pytest.mark.usefixtures("thing")
async def test_s5_no_spelling_and_no_unknown_parameter_skips_the_cache(on_and_off, query):
    await answers(on_and_off, f"/things?{query}", "/things", 200)


@pytest.mark.parametrize(
    "query", ["page=", "page=%00", "page=1000000000000000000", "page=" + "9" * 400]
)
@pytest.mark.usefixtures("thing")
async def test_an_invalid_page_is_422(on_and_off, query):
    await answers(on_and_off, f"/things?{query}", "/things", 422)


@pytest.mark.parametrize("query", ["page=1&page=1", "page=1&page=2", "p%61ge=1&x=1&page=1"])
async def test_s5_a_known_parameter_that_is_sent_twice_is_422(on_and_off, query):
    for client in on_and_off:
        answer = await client.get(f"/things?{query}")
        assert answer.status_code == 422
        (field,) = answer.json()["error"]["details"]["fields"]
        assert field["field"] == "query.page"


async def test_a_page_that_is_not_kept_takes_the_full_path(on_and_off):
    client, _ = on_and_off
    for query in ("page=101", "page=0", "published_only=false"):
        assert (await client.get(f"/things?{query}")).headers["x-cache"] == "BYPASS"
