"""The relay, turn by turn, with servers that are taken away from it."""

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pytest
import svcs
from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, Drops, everyone
from kernel.events import JobDue, known_events
from kernel.identity.revocation import Revocations
from kernel.jobs import every, job, minutes
from kernel.jobs.broker import celery_app
from kernel.jobs.publisher import Publisher
from kernel.jobs.table import JobTable
from kernel.outbox import relay
from kernel.outbox.outbox import Outbox
from kernel.redis import RedisAway
from kernel.supabase import AsService
from kernel.web.routing import Answer
from kit.slices.shared.things import ThingChanged, ThingPublished
from kit.waiting import until


@job(on=ThingPublished, once_per="thing_id")
async def tell(thing_id: UUID) -> None:
    pass


@job(on=ThingPublished, queue="cpu")
def draw(thing_id: UUID) -> None:
    pass


@job(schedule=every(minutes(10)))
async def tick() -> None:
    pass


THING = Cached("kept-thing:{thing_id}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
PAGE = Cached("kept-things:page:{page}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
router = APIRouter()


@router.get("/kept-things/{thing_id}")
@THING.serves
async def kept_thing(thing_id: UUID) -> Answer[UUID]:
    return Answer(thing_id)


@router.get("/kept-things")
@PAGE.serves
async def kept_things(page: int = 1) -> Answer[int]:
    return Answer(page)


FEATURES = {"tested": Feature(router=router, caller="ignored", jobs=(tell, draw, tick))}
JOBS = JobTable.of(FEATURES)


class CountingOutbox(Outbox):
    """The outbox; counts how often it was asked."""

    claims = 0

    async def claim(self, **options):
        self.claims += 1
        return await super().claim(**options)


@contextlib.asynccontextmanager
async def running_relay(own, *, outbox: type[Outbox] = CountingOutbox, lost_after=3600):
    async with own.services(FEATURES) as services:
        drops, revocations, db = svcs.Container(services).get(Drops, Revocations, AsService)
        publisher = Publisher(celery_app(own.settings), JOBS)
        one = relay.Relay(
            outbox(db),
            publisher,
            drops=drops,
            revocations=revocations,
            jobs=JOBS,
            events=known_events("kit.slices.shared"),
            lost_after_seconds=lost_after,
        )
        yield one
        publisher.close()


@pytest.fixture
async def a_relay(own_stack):
    async with running_relay(own_stack) as one:
        yield one


@pytest.fixture
async def author(own_stack):
    author = await own_stack.user()
    await own_stack.forget()
    return author


def messages(own, queue="default"):
    """Return the messages of a queue, newest first: job, run, event."""
    found = [json.loads(text) for text in own.broker.client.lrange(queue, 0, -1)]
    return [(one["headers"]["task"], UUID(one["headers"]["id"])) for one in found]


def published(own, run):
    return [found for _, found in messages(own)].count(run)


def tag_version(own, tag):
    return own.cache.client.get(f"tag:{tag}")


def run_of(thing):
    return tell.run_id(ThingPublished(thing_id=thing, author_id=uuid4()), 0, 0)


async def pending(own):
    rows = await own.events()
    return [row["topic"] for row in rows if row["delivered_at"] is None]


async def turned(one, condition):
    """Let the relay turn until the condition holds."""

    async def again():
        await one.turn()
        found = condition()
        return await found if asyncio.iscoroutine(found) else found

    return await until(again)


@contextlib.asynccontextmanager
async def taken_away(server, how):
    """Let a server be frozen (it is silent), or killed (it refuses)."""
    if how == "silent":
        with server.frozen():
            yield
        return
    server.kill()
    try:
        yield
    finally:
        await server.start()


# What a turn does --------------------------------------------------------------------------------


async def test_k13_a_turn_drops_what_a_changed_row_is_cached_under(own_stack, a_relay, author):
    thing = await own_stack.thing(author, published=False)
    assert tag_version(own_stack, f"kept-thing:{thing}") is None
    await a_relay.turn()
    one, page = (
        tag_version(own_stack, f"kept-thing:{thing}"),
        tag_version(own_stack, "kept-things:page:*"),
    )
    assert one
    assert page
    await own_stack.sql.execute("update public.things set title = 'Edited in Studio'")
    await a_relay.turn()
    assert tag_version(own_stack, f"kept-thing:{thing}") != one
    assert tag_version(own_stack, "kept-things:page:*") != page


async def test_a_turn_publishes_the_jobs_and_writes_their_runs_down(own_stack, a_relay, author):
    thing = await own_stack.thing(author)
    assert await a_relay.turn()
    assert messages(own_stack) == [("outbox.tell", run_of(thing))]
    assert [name for name, _ in messages(own_stack, "cpu")] == ["outbox.draw"]
    (event,) = await own_stack.events("thing_published")
    rows = await own_stack.sql.fetch("select * from jobs.runs order by job desc")
    assert [(row["job"], row["event_id"], row["item"]) for row in rows] == [
        ("outbox.tell", event["id"], 0),
        ("outbox.draw", event["id"], 0),
    ]
    assert UUID(str(rows[0]["id"])) == run_of(thing)
    assert await pending(own_stack) == []


async def test_a_turn_without_events_is_the_last_for_now(own_stack, a_relay, author):
    await own_stack.thing(author)
    assert await a_relay.turn()
    assert not await a_relay.turn()


async def test_an_event_of_many_rows_leads_to_a_run_for_each(own_stack, a_relay):
    things = [uuid4() for _ in range(250)]
    await own_stack.put("thing_published", *({"thing_id": one, "author_id": one} for one in things))
    await a_relay.turn()
    assert {run for _, run in messages(own_stack)} == {run_of(thing) for thing in things}
    assert len(set(messages(own_stack, "cpu"))) == len(things)


async def test_an_event_that_is_told_twice_is_the_same_run(own_stack, a_relay, author):
    await own_stack.thing(author)
    await a_relay.turn()
    await own_stack.sql.execute("update outbox.events set published_at = null")
    await a_relay.turn()
    for queue in ("default", "cpu"):
        first, second = messages(own_stack, queue)
        assert first == second
    assert await own_stack.sql.fetchval("select count(*) from jobs.runs") == 2


async def test_a_slot_is_published_to_its_job_alone(own_stack, a_relay):
    await own_stack.put("job_due", {"job": "outbox.tick", "slot": "2026-01-01T00:00:00+00:00"})
    await a_relay.turn()
    slot = JobDue(job="outbox.tick", slot=datetime(2026, 1, 1, tzinfo=UTC))
    assert messages(own_stack) == [("outbox.tick", tick.run_id(slot, 0, 0))]
    assert await pending(own_stack) == []


async def test_c11_relays_beside_each_other_publish_each_event_once(own_stack):
    things = [uuid4() for _ in range(250)]
    for thing in things:
        await own_stack.put("thing_published", {"thing_id": thing, "author_id": thing})

    async def work():
        async with running_relay(own_stack) as one:
            while await one.turn():
                pass

    await asyncio.gather(*(work() for _ in range(3)))
    assert sorted(run for _, run in messages(own_stack)) == sorted(map(run_of, things))


@pytest.mark.parametrize("rows", [5_000, pytest.param(200_000, marks=pytest.mark.slow)])
async def test_a_change_of_many_rows_is_dropped_whole(own_stack, a_relay, rows):
    await own_stack.put("thing_changed", *({"thing_id": uuid4()} for _ in range(rows)))
    await a_relay.turn()
    assert own_stack.cache.client.dbsize() == rows + 1
    # That took long, and meanwhile the gateway may have closed the connection.
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await turned(a_relay, lambda: none_pending(own_stack))


# A part that is away -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_without_the_cache_jobs_go_on_and_drops_follow(own_stack, a_relay, author, how):
    async with taken_away(own_stack.cache, how):
        thing = await own_stack.thing(author)
        await a_relay.turn()
        assert published(own_stack, run_of(thing)) == 1
        later = await own_stack.thing(author)
        await a_relay.turn()
        assert published(own_stack, run_of(later)) == 1
        assert {row["dropped_at"] for row in await own_stack.events()} == {None}
    await turned(a_relay, lambda: tag_version(own_stack, f"kept-thing:{later}"))
    assert tag_version(own_stack, f"kept-thing:{thing}")
    assert await pending(own_stack) == []
    assert published(own_stack, run_of(thing)) == 1


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_c7_without_the_broker_drops_go_on_and_jobs_follow(own_stack, a_relay, author, how):
    async with taken_away(own_stack.broker, how):
        thing = await own_stack.thing(author)
        await a_relay.turn()
        assert tag_version(own_stack, f"kept-thing:{thing}")
        later = await own_stack.thing(author)
        await a_relay.turn()
        assert tag_version(own_stack, f"kept-thing:{later}")
        assert {row["published_at"] for row in await own_stack.events()} == {None}
    await turned(a_relay, lambda: none_pending(own_stack))
    # A broker that was silent may have taken more than it could say: a run told twice is one run.
    assert {run for _, run in messages(own_stack)} == {run_of(thing), run_of(later)}


async def none_pending(own):
    return not await pending(own)


@pytest.mark.parametrize("part", ["broker", "cache"])
async def test_c7_a_relay_does_not_hurry_while_a_part_is_away(
    own_stack, a_relay, author, monkeypatch, part
):
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.05)
    await a_relay.turn()  # it has looked for lost jobs, and will not again for a while
    stop, started = asyncio.Event(), time.monotonic()
    async with taken_away(getattr(own_stack, part), "refused"):
        running = asyncio.create_task(a_relay.run(stop))
        for _ in range(5):
            thing = await own_stack.thing(author)
            await until(partial(half_done, own_stack, thing))
        await until(lambda: time.monotonic() - started > 0.5)
        stop.set()
        await running
    # One each time that it was idle, and one more at once where there was something to do.
    assert 5 <= a_relay._outbox.claims <= (time.monotonic() - started) / 0.05 + 2 * 5 + 1


async def half_done(own, thing):
    return await own.sql.fetchval(
        "select count(*) = 2 from outbox.events where items @> $1 "
        "and (dropped_at is not null or published_at is not null)",
        [{"thing_id": thing}],
    )


async def answers(redis):
    try:
        return await redis.ask(("PING",))
    except RedisAway:
        return None


async def test_without_cache_and_broker_nothing_is_claimed(own_stack, a_relay, author, frozen_time):
    await own_stack.thing(author)
    async with taken_away(own_stack.cache, "refused"), taken_away(own_stack.broker, "refused"):
        await a_relay.turn()
        for _ in range(10):
            assert not await a_relay.turn()
        assert a_relay._outbox.claims == 1
    await until(lambda: answers(a_relay._drops._redis))
    frozen_time.tick(0.5)
    assert await a_relay.turn()
    assert await pending(own_stack) == []


async def test_without_the_database_a_turn_does_nothing_and_the_next_goes_on(
    own_stack, a_relay, author, frozen_time
):
    thing = await own_stack.thing(author)
    async with own_stack.away():
        for _ in range(10):
            assert not await a_relay.turn()
        assert a_relay._outbox.claims == 1
    frozen_time.tick(0.5)
    await turned(a_relay, lambda: none_pending(own_stack))
    assert published(own_stack, run_of(thing)) == 1


@pytest.mark.parametrize("function", ["claim_events", "settle_events"])
async def test_a_database_that_refuses_a_call_does_not_end_the_relay(
    own_stack, a_relay, author, function
):
    await own_stack.thing(author)
    async with renamed(own_stack, function):
        assert not await a_relay.turn()
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await turned(a_relay, lambda: none_pending(own_stack))


@contextlib.asynccontextmanager
async def renamed(own, function):
    """Let a function be missing, as it is while an older schema is in place."""
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")


# Events that cannot be carried -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "item", "reason"),
    [
        ("note_sent", {"note_id": 1}, "this relay does not know the topic"),
        ("thing_changed", {"thing_id": "not an id"}, "an item does not fit ThingChanged: 1 errors"),
        ("thing_published", {"thing_id": str(uuid4())}, "an item does not fit ThingPublished"),
        ("thing_changed", "not an object", "an item does not fit ThingChanged"),
        ("job_due", {"job": "later.tick", "slot": "2026-01-01T00:00:00Z"}, "does not know the job"),
    ],
)
async def test_an_event_that_is_not_understood_waits_and_holds_up_no_other(
    own_stack, a_relay, author, topic, item, reason
):
    sql = own_stack.sql
    await sql.execute("insert into outbox.topics values ('note_sent', '{}') on conflict do nothing")
    number = await own_stack.put(topic, item)
    thing = await own_stack.thing(author)
    await a_relay.turn()
    assert published(own_stack, run_of(thing)) == 1
    assert tag_version(own_stack, f"kept-thing:{thing}")
    (waiting,) = [row for row in await own_stack.events() if row["delivered_at"] is None]
    assert (waiting["id"], waiting["attempts"], waiting["claim"]) == (number, 1, None)
    assert waiting["published_at"] is None
    assert reason in waiting["error"]
    assert waiting["not_before"] > await sql.fetchval("select now()")
    assert not await a_relay.turn()  # it is not tried at once


async def test_an_event_of_a_newer_version_is_delivered_by_a_relay_that_knows_it(
    own_stack, a_relay, author
):
    thing = await own_stack.thing(author, published=False)
    a_relay._events = {}
    await a_relay.turn()
    assert await pending(own_stack) == ["thing_changed"]
    await own_stack.sql.execute("update outbox.events set not_before = now()")
    async with running_relay(own_stack) as newer:
        await newer.turn()
    assert await pending(own_stack) == []
    assert tag_version(own_stack, f"kept-thing:{thing}")


async def test_fields_that_this_version_does_not_know_are_no_fault(own_stack, a_relay):
    thing = uuid4()
    await own_stack.put("thing_changed", {"thing_id": thing, "later": 1})
    await a_relay.turn()
    assert tag_version(own_stack, f"kept-thing:{thing}")


# A relay that dies, a broker that forgets --------------------------------------------------------


class StuckOutbox(Outbox):
    """The outbox of a relay that dies between publishing and settling."""

    reached = asyncio.Event()

    async def settle(self, events):
        self.reached.set()
        await asyncio.Event().wait()


async def test_c11_a_relay_that_dies_before_it_settles_leaves_the_event_to_another(
    own_stack, a_relay, author
):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, outbox=StuckOutbox) as first:
        turn = asyncio.create_task(first.turn())
        await StuckOutbox.reached.wait()
        turn.cancel()
        await asyncio.wait([turn])
    assert published(own_stack, run_of(thing)) == 1
    await a_relay.turn()
    assert len(await pending(own_stack)) == 2  # still leased to the one that died
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await a_relay.turn()
    assert await pending(own_stack) == []
    assert published(own_stack, run_of(thing)) == 2
    rows = await own_stack.sql.fetch("select id from jobs.runs where job = 'outbox.tell'")
    assert [UUID(str(row["id"])) for row in rows] == [run_of(thing)]


async def test_a_relay_that_is_stopped_settles_what_it_has_begun(own_stack, a_relay, author):
    await own_stack.thing(author)
    stop = asyncio.Event()
    stop.set()
    running = asyncio.create_task(a_relay.run(stop))
    await running
    assert len(await pending(own_stack)) == 2  # asked to stop before it began
    stop.clear()
    running = asyncio.create_task(a_relay.run(stop))
    await until(lambda: a_relay._outbox.claims)
    stop.set()
    await running
    assert {row["claim"] for row in await own_stack.events()} == {None}
    assert await pending(own_stack) == []


async def test_jobs_whose_messages_the_broker_lost_are_published_again(own_stack, author):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1  # a message waits: nothing is lost
        own_stack.broker.client.flushall()
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1
        assert len(messages(own_stack, "cpu")) == 1


async def test_a_run_that_was_touched_of_late_is_not_lost(own_stack, author):
    await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=3600) as one:
        await one.turn()
        own_stack.broker.client.flushall()
        await one.turn()
        assert messages(own_stack) == []


async def test_while_messages_wait_no_run_counts_as_lost(own_stack, author):
    thing = await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        own_stack.broker.client.delete("default")  # "cpu" still has one
        await one.turn()
        assert published(own_stack, run_of(thing)) == 0
        own_stack.broker.client.delete("cpu")
        await one.turn()
        assert published(own_stack, run_of(thing)) == 1


async def test_runs_that_have_ended_are_not_lost(own_stack, author):
    await own_stack.thing(author)
    async with running_relay(own_stack, lost_after=0) as one:
        await one.turn()
        own_stack.broker.client.flushall()
        await own_stack.sql.execute("update jobs.runs set finished_at = now(), state = 'succeeded'")
        await one.turn()
        assert messages(own_stack) == []


async def test_many_lost_jobs_are_published_as_fast_as_they_are_taken(own_stack):
    await own_stack.sql.execute(
        "insert into jobs.runs (id, job, event_id, item) "
        "select gen_random_uuid(), 'outbox.tell', 1, n from generate_series(1, 250) n"
    )
    taken: set[UUID] = set()

    def all_taken():
        taken.update(run for _, run in messages(own_stack))
        own_stack.broker.client.delete("default")  # as a worker does
        return len(taken) == 250

    async with running_relay(own_stack, lost_after=60) as one:
        await own_stack.sql.execute("update jobs.runs set touched_at = now() - interval '61 s'")
        async with asyncio.timeout(5):
            await turned(one, all_taken)
