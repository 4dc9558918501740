"""K11: every cached route answers the same with the lookup on (missing, then hitting) and off.

The routes are found, not listed. What their parameters may be is stated here by name: a cached
route with a parameter of another name fails until an example is added.
"""

import contextlib
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest

from kernel.app import create_app
from kernel.cache.cached import Audience
from kernel.call import ANONYMOUS, Caller
from kernel.discovery import discover
from kernel.routes import PREFIX, routes_of
from kit.application import running
from kit.small import changed

ROUTES = {route.path: route for route in routes_of(discover()) if route.cache is not None}
MAY_DIFFER = {"x-cache", "ratelimit", "date"}
IN_QUERY = {
    "page": ["1", "2", "100", "101", "0"],
    "page_size": ["1", "100", "101"],
    "published_only": ["true", "false"],
}
REQUEST_ID = {"X-Request-ID": "the-same-for-both"}


@pytest.fixture
def in_path(author, stranger, admin, post, draft):
    """Values of the parameters in paths, by their names."""
    return {
        "post_id": [post.id, draft.id, uuid4()],
        "user_id": [author.id, stranger.id, admin.id, uuid4()],
    }


def examples(route, in_path):
    """Return addresses of a route, without prefix: each value of each parameter."""
    paths = [route.path.removeprefix(PREFIX)]
    queries = [""]
    for one in route.cache._request.parameters:
        place = f"{{{one.name}}}"
        values = in_path.get(one.name) if place in route.path else IN_QUERY.get(one.name)
        if values is None:
            pytest.fail(f"{route.path}: add examples of {one.name} to {__file__}")
        if place in route.path:
            paths = [path.replace(place, str(value)) for path in paths for value in values]
        else:
            queries += [f"?{one.name}={value}" for value in values]
    return [path + query for path in paths for query in queries]


@contextlib.asynccontextmanager
async def both(settings):
    """Two applications in front of one database: the lookup on, and off."""
    off = changed(settings, cache_enabled=False)
    async with running(create_app(settings)) as on, running(create_app(off)) as without:
        yield on, without


def told(answer):
    """Return all of an answer that may not differ."""
    headers = {k: v for k, v in answer.headers.items() if k not in MAY_DIFFER}
    return answer.status_code, answer.content, headers


async def ask(client_for, token, url, **headers):
    async with client_for(token) as client:
        return await client.get(url, headers=REQUEST_ID | headers)


def place_of(route, url, caller) -> Any:
    path, _, query = url.partition("?")
    return route.cache.find(PREFIX + path, query.encode(), caller)


@pytest.fixture
def people(author, stranger, admin):
    return {"anonymous": None, "author": author, "stranger": stranger, "admin": admin}


def test_k11_there_are_cached_routes():
    assert ROUTES


@pytest.mark.parametrize("who", ["anonymous", "author", "stranger", "admin"])
@pytest.mark.parametrize("path", ROUTES)
async def test_k11_a_cached_route_answers_the_same_with_the_lookup_off(
    own_settings, valkey, people, in_path, path, who
):
    route, person = ROUTES[path], people[who]
    token = person and person.token
    caller = Caller(user_id=person.id, role="admin" if who == "admin" else None) if person else None
    states = set()
    async with both(own_settings) as (on, off):
        for url in examples(route, in_path):
            valkey.client.flushall()
            expected = await ask(off, token, url)
            for state in ("MISS", "HIT"):
                answer = await ask(on, token, url)
                assert told(answer) == told(expected), (url, state)
                states.add(answer.headers.get("x-cache"))
                if place_of(route, url, caller or ANONYMOUS) and expected.status_code == 200:
                    assert answer.headers["x-cache"] in {state, "BYPASS"}
            if "etag" in expected.headers:
                known = {"If-None-Match": expected.headers["etag"]}
                unchanged = await ask(on, token, url, **known)
                assert unchanged.status_code == 304
                assert told(unchanged) == told(await ask(off, token, url, **known))
    if who == "anonymous" and route.feature.caller == "required":
        assert states == {None}
    else:
        assert states >= {"MISS", "HIT"}


@pytest.mark.parametrize("path", ROUTES)
async def test_k11_who_shares_an_answer_would_have_loaded_the_same(
    own_settings, people, in_path, path, new_person
):
    route = ROUTES[path]
    others = [people["author"], people["stranger"], await new_person()]
    async with both(own_settings) as (_, off):
        for url in examples(route, in_path):
            places = [(one, place_of(route, url, Caller(user_id=one.id))) for one in others]
            own = [
                place.key
                for _, place in places
                if place is not None and audience_of(place) is Audience.ONE_CALLER
            ]
            assert len(set(own)) == len(own)
            alike = [one for one, place in places if audience_of(place) is Audience.EVERY_CALLER]
            answers = [told(await ask(off, one.token, url)) for one in alike]
            assert all(answer == answers[0] for answer in answers)


def audience_of(place):
    return place and place.cached.audience


def test_k11_every_cached_read_of_the_features_is_on_a_route_that_is_compared():
    reads = set(chain.from_iterable(route.feature.cached for route in ROUTES.values()))
    assert reads == set(chain.from_iterable(one.cached for one in discover().values()))
