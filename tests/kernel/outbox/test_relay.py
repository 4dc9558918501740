"""The relay, turn by turn."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from kernel.events import JobDue
from kernel.outbox import relay
from kit.outbox.relays import (
    messages,
    none_pending,
    pending,
    run_of,
    running_relay,
    tag_version,
    tick,
    turned,
)


@pytest.fixture
async def author(own_stack):
    author = await own_stack.user()
    await own_stack.forget()
    return author


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
    await a_relay.turn()
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


async def test_a_full_batch_is_followed_by_another_at_once(own_stack, a_relay):
    await own_stack.sql.execute(
        "select outbox.put('thing_changed', jsonb_build_array(jsonb_build_object('thing_id', "
        "gen_random_uuid()))) from generate_series(1, $1::integer)",
        relay.BATCH + 1,
    )
    assert await a_relay.turn()
    assert len(await pending(own_stack)) == 1
    assert not await a_relay.turn()
    assert await pending(own_stack) == []


async def test_an_event_of_many_rows_leads_to_a_run_for_each(own_stack, a_relay):
    things = [uuid4() for _ in range(250)]
    await own_stack.put("thing_published", *({"thing_id": one, "author_id": one} for one in things))
    await a_relay.turn()
    assert {run for _, run in messages(own_stack)} == {run_of(thing) for thing in things}
    assert len(set(messages(own_stack, "cpu"))) == len(things)


async def test_an_event_that_is_published_twice_is_the_same_run(own_stack, a_relay, author):
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


async def test_c11_relays_beside_each_other_publish_each_event_once(own_stack, monkeypatch):
    monkeypatch.setattr(relay, "BATCH", 20)
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
    # The drop took long: the gateway may have closed the connection, and left the claim unsettled.
    await own_stack.sql.execute("update outbox.events set claimed_until = now()")
    await turned(a_relay, lambda: none_pending(own_stack))


async def test_o8_a_turn_publishes_the_failed_runs_whose_time_has_come(own_stack, a_relay, author):
    thing = await own_stack.thing(author)
    await a_relay.turn()
    assert ("outbox.tell", run_of(thing)) in messages(own_stack)
    own_stack.broker.client.flushdb()
    due = """update jobs.runs set state = 'failed', finished_at = now(), replay_at = now()
             where id = $1"""
    await own_stack.sql.execute(due, run_of(thing))
    a_relay._recovery._looked.clear()
    await a_relay.turn()
    assert messages(own_stack) == [("outbox.tell", run_of(thing))]
    found = await own_stack.sql.fetchrow("select * from jobs.runs where id = $1", run_of(thing))
    assert (found["state"], found["replays"], found["replay_at"]) == ("queued", 1, None)


def live_things(own_stack):
    entries = own_stack.cache.client.xrange("live")
    return [json.loads(fields["ids"])["thing_id"] for _, fields in entries if "ids" in fields]


async def test_a_turn_writes_changes_of_live_topics_into_the_stream(own_stack, a_relay, author):
    thing = await own_stack.thing(author)
    await a_relay.turn()
    assert live_things(own_stack) == [str(thing)]


async def test_a_change_reaches_the_stream_although_redis_was_killed(own_stack, a_relay, author):
    own_stack.cache.kill()
    thing = await own_stack.thing(author)
    await a_relay.turn()
    await own_stack.cache.start()
    await turned(a_relay, lambda: none_pending(own_stack))
    assert live_things(own_stack) == [str(thing)]
