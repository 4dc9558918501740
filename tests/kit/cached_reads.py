"""Rules for every cached read: a slice that has one subclasses `CachedReads` in its tests.

class TestCachedReads(CachedReads):
    slice = "get_post"

    @pytest.fixture
    def values(self, post, draft):
        return {"post_id": [post.id, draft.id, uuid4()]}
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, ClassVar

import httpx
import pytest

from kernel import Feature
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.cache.cached import Audience
from kernel.cache.lookup import Lookup
from kernel.config.settings import Settings
from kernel.core.caller import ANONYMOUS, Caller
from kernel.core.cursors import CursorKeys
from kernel.edge.routes import Route, routes_of
from kernel.web.routing import PREFIX
from kit.application import CLIENTS, running
from kit.front import Front, refuses
from kit.people import NewPerson, Person
from kit.small import changed
from kit.valkeys import Valkey
from kit.wire import wire_to

ADDRESS = "203.0.113.9"
PAGES: Mapping[str, list[object]] = {
    "page": [1, 2, 100, 101, 0],
    "page_size": [1, 100, 101],
}
"""The parameters by which a page of a list is requested, and their values."""
MAY_DIFFER = {"x-cache", "ratelimit", "date"}
REQUEST_ID = {"X-Request-ID": "the-same-for-both"}

Client = Callable[..., httpx.AsyncClient]
Values = Mapping[str, Iterable[object]]


class CachedReads:
    """The tests; `slice` names the slice, `values` holds the values of its routes' parameters."""

    slice: ClassVar[str]
    package: ClassVar[str] = "features"

    @pytest.fixture
    def values(self) -> Values:
        """Values of the parameters of its cached routes, by name: each value is tried."""
        return {}

    @pytest.fixture
    def features(self) -> Mapping[str, Feature]:
        """The slices of the application."""
        return discover(self.package)

    @pytest.fixture
    def routes(self, features: Mapping[str, Feature], settings: Settings) -> list[Route]:
        """The slice's routes with cached reads."""
        keys = CursorKeys(*settings.cursor_secrets)
        own = [one for one in routes_of({self.slice: features[self.slice]}, keys) if one.cache]
        assert own, f"{self.slice} has no cached read"
        return own

    @pytest.fixture
    def own_settings(self, settings: Settings, valkey: Valkey, patient_redis: None) -> Settings:
        """Settings with a separate cache for this test."""
        return changed(settings, redis_port=valkey.port, redis_db=0, trusted_proxies=[str(CLIENTS)])

    @pytest.fixture
    async def both(
        self, own_settings: Settings, features: Mapping[str, Feature]
    ) -> AsyncIterator[tuple[Client, Client]]:
        """Two applications that use one database: one with the cache lookup, one without."""
        off = create_app(changed(own_settings, cache_enabled=False), features)
        async with running(create_app(own_settings, features)) as on, running(off) as without:
            yield on, without

    @pytest.mark.parametrize("who", ["anonymous", "author", "stranger", "admin"])
    async def test_k11_it_answers_the_same_with_the_lookup_on_and_off(
        self,
        both: tuple[Client, Client],
        valkey: Valkey,
        routes: list[Route],
        values: Values,
        who: str,
        author: Person,
        stranger: Person,
        admin: Person,
    ) -> None:
        """With a miss, with a hit, and if the client has the response already (304)."""
        person = {"author": author, "stranger": stranger, "admin": admin}.get(who)
        token = person.token if person else None
        role = "admin" if who == "admin" else None
        caller = Caller(user_id=person.id, role=role) if person else ANONYMOUS
        on, off = both
        for route in routes:
            states = set()
            for url in addresses(route, values):
                valkey.client.flushall()
                expected = await _ask(off, token, url)
                for state in ("MISS", "HIT"):
                    answer = await _ask(on, token, url)
                    assert _told(answer) == _told(expected), (url, state)
                    states.add(answer.headers.get("x-cache"))
                    if place_of(route, url, caller) and expected.status_code == 200:
                        assert answer.headers["x-cache"] in {state, "BYPASS"}
                if "etag" in expected.headers:
                    known = {"If-None-Match": expected.headers["etag"]}
                    unchanged = await _ask(on, token, url, **known)
                    assert unchanged.status_code == 304
                    assert _told(unchanged) == _told(await _ask(off, token, url, **known))
            if who == "anonymous" and route.feature.caller == "required":
                assert states == {None}
            else:
                assert states >= {"MISS", "HIT"}

    async def test_k11_those_who_share_an_answer_would_have_loaded_the_same(
        self,
        both: tuple[Client, Client],
        routes: list[Route],
        values: Values,
        author: Person,
        stranger: Person,
        new_person: NewPerson,
    ) -> None:
        """And a private response is stored under a separate key for each caller."""
        others = [author, stranger, await new_person()]
        _, off = both
        for route in routes:
            for url in addresses(route, values):
                places = [(one, place_of(route, url, Caller(user_id=one.id))) for one in others]
                own = [
                    place.key
                    for _, place in places
                    if place is not None and place.cached.audience is Audience.ONE_CALLER
                ]
                assert len(set(own)) == len(own)
                alike = [
                    one
                    for one, place in places
                    if place is not None and place.cached.audience is Audience.EVERY_CALLER
                ]
                answers = [_told(await _ask(off, one.token, url)) for one in alike]
                assert all(answer == answers[0] for answer in answers)

    def test_k11_every_cached_read_is_on_a_route_that_is_compared(
        self, features: Mapping[str, Feature], routes: list[Route]
    ) -> None:
        """The comparison above covers every cached read."""
        compared = {one for route in routes for one in route.reads}
        assert compared == set(features[self.slice].cached)

    async def test_r6_limit_session_and_cached_answer_are_one_round_trip(
        self,
        settings: Settings,
        valkey: Valkey,
        patient_redis: None,
        features: Mapping[str, Feature],
        routes: list[Route],
        values: Values,
        author: Person,
    ) -> None:
        """Also if the response is 304."""
        async with wire_to(valkey.port) as wire:
            through = changed(settings, redis_port=wire.port, redis_db=0)
            app = create_app(through, features)
            async with running(app) as client_for:
                client = client_for(author.token, address=ADDRESS)
                for route in routes:
                    url = addresses(route, values)[0]
                    for _ in range(2):  # first the token is new, then the response
                        await client.get(url)
                    session = [] if route.feature.caller == "ignored" else ["EVALSHA"]
                    before = len(wire.asked)
                    answer = await client.get(url)
                    assert answer.headers["x-cache"] == "HIT"
                    known = {"If-None-Match": answer.headers["etag"]}
                    assert (await client.get(url, headers=known)).status_code == 304
                    assert wire.asked[before:] == [["EVALSHA", *session, "MGET"]] * 2
                await client.aclose()

    async def test_a5_without_supabase_a_miss_is_503(
        self,
        settings: Settings,
        valkey: Valkey,
        front: Front,
        features: Mapping[str, Feature],
        routes: list[Route],
        values: Values,
        author: Person,
    ) -> None:
        """A read that needs Supabase responds 503 with Retry-After."""
        own = front.settings(settings, cache_enabled=True, redis_port=valkey.port, redis_db=0)
        app = create_app(own, features)
        async with running(app) as client_for, client_for(author.token) as client:
            first = addresses(routes[0], values)[0]
            await client.get(first)  # now the token is cached
            asked = front.count("rest")
            front.rest = front.auth = refuses
            valkey.client.flushall()
            for route in routes:
                answer = await client.get(addresses(route, values)[0])
                if not asked:  # this read does not need Supabase
                    assert answer.status_code == 200
                    continue
                assert answer.status_code == 503
                assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
                assert int(answer.headers["retry-after"]) > 0


def addresses(route: Route, values: Values) -> list[str]:
    """Return addresses of a cached route, without prefix: one for each value of each parameter."""
    assert route.cache is not None
    paths, queries = [route.path.removeprefix(PREFIX)], [""]
    for one in route.cache._request.parameters:
        if one.name not in values:
            pytest.fail(f"{route.path}: add examples of {one.name} to `values` in this class")
        place = f"{{{one.name}}}"
        if place in route.path:
            paths = [
                path.replace(place, str(value)) for path in paths for value in values[one.name]
            ]
        else:
            queries += [f"?{one.name}={_word(value)}" for value in values[one.name]]
    return [path + query for path in paths for query in queries]


def place_of(route: Route, url: str, caller: Caller) -> Lookup | None:
    """Return where the response is cached, or None if it is not cached."""
    path, _, query = url.partition("?")
    assert route.cache is not None
    return route.cache.find(PREFIX + path, query.encode(), caller)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return the parts of a response that must not differ."""
    headers = {name: value for name, value in answer.headers.items() if name not in MAY_DIFFER}
    return answer.status_code, answer.content, headers


async def _ask(client_for: Client, token: str | None, url: str, **headers: Any) -> httpx.Response:
    async with client_for(token) as client:
        return await client.get(url, headers=REQUEST_ID | headers)
