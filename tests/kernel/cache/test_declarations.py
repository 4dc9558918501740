"""An invalid declaration of a cached read stops the start with one sentence that says why."""

from datetime import timedelta
from types import FunctionType
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Cookie, Depends, Header, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from kernel import Feature
from kernel.cache import Cached, every_caller, everyone, hours, minutes, one_caller
from kernel.cache.lookup import RouteCache
from kernel.core.caller import ANONYMOUS, Caller
from kernel.edge.routes import routes_of
from kernel.feature import CallerRule

ID = UUID("3820052a-bbd0-4a50-bce5-53a231166443")
OTHER = UUID("00000000-0000-4000-8000-000000000001")


def by_header(accept_language: Annotated[str, Header()] = "en") -> str:
    return accept_language


async def no_parameter() -> None: ...
async def one_id(thing_id: int) -> None: ...
async def of_a_user(user_id: UUID) -> None: ...
async def by_word(word: str) -> None: ...
async def by_required_word(thing_id: int, word: str) -> None: ...
async def by_two(thing_id: int, flag: bool = True) -> None: ...  # noqa: FBT001, FBT002
async def with_header(thing_id: int, accept: Annotated[str, Header()] = "") -> None: ...
async def with_cookie(thing_id: int, theme: Annotated[str, Cookie()] = "") -> None: ...
async def through_header(thing_id: int, language: Annotated[str, Depends(by_header)]) -> None: ...
async def with_request(thing_id: int, request: Request) -> None: ...


def fresh(function):
    """Return a copy that no test has used yet."""
    made = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    made.__annotations__ = function.__annotations__
    return made


def boot(
    function, path="/things/{thing_id}", method="GET", caller: CallerRule = "optional", **options
):
    """Build the routes of a feature with one cached read."""
    key = options.pop("key", "thing:{thing_id}")
    kept: dict[str, Any] = {"ttl": minutes(1), "audience": everyone}
    cached = Cached(key, **kept | options)
    router = APIRouter()
    router.add_api_route(path, cached.serves(fresh(function)), methods=[method])
    return routes_of({"read_thing": Feature(router=router, caller=caller)})


WRONG = [
    ({"function": one_id, "caller": "required"}, 'is everyone, which requires caller="optional or'),
    ({"function": one_id, "audience": every_caller}, 'is every caller, which requires caller="r'),
    (
        {"function": one_id, "audience": one_caller, "key": "thing:{thing_id}:{user_id}"},
        'is one caller, which requires caller="required"',
    ),
    ({"function": one_id, "key": "thing:{other}"}, r"thing:\{other\} names other, which the rou"),
    ({"function": one_id, "where": {"page": (1,)}}, "names page, which the route does not have"),
    ({"function": by_two}, "flag changes the response but is not in thing:"),
    ({"function": by_two, "where": {"flag": (True, False)}}, "name the single value"),
    ({"function": by_two, "where": {"thing_id": range(9)}}, "flag changes the response"),
    ({"function": with_header}, "depends on headers, cookies or a body"),
    ({"function": with_cookie}, "depends on headers, cookies or a body"),
    ({"function": through_header}, "depends on headers, cookies or a body"),
    ({"function": with_request}, "takes the whole request"),
    ({"function": by_required_word}, "word must be a UUID, an int, a bool or a cursor"),
    ({"function": by_word, "path": "/{word}", "key": "a"}, "word must be a UUID, an int"),
    ({"function": no_parameter, "key": "a"}, "thing_id is in the path, but the route has no such"),
    ({"function": one_id, "method": "POST"}, "is not a GET: only reads are cached"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG)
def test_what_does_not_fit_its_route_is_refused_by_the_slices_name(options, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        boot(**options)
    said = str(raised.value)
    assert said.startswith("read_thing: ")
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    "options",
    [
        {"function": one_id},
        {"function": by_two, "where": {"flag": (True,)}},
        {"function": by_two, "key": "thing:{thing_id}:{flag}"},
        {"function": one_id, "caller": "ignored"},
        {"function": one_id, "caller": "required", "audience": every_caller},
        {
            "function": one_id,
            "caller": "required",
            "audience": one_caller,
            "key": "thing:{thing_id}:{user_id}",
        },
    ],
)
def test_what_fits_is_cached(options):
    (route,) = boot(**options)
    caller = Caller(user_id=ID) if options.get("caller") == "required" else ANONYMOUS
    assert route.cache is not None
    assert route.cache.find("/api/v1/things/7", b"", caller) is not None


@pytest.mark.parametrize(
    ("ttl", "stale"), [(hours(41), minutes(0)), (hours(30), hours(10)), (hours(37), minutes(0))]
)
def test_what_would_outlive_its_tag_versions_is_refused(ttl, stale):
    with pytest.raises(ValueError, match="kept for longer than 1 day, 16:00:00"):
        Cached("thing", ttl=ttl, audience=everyone, stale=stale)
    assert Cached("thing", ttl=hours(24), audience=everyone)


def test_one_caller_is_named_in_the_key():
    with pytest.raises(ValueError, match=r"me is for one caller: add \{user_id\}"):
        Cached("me", ttl=minutes(1), audience=one_caller)


@pytest.mark.parametrize(
    "key",
    ["a:{x}{y}", "a:{x}-{y}", "a:x{x}", "a:{x}0", "a:{x", "a:}", "a:{}", "a:{x.y}", "a:{x!r}"],
)
def test_a_key_that_two_pairs_of_values_could_make_is_refused(key):
    with pytest.raises(ValueError, match="two values could make one key"):
        Cached(key, ttl=timedelta(minutes=1), audience=everyone)


class Old(BaseModel):
    name: str


class New(BaseModel):
    name: str
    age: int | None = None


def key_of(model, cached=None, path="/things/{thing_id}", caller=ANONYMOUS):
    cached = cached or [Cached("thing:{thing_id}", ttl=minutes(1), audience=everyone)]
    router = APIRouter()

    async def read(thing_id: int) -> None: ...

    for one in cached:
        read = one.serves(read)
    router.add_api_route(path, read, response_model=model)
    (route,) = (one for one in router.routes if isinstance(one, APIRoute))
    needs_token = caller is not ANONYMOUS
    found = RouteCache(route, path, needs_token=needs_token).find(
        path.replace("{thing_id}", "7"), b"", caller
    )
    assert found is not None
    return found.key


def test_k12_another_schema_is_another_key_and_the_same_one_is_not():
    assert key_of(Old) != key_of(New)
    assert key_of(Old) == key_of(Old)


def test_k11_no_route_reads_what_another_keeps_under_the_same_key():
    assert key_of(Old) != key_of(Old, path="/others/{thing_id}")


def test_k11_one_key_for_two_audiences_is_stored_separately():
    key, ttl = "user:{user_id}", minutes(1)
    own = Cached(key, ttl=ttl, audience=one_caller)
    shared = Cached(key, ttl=ttl, audience=every_caller)
    router = APIRouter()
    router.add_api_route("/users/{user_id}", own.serves(shared.serves(fresh(of_a_user))))
    (route,) = routes_of({"read_user": Feature(router=router)})
    assert route.cache is not None
    path = f"/api/v1/users/{ID}"
    mine = route.cache.find(path, b"", Caller(user_id=ID))
    theirs = route.cache.find(path, b"", Caller(user_id=OTHER))
    assert (mine and mine.cached, theirs and theirs.cached) == (own, shared)
    assert mine is not None
    assert theirs is not None
    assert mine.key != theirs.key
