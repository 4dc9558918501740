"""Claiming and settling events of the outbox."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from kernel.jobs.table import Message
from kernel.outbox.outbox import Claimed, Outbox

ALL = {"batch": 100, "lease_seconds": 30, "with_drops": True, "with_jobs": True}


@pytest.fixture
async def outbox(own_database):
    async with own_database.as_service() as db:
        yield Outbox(db)


@pytest.fixture
async def author(own_database):
    author = await own_database.user()
    await own_database.forget()
    return author


def ids(events, field="thing_id"):
    return [[UUID(item[field]) for item in event["items"]] for event in events]


async def some_events(own_database, number):
    return [await own_database.put("thing_changed", {"thing_id": uuid4()}) for _ in range(number)]


async def test_c11_claims_at_the_same_time_never_return_the_same_event(own_database, outbox):
    expected = await some_events(own_database, 120)
    found: list[int] = []

    async def claimer():
        while claimed := await outbox.claim(**ALL | {"batch": 7}):
            found.extend(event.id for event in claimed)

    async with asyncio.timeout(20):
        await asyncio.gather(*(claimer() for _ in range(10)))
    assert sorted(found) == expected


async def test_c11_no_event_is_ever_held_twice(own_database, outbox):
    await some_events(own_database, 60)
    held: set[int] = set()
    chance = random.Random(4711)

    async def relay():
        while await own_database_pending():
            claimed = await outbox.claim(**ALL | {"batch": chance.randint(1, 9)})
            assert not held & {event.id for event in claimed}
            held.update(event.id for event in claimed)
            if not claimed:
                continue
            for event in claimed:
                event.dropped = event.dropped or chance.random() < 0.6
                event.published = event.published or chance.random() < 0.6
            held.difference_update(event.id for event in claimed)
            await outbox.settle(claimed)

    async def own_database_pending():
        async with lock:
            return await own_database.sql.fetchval(
                "select exists (select from outbox.events where delivered_at is null)"
            )

    lock = asyncio.Lock()
    await asyncio.gather(*(relay() for _ in range(6)))
    assert not await outbox.claim(**ALL)


async def test_c11_an_event_whose_lease_ran_out_goes_to_another(own_database, outbox):
    (number,) = await some_events(own_database, 1)
    (first,) = await outbox.claim(**ALL)
    assert await outbox.claim(**ALL) == []
    await own_database.sql.execute("update outbox.events set claimed_until = now()")
    (second,) = await outbox.claim(**ALL)
    assert (second.id, first.id) == (number, number)
    assert second.claim != first.claim


async def test_a_lease_runs_out_by_itself(own_database, outbox):
    await some_events(own_database, 1)
    await outbox.claim(**ALL | {"lease_seconds": 7})
    left = await own_database.sql.fetchval("select claimed_until - now() from outbox.events")
    assert timedelta(seconds=5) < left <= timedelta(seconds=7)


async def test_c11_a_relay_that_lost_its_lease_settles_nothing(own_database, outbox):
    await some_events(own_database, 1)
    (first,) = await outbox.claim(**ALL)
    await own_database.sql.execute("update outbox.events set claimed_until = now()")
    (second,) = await outbox.claim(**ALL)
    (before,) = await own_database.events()
    await outbox.settle([replace(first, dropped=True, published=True, error="late")])
    assert await own_database.events() == [before]
    await outbox.settle([replace(second, dropped=True, published=True)])
    (after,) = await own_database.events()
    assert after["delivered_at"] is not None


async def test_a_lease_that_ran_out_still_settles_where_nobody_took_it(own_database, outbox):
    await some_events(own_database, 1)
    (event,) = await outbox.claim(**ALL)
    await own_database.sql.execute("update outbox.events set claimed_until = now()")
    await outbox.settle([replace(event, dropped=True, published=True)])
    (row,) = await own_database.events()
    assert row["delivered_at"] is not None


async def test_the_oldest_events_come_first_and_no_more_than_a_batch(own_database, outbox):
    numbers = await some_events(own_database, 5)
    assert [event.id for event in await outbox.claim(**ALL | {"batch": 3})] == numbers[:3]
    assert [event.id for event in await outbox.claim(**ALL | {"batch": 3})] == numbers[3:]


async def test_a_claim_tells_what_the_event_is(own_database, outbox):
    thing = uuid4()
    number = await own_database.put("thing_changed", {"thing_id": thing}, {"thing_id": thing})
    (event,) = await outbox.claim(**ALL)
    assert event == Claimed(
        id=number,
        topic="thing_changed",
        items=[{"thing_id": str(thing)}] * 2,
        claim=event.claim,
        dropped=False,
        published=False,
    )


@pytest.mark.parametrize(
    ("with_drops", "with_jobs", "expected"),
    [
        (True, True, ["neither", "dropped", "published"]),
        (True, False, ["neither", "published"]),
        (False, True, ["neither", "dropped"]),
        (False, False, []),
    ],
)
async def test_only_events_that_wait_for_the_wanted_part_are_claimed(
    own_database, outbox, with_drops, with_jobs, expected
):
    names = ["neither", "dropped", "published", "both"]
    numbers = dict(zip(await some_events(own_database, 4), names, strict=True))
    await outbox.settle(
        [
            replace(
                event,
                dropped=numbers[event.id] in {"dropped", "both"},
                published=numbers[event.id] in {"published", "both"},
            )
            for event in await outbox.claim(**ALL)
        ]
    )
    claimed = await outbox.claim(**ALL | {"with_drops": with_drops, "with_jobs": with_jobs})
    assert [numbers[event.id] for event in claimed] == expected
    for event in claimed:
        assert event.dropped == (numbers[event.id] == "dropped")
        assert event.published == (numbers[event.id] == "published")


async def test_what_was_acknowledged_stays_so(own_database, outbox):
    await some_events(own_database, 1)
    (event,) = await outbox.claim(**ALL)
    await outbox.settle([replace(event, dropped=True)])
    (half,) = await own_database.events()
    assert (half["claim"], half["claimed_until"], half["delivered_at"]) == (None, None, None)
    (event,) = await outbox.claim(**ALL)
    assert event.dropped
    await outbox.settle([replace(event, dropped=False, published=True)])
    (whole,) = await own_database.events()
    assert whole["dropped_at"] == half["dropped_at"]
    assert whole["delivered_at"] == whole["published_at"] > whole["dropped_at"]


async def test_settling_twice_is_settling_once(own_database, outbox):
    number = await own_database.put("thing_changed", {"thing_id": uuid4()})
    (event,) = await outbox.claim(**ALL)
    event.dropped = event.published = True
    event.messages = [Message(uuid4(), "a.b", number, 0)]
    await outbox.settle([event])
    rows, runs = (
        await own_database.events(),
        await own_database.sql.fetch("select * from jobs.runs"),
    )
    await outbox.settle([event])
    assert await own_database.events() == rows
    assert await own_database.sql.fetch("select * from jobs.runs") == runs
    assert len(runs) == 1


async def test_runs_are_written_down_with_the_request_and_only_if_published(own_database, outbox):
    await own_database.sql.execute(
        """select set_config('request.headers', '{"x-request-id": "request-1"}', false)"""
    )
    numbers = await some_events(own_database, 2)
    await own_database.sql.execute("select set_config('request.headers', '', false)")
    published, waiting = await outbox.claim(**ALL)
    published.published = True
    published.messages = [Message(uuid4(), "a.b", numbers[0], item) for item in range(3)]
    waiting.messages = [Message(uuid4(), "a.b", numbers[1], 0)]
    await outbox.settle([published, waiting])
    rows = await own_database.sql.fetch("select * from jobs.runs order by item")
    assert [UUID(str(row["id"])) for row in rows] == [one.run_id for one in published.messages]
    assert {
        (row["job"], row["event_id"], row["state"], row["attempts"], row["request_id"])
        for row in rows
    } == {("a.b", numbers[0], "queued", 0, "request-1")}


async def test_a_run_that_began_before_it_was_written_down_goes_on(own_database, outbox):
    number = await own_database.put("thing_changed", {"thing_id": uuid4()})
    (event,) = await outbox.claim(**ALL)
    run = uuid4()
    await own_database.sql.execute(
        "select begin_run($1, 'a.b', $2, 0, 'holder', 15, 4)", run, number
    )
    event.published, event.messages = True, [Message(run, "a.b", number, 0)]
    await outbox.settle([event])
    (row,) = await own_database.sql.fetch("select * from jobs.runs")
    assert (row["state"], row["attempts"], row["holder"]) == ("running", 1, "holder")


async def test_an_event_that_fails_by_itself_waits_longer_each_time(own_database, outbox):
    await some_events(own_database, 1)
    waits = []
    for attempt in range(12):
        (event,) = await outbox.claim(**ALL)
        await outbox.settle([replace(event, error="cannot be read")])
        (row,) = await own_database.events()
        assert (row["attempts"], row["error"]) == (attempt + 1, "cannot be read")
        assert await outbox.claim(**ALL) == []
        waits.append(
            await own_database.sql.fetchval(
                "select extract(epoch from not_before - now())::float from outbox.events"
            )
        )
        await own_database.sql.execute("update outbox.events set not_before = now()")
    longest = [min(2**attempt, 300) for attempt in range(9)] + [300] * 3
    for waited, most in zip(waits, longest, strict=True):
        assert most / 2 - 0.5 < waited <= most


async def test_an_event_that_fails_can_still_be_dropped_and_succeeds_later(own_database, outbox):
    await some_events(own_database, 1)
    (event,) = await outbox.claim(**ALL)
    await outbox.settle([replace(event, dropped=True, error="no such job")])
    await own_database.sql.execute("update outbox.events set not_before = now()")
    (event,) = await outbox.claim(**ALL)
    assert event.dropped
    await outbox.settle([replace(event, published=True)])
    (row,) = await own_database.events()
    assert (row["error"], row["attempts"]) == (None, 1)
    assert row["delivered_at"] is not None
