"""Beat and the slots of scheduled jobs, on clocks that stand still."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kernel.jobs import cron, every, job, minutes
from kernel.outbox import beat
from kernel.outbox.beat import Beat
from kernel.outbox.outbox import Outbox
from kit.waiting import until

PERIOD = minutes(10)


@job(schedule=every(PERIOD))
async def tick() -> None:
    pass


@job(schedule=every(minutes(20)))
async def tock() -> None:
    pass


@job(schedule=cron("30 2 * * *", tz="Europe/Berlin"))
async def at_night() -> None:
    pass


@pytest.fixture
def begin(frozen_time):
    """The current slot; the clocks stand still at its start."""
    slot = every(PERIOD).slot(datetime.now(UTC))
    frozen_time.move_to(slot)
    return slot


@pytest.fixture
async def outbox(own_database):
    async with own_database.as_service() as db:
        yield CountingOutbox(db)


class CountingOutbox(Outbox):
    """The outbox; counts its queries."""

    asked = 0

    async def put_slot(self, job, slot):
        self.asked += 1
        return await super().put_slot(job, slot)


async def slots(own, name="outbox.tick"):
    """Return the slots whose events are in the outbox, oldest first."""
    items = [item for row in await own.events("job_due") for item in row["items"]]
    return [datetime.fromisoformat(item["slot"]) for item in items if item["job"] == name]


async def known(own, begin, name="outbox.tick"):
    """Record an earlier slot of the job, so that it is not new."""
    await own.sql.execute("insert into jobs.slots values ($1, $2)", name, begin - 3 * PERIOD)


# Slots in the database ---------------------------------------------------------------------------


async def test_c9_a_slot_is_put_once_however_many_put_it_at_the_same_time(own_database, outbox):
    now = datetime.now(UTC)
    put = await asyncio.gather(*(outbox.put_slot("a.b", now) for _ in range(20)))
    assert sorted(put) == [False] * 19 + [True]
    assert await slots(own_database, "a.b") == [now]


async def test_a_slot_that_was_missed_is_made_up_for(own_database, outbox):
    now = datetime.now(UTC)
    await own_database.sql.execute("insert into jobs.slots values ('a.b', $1)", now - PERIOD * 5)
    assert await outbox.put_slot("a.b", now - PERIOD)
    assert await slots(own_database, "a.b") == [now - PERIOD]


async def test_a_new_job_begins_with_its_next_slot(own_database, outbox):
    now = datetime.now(UTC)
    assert not await outbox.put_slot("a.b", now - PERIOD)
    assert not await outbox.put_slot("a.b", now - PERIOD)
    assert await slots(own_database, "a.b") == []
    assert await outbox.put_slot("a.b", now)
    assert await slots(own_database, "a.b") == [now]


async def test_a_new_job_begins_at_once_where_its_slot_has_just_come(own_database, outbox):
    now = datetime.now(UTC) - timedelta(seconds=30)
    assert await outbox.put_slot("a.b", now)


async def test_a_slot_before_the_newest_one_is_not_put(own_database, outbox):
    # After a change of the schedule, the new one's latest slot may lie before slots that have run.
    now = datetime.now(UTC)
    for slot in (now - PERIOD * 3, now - PERIOD):
        await own_database.sql.execute("insert into jobs.slots values ('a.b', $1)", slot)
    assert not await outbox.put_slot("a.b", now - PERIOD * 2)
    assert await outbox.put_slot("a.b", now)
    assert await slots(own_database, "a.b") == [now]


async def test_slots_of_one_job_do_not_affect_another(own_database, outbox):
    now = datetime.now(UTC)
    assert await outbox.put_slot("a.b", now)
    assert await outbox.put_slot("a.c", now)
    assert not await outbox.put_slot("a.d", now - PERIOD)


# Turns -------------------------------------------------------------------------------------------


async def test_each_slot_is_put_once_when_it_comes(own_database, outbox, frozen_time, begin):
    await known(own_database, begin)
    one, expected = Beat(outbox, [tick]), []
    for number in range(3):
        expected.append(begin + number * PERIOD)
        for second in (0, 1, 599):
            frozen_time.move_to(expected[-1] + timedelta(seconds=second))
            await one.turn()
        assert await slots(own_database) == expected
    assert outbox.asked == 3  # the database is queried for new slots only


async def test_each_job_has_its_own_slots(own_database, outbox, frozen_time, begin):
    begin = every(minutes(20)).slot(begin)
    for name in ("outbox.tick", "outbox.tock"):
        await known(own_database, begin, name)
    one = Beat(outbox, [tick, tock])
    for number in range(1, 5):
        frozen_time.move_to(begin + number * PERIOD)
        await one.turn()
    assert await slots(own_database) == [begin + number * PERIOD for number in (1, 2, 3, 4)]
    # The slot at `begin` was due before the first turn, which put it.
    assert await slots(own_database, "outbox.tock") == [
        begin + number * PERIOD for number in (0, 2, 4)
    ]


async def test_slots_that_came_while_no_beat_ran_are_one(own_database, outbox, frozen_time, begin):
    await known(own_database, begin)
    await Beat(outbox, [tick]).turn()
    frozen_time.tick(PERIOD * 5 + timedelta(seconds=7))
    await Beat(outbox, [tick]).turn()
    assert await slots(own_database) == [begin, begin + PERIOD * 5]


async def test_each_slot_of_a_night_in_which_clocks_change_is_put_once(
    own_database, outbox, frozen_time
):
    name, sql = "outbox.at_night", own_database.sql
    assert at_night.schedule is not None
    for month, day, due in ((3, 29, 60), (10, 25, 30)):
        midnight = datetime(2026, month, day, tzinfo=UTC)
        before = at_night.schedule.slot(midnight)
        await sql.execute("insert into jobs.slots values ($1, $2)", name, before)
        one = Beat(outbox, [at_night])
        for minute in range(-60, 240, 5):
            frozen_time.move_to(midnight + timedelta(minutes=minute))
            await one.turn()
        assert await slots(own_database, name) == [midnight + timedelta(minutes=due)]
        await sql.execute("delete from outbox.events where topic = 'job_due'")


async def test_c9_two_beats_put_each_slot_once(own_database, outbox, frozen_time, begin):
    await known(own_database, begin)
    first, second = (Beat(outbox, [tick]) for _ in range(2))
    for number in range(5):
        frozen_time.move_to(begin + number * PERIOD)
        await asyncio.gather(first.turn(), second.turn())
    assert await slots(own_database) == [begin + number * PERIOD for number in range(5)]


async def test_a_slot_that_comes_while_the_database_is_away_is_put_later(
    own_database, outbox, frozen_time, begin
):
    await known(own_database, begin)
    one = Beat(outbox, [tick])
    async with own_database.away():
        await one.turn()
        await one.turn()
        assert await slots(own_database) == []
    frozen_time.tick(30)
    await until(lambda: turned(one, own_database))
    assert await slots(own_database) == [begin]


async def turned(one, own):
    await one.turn()
    return await slots(own)


async def test_a_database_that_refuses_a_slot_does_not_end_beat(
    own_database, outbox, frozen_time, begin
):
    await known(own_database, begin)
    one = Beat(outbox, [tick])
    sql = own_database.sql
    await sql.execute("alter function public.put_slot rename to gone")
    try:
        await one.turn()
    finally:
        await sql.execute("alter function public.gone rename to put_slot")
    await one.turn()
    assert await slots(own_database) == [begin]


async def test_beat_puts_slots_until_it_is_stopped(
    own_database, outbox, frozen_time, begin, monkeypatch
):
    monkeypatch.setattr(beat, "LOOK_SECONDS", 0.01)
    await known(own_database, begin)
    stop = asyncio.Event()
    running = asyncio.create_task(Beat(outbox, [tick]).run(stop))
    await until(lambda: slots(own_database))
    frozen_time.tick(PERIOD)
    await until(lambda: two(own_database))
    stop.set()
    await running


async def two(own):
    return len(await slots(own)) == 2
