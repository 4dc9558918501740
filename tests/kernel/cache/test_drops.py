"""Drops of a change: the writer's response waits for them, and never fails because of the cache."""

import contextlib
import time
from uuid import UUID, uuid4

import pytest

from kernel.boot.app import create_app
from kernel.cache import Cached, CacheUnavailable, Drops, everyone, minutes
from kernel.cache.drops import VERSION_SECONDS, Announce
from kernel.cache.lookup import Lookup
from kernel.cache.reads import Reads
from kernel.cache.stored import RenderedResponse
from kernel.events import Event
from kernel.redis import WakeUps, connect_pipeline
from kit.application import SLICES, running
from kit.slices.shared.things import ThingChanged, ThingPublished
from kit.waiting import until

THING = UUID("3820052a-bbd0-4a50-bce5-53a231166443")
ONE = Cached("one:{thing_id}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
PAGE = Cached("page:{page}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
LISTED = Cached(
    "listed:{page}:{size}",
    ttl=minutes(9),
    audience=everyone,
    drop_on=(ThingChanged,),
    where={"page": range(1, 101), "size": (10, 20)},
)
NEVER = Cached("never:{thing_id}", ttl=minutes(9), audience=everyone)
OTHERS = ("long-", "short-", "motto")  # keys of other slices of the kit


class Numbered(Event):
    number: int
    name: str | None = None


@pytest.fixture
async def redis(own_stack):
    redis = connect_pipeline(own_stack.settings)
    yield redis
    await redis.aclose()


@pytest.fixture
def drops(redis):
    return Drops(redis, {ONE: (), PAGE: (), NEVER: ()})


@pytest.fixture
async def announce(redis, drops):
    wake_ups = WakeUps(redis)
    yield Announce(drops, wake_ups)
    await wake_ups.aclose()


def versions(own):
    client = own.cache.client
    found = {name.removeprefix("tag:"): client.get(name) for name in client.scan_iter("tag:*")}
    return {tag: version for tag, version in found.items() if not tag.startswith(OTHERS)}


# Tags --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "event", "tag"),
    [
        ("things", ThingChanged(thing_id=THING), "things"),
        ("thing:{thing_id}", ThingChanged(thing_id=THING), f"thing:{THING}"),
        ("things:{page}", ThingChanged(thing_id=THING), "things:*"),
        ("things:{page}:{thing_id}:{page}", ThingChanged(thing_id=THING), f"things:*:{THING}:*"),
        ("a:{number}:{name}", Numbered(number=7, name="{number}"), "a:7:{number}"),
    ],
)
def test_a_tag_is_filled_from_the_event_and_the_rest_stands_for_all(key, event, tag):
    assert Cached(key, ttl=minutes(9), audience=everyone).tag(event) == tag


def test_only_what_reads_an_event_is_dropped_by_it(drops):
    changed = ThingChanged(thing_id=THING)
    assert drops.tags([changed, changed]) == {f"one:{THING}", "page:*"}
    assert drops.tags([ThingPublished(thing_id=THING, author_id=THING)]) == set()


# Drops -------------------------------------------------------------------------------------------


async def test_each_drop_writes_new_tag_versions(own_stack, drops):
    seen = set()
    for _ in range(20):
        await drops.drop([ThingChanged(thing_id=THING)])
        assert versions(own_stack).keys() == {f"one:{THING}", "page:*"}
        seen.update(versions(own_stack).values())
    assert len(seen) == 40


async def test_tag_versions_do_not_stay_for_ever(own_stack, drops):
    await drops.drop([ThingChanged(thing_id=THING)])
    for name in versions(own_stack):
        left = own_stack.cache.client.ttl(f"tag:{name}")
        assert VERSION_SECONDS - 5 < left <= VERSION_SECONDS * 1.25


async def test_a_drop_replaces_whatever_lies_under_its_key(own_stack, drops):
    own_stack.cache.client.rpush("tag:page:*", "not a version")
    await drops.drop([ThingChanged(thing_id=THING)])
    assert own_stack.cache.client.type("tag:page:*") == "string"


async def test_an_event_without_cached_reads_does_not_query_the_cache(own_stack, drops):
    own_stack.cache.kill()
    try:
        await drops.drop([])
        await drops.drop([ThingPublished(thing_id=THING, author_id=THING)])
    finally:
        await own_stack.cache.start()


@contextlib.asynccontextmanager
async def faulty(own, how):
    client = own.cache.client
    if how == "refused":
        own.cache.kill()
    elif how == "full":
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    try:
        with own.cache.frozen() if how == "silent" else contextlib.nullcontext():
            yield
    finally:
        if how == "refused":
            await own.cache.start()
        elif how == "full":
            client.config_set("maxmemory", "256mb")
            client.config_set("maxmemory-policy", "volatile-lru")


async def test_a_cache_that_is_full_drops_by_taking_tag_versions_away(own_stack, drops):
    await drops.drop([ThingChanged(thing_id=THING)])
    async with faulty(own_stack, "full"):
        await drops.drop([ThingChanged(thing_id=THING)])
        assert versions(own_stack) == {}


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_cache_that_does_not_take_a_drop_is_unavailable(own_stack, drops, how):
    await drops.drop([ThingChanged(thing_id=THING)])
    before = versions(own_stack)
    async with faulty(own_stack, how):
        with pytest.raises(CacheUnavailable):
            await drops.drop([ThingChanged(thing_id=THING)])

    async def taken():
        with contextlib.suppress(CacheUnavailable):
            await drops.drop([ThingChanged(thing_id=THING)])
            return True

    await until(taken)
    assert not set(versions(own_stack).values()) & set(before.values())


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_an_announcement_never_fails_for_the_cache(own_stack, announce, how, caplog):
    async with faulty(own_stack, how):
        started = time.perf_counter()
        await announce(ThingChanged(thing_id=THING))
        assert time.perf_counter() - started < 1
    own = [line.message for line in caplog.records if line.name == "kernel.cache.drops"]
    assert own == ["The relay drops these reads later"]


async def test_one_announcement_may_have_several_events(own_stack, announce):
    other = uuid4()
    await announce(ThingChanged(thing_id=THING), ThingChanged(thing_id=other))
    assert versions(own_stack).keys() == {f"one:{THING}", f"one:{other}", "page:*"}


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cached", "number"),
    [(ONE, 1), (LISTED, 200), (PAGE, 0), (Cached("all", ttl=minutes(9), audience=everyone), 1)],
)
def test_an_event_knows_the_keys_that_its_fields_and_where_determine(cached, number):
    found = list(cached.keys(ThingChanged(thing_id=THING)))
    assert len(set(found)) == len(found) == number
    if cached is LISTED:
        assert {"listed:1:10", "listed:100:20"} <= set(found)
    if cached is ONE:
        assert found == [f"one:{THING}"]


def test_the_keys_of_each_event_are_its_own_although_its_list_is_computed_once():
    where = {"page": (1, 2)}
    pages = Cached("of:{thing_id}:{page}", ttl=minutes(9), audience=everyone, where=where)
    for thing in (THING, uuid4()):
        found = list(pages.keys(ThingChanged(thing_id=thing)))
        assert found == [f"of:{thing}:1", f"of:{thing}:2"]
    assert list(pages.keys(Numbered(number=1))) == []


def test_more_keys_than_a_drop_may_name_are_left_to_expire():
    where = {"page": range(1, 1002)}
    many = Cached("many:{page}", ttl=minutes(9), audience=everyone, where=where)
    assert list(many.keys(ThingChanged(thing_id=THING))) == []


async def test_s11_a_drop_deletes_the_values_of_every_route_and_no_others(own_stack, redis):
    other = uuid4()
    gone = {f"cache:a:one:{THING}", f"cache:b:one:{THING}", "cache:c:listed:100:20"}
    kept = {f"cache:a:one:{other}", "cache:c:listed:101:20", "cache:d:page:1"}
    client = own_stack.cache.client
    for name in gone | kept:
        client.set(name, "what a user wrote")
    prefixes = {ONE: ["cache:a:", "cache:b:"], LISTED: ["cache:c:"], PAGE: ["cache:d:"]}
    drops = Drops(redis, prefixes)
    await drops.drop([ThingChanged(thing_id=THING)])
    assert set(client.scan_iter("cache:*")) == kept


@pytest.mark.parametrize("again", [False, True])
async def test_s11_what_is_dropped_while_it_is_loaded_does_not_stay(own_stack, redis, again):
    key, tag = f"cache:a:one:{THING}", f"tag:one:{THING}"
    drops = Drops(redis, {ONE: ["cache:a:"]})
    reads = Reads(redis, drops)
    lookup = Lookup(ONE, key, (tag,), ("MGET", key, tag))

    async def load():
        if again:
            await drops.drop([ThingChanged(thing_id=THING)])
        headers = [(b"content-type", b"application/json")]
        return RenderedResponse(200, headers, b'"what a user wrote"')

    (reply,) = await redis.ask(lookup.command)
    await reads.load(lookup, reads.judge(reply), load)
    assert own_stack.cache.client.exists(key) == (0 if again else 1)
    await reads.aclose()


# Through the API ---------------------------------------------------------------------------------


@pytest.fixture
async def client(own_stack):
    """A client of an application that caches reads of things."""
    app = create_app(own_stack.settings, SLICES)
    _, token = await own_stack.sign_up()
    async with running(app) as client_for, client_for(token) as client:
        yield client


async def write(client):
    started = time.perf_counter()
    answer = await client.post("/things", json={"title": "A thing", "content": "Text."})
    assert answer.status_code == 201
    return answer.json()["data"]["id"], time.perf_counter() - started


async def test_reads_of_a_thing_are_dropped_before_its_writer_gets_the_response(own_stack, client):
    thing, _ = await write(client)
    first = versions(own_stack)
    assert {f"kept-thing:{thing}", "kept-things:page:*:*"} == first.keys()
    other, _ = await write(client)
    second = versions(own_stack)
    dropped = second.keys() - first.keys()
    assert dropped == {f"kept-thing:{other}"}
    assert second["kept-things:page:*:*"] != first["kept-things:page:*:*"]
    assert second[f"kept-thing:{thing}"] == first[f"kept-thing:{thing}"]


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_thing_is_written_as_fast_without_the_cache(own_stack, client, how):
    _, usual = await write(client)
    async with faulty(own_stack, how):
        for _ in range(2):
            _, seconds = await write(client)
            assert seconds < usual + 1


async def test_a_thing_that_is_refused_drops_nothing(own_stack, client):
    answer = await client.post("/things", json={"title": "No", "content": "Text."})
    assert answer.status_code == 422
    assert versions(own_stack) == {}
