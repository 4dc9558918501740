"""From a write to its effects, under faults of broker, API and relay (C7, C10, C11)."""

import asyncio
import contextlib
import signal
import time
from functools import partial

import httpx
import pytest

from kit.waiting import until

pytestmark = pytest.mark.slow

THING = {"title": "A title", "content": "{}", "published": True}


async def published(client, token):
    """Return the id of a new thing that leads to a job, and the duration of the call."""
    begun = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.post("/things", json=THING, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["id"], time.monotonic() - begun


def passed(since, seconds):
    return time.monotonic() - since > seconds


async def carry(reader, writer):
    while said := await reader.read(65536):
        writer.write(said)


async def effects(system, thing_id):
    return (await system.effects(thing_id))["effect"]


async def changed(system, tag, before):
    return system.tag_version(tag) not in {None, before}


@contextlib.contextmanager
def refused(system):
    system.broker.kill()
    yield


@pytest.mark.parametrize("fault", ["refused", "silent"])
async def test_c7_a_broker_that_is_away_holds_up_neither_answers_nor_drops(system, fault):
    _, token = await system.author()
    await system.start("relay")
    await system.start("worker")
    async with system.api() as (_, client):
        thing, usual = await published(client, token)
        await until(partial(effects, system, thing))
        with refused(system) if fault == "refused" else system.broker.frozen():
            later = []
            for _ in range(3):
                thing, took = await published(client, token)
                assert took < usual + 0.5
                later.append(thing)
                # By SQL alone, so that the relay drops it, while it cannot publish.
                before = system.tag_version(f"kept-thing:{thing}")
                await system.fetch(
                    "update public.things set title = 'Changed' where id = $1", thing
                )
                await until(partial(changed, system, f"kept-thing:{thing}", before), seconds=5)
        if fault == "refused":
            await system.broker.start()
        for thing in later:
            await until(partial(effects, system, thing))
    await until(lambda: system.queued() == 0)
    for thing in later:
        assert (await system.effects(thing))["effect"] == 1


async def test_c10_a_worker_refuses_a_visibility_timeout_that_is_too_short(system):
    worker = await system.start("worker", ready=False, VISIBILITY_TIMEOUT_SECONDS="120")
    assert await worker.ended() == 1
    assert "VISIBILITY_TIMEOUT_SECONDS is 120" in worker.printed
    assert "act_on_thing.sweep needs more than" in worker.printed
    assert "Traceback" not in worker.printed


async def test_c11_what_a_killed_api_did_not_drop_the_relay_drops(system):
    _, token = await system.author()
    asked = asyncio.Event()

    async def all_but_drops(reader, writer):
        """Forward commands to the cache and replies back, until a drop arrives."""
        answers, commands = await asyncio.open_connection("127.0.0.1", system.cache.port)
        with contextlib.closing(writer), contextlib.closing(commands):
            back = asyncio.ensure_future(carry(answers, writer))
            while (said := await reader.read(65536)) and b"tag:" not in said:
                commands.write(said)
            if said:
                asked.set()
                await reader.read()  # until the client is gone
            back.cancel()

    # The API is killed between commit and drop, so the cache never receives its drop.
    between = await asyncio.start_server(all_but_drops, "127.0.0.1", 0)
    port = between.sockets[0].getsockname()[1]
    async with between, system.api(REDIS_PORT=str(port)) as (api, client):
        posting = asyncio.ensure_future(published(client, token))
        await asked.wait()
        api.kill()
        with pytest.raises(httpx.TransportError):
            await posting
    rows = await system.fetch("select id from public.things")
    assert len(rows) == 1
    assert system.tag_version(f"kept-thing:{rows[0]['id']}") is None
    await system.start("relay")
    await system.start("worker")
    await until(lambda: system.tag_version(f"kept-thing:{rows[0]['id']}"))
    await until(partial(effects, system, rows[0]["id"]))


async def test_c11_a_relay_killed_between_publish_and_mark_leads_to_one_effect(system):
    author, _ = await system.author()
    await system.start("worker")
    # The database never finishes to mark the batch: the relay is killed after publishing it.
    await system.fetch(
        """create function outbox.hang() returns trigger language plpgsql as $$
           begin
             if new.published_at is not null then perform pg_sleep(60); end if;
             return new;
           end $$"""
    )
    await system.fetch(
        """create trigger hang before update on outbox.events
           for each row execute function outbox.hang()"""
    )
    first = await system.start("relay")
    thing = await system.publish(author)
    await until(partial(effects, system, thing))
    first.kill()
    await first.ended()
    await system.fetch("drop trigger hang on outbox.events")
    waiting = await system.fetch("select id from outbox.events where delivered_at is null")
    assert waiting
    await system.fetch("update outbox.events set claimed_until = now()")  # the lease has expired
    await system.start("relay")

    async def delivered():
        return not await system.fetch("select id from outbox.events where delivered_at is null")

    await until(delivered)
    await until(lambda: system.queued() == 0)
    assert await system.effects(thing) == {"start": 1, "effect": 1}


async def test_a_relay_ends_at_sigterm_with_nothing_claimed(system):
    author, _ = await system.author()
    relay = await system.start("relay")
    for _ in range(20):
        await system.publish(author)
    relay.signal(signal.SIGTERM)
    assert await relay.ended(5) == 0
    assert not await system.fetch(
        "select id from outbox.events where claim is not null and delivered_at is null"
    )


async def test_a_row_edited_by_sql_alone_leads_to_its_event(system):
    author, _ = await system.author()
    await system.start("relay")
    thing = await system.publish(author)
    tag = f"kept-thing:{thing}"
    before = await until(lambda: system.tag_version(tag))
    await system.fetch("update public.things set content = 'edited' where id = $1", thing)
    edited = time.monotonic()
    await until(partial(changed, system, tag, before))
    assert time.monotonic() - edited < 2
