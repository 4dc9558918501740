"""The hub: what a client is told after a gap, a restart of Redis, and by a bounded stream."""

import asyncio
import json
from functools import partial
from uuid import uuid4

import pytest

from kernel.core.caller import ANONYMOUS
from kernel.live import LiveClient
from kernel.live.client import MOST_MESSAGES, TOO_SLOW
from kernel.live.stream import KEY
from kit.slices.shared.things import ThingChanged
from kit.waiting import until

THINGS = {"things"}


def reached(hub, number):
    """Whether the hub has read the entry of this number."""
    return hub.at is not None and hub.at.endswith(f".{number}")


async def told(client):
    """Return the next message; there is one."""
    async with asyncio.timeout(10):
        message = await client.next()
    assert message is not None
    return json.loads(message.text)


async def followed(hub, client, since=None, topics=THINGS):
    """Subscribe; return everything up to the answer, with it."""
    hub.follow(client, topics, since)
    found = [await told(client)]
    while found[-1]["type"] != "subscribed":
        found.append(await told(client))
    return found


def ids(messages):
    return [one["ids"]["thing_id"] for one in messages if one["type"] == "changed"]


async def test_a_change_reaches_the_clients_of_its_topic_alone(live, client):
    hub = await live.hub()
    other = LiveClient(ANONYMOUS)
    await followed(hub, client)
    await followed(hub, other, topics={f"author:{uuid4()}"})
    (thing,) = await live.write()
    message = await told(client)
    assert (message["type"], message["topic"], message["ids"]) == (
        "changed",
        "things",
        {"thing_id": thing},
    )
    assert other._waiting == {}


async def test_a_client_that_resumes_gets_what_it_missed_in_another_process_too(live, client):
    hub = await live.hub()
    (answer,) = await followed(hub, client)
    hub.leave(client)
    missed = await live.write(3)
    for process in (hub, await live.hub()):
        await until(partial(reached, process, 4))
        found = await followed(process, LiveClient(ANONYMOUS), answer["at"])
        assert ids(found) == missed
        assert "reset" not in {one["type"] for one in found}


async def test_a_token_from_before_the_history_is_answered_by_reset(live, client):
    hub = await live.hub(most=5)
    (answer,) = await followed(hub, client)
    hub.leave(client)
    await live.write(10)
    await until(partial(reached, hub, 11))
    found = await followed(hub, LiveClient(ANONYMOUS), answer["at"])
    assert [one["type"] for one in found] == ["reset", "subscribed"]


@pytest.mark.parametrize("token", ["", "x", "x.1", "{epoch}.", "{epoch}.-1", "{epoch}.٣"])
async def test_a_token_that_is_none_of_ours_is_answered_by_reset(live, client, token):
    hub = await live.hub()
    found = await followed(hub, client, token.format(epoch=hub.at.split(".")[0]))
    assert [one["type"] for one in found] == ["reset", "subscribed"]


async def test_a_killed_redis_loses_nothing_that_is_not_told_by_reset(live, client):
    hub = await live.hub()
    (answer,) = await followed(hub, client)
    live.valkey.kill()
    await live.valkey.start()
    await live.write()  # before or after the hub is back: the reset covers it, or it follows
    assert (await told(client))["type"] == "reset"
    await until(lambda: hub.at.split(".")[0] != answer["at"].split(".")[0])
    (thing,) = await live.write()
    found = [await told(client)]
    while thing not in ids(found):
        found.append(await told(client))
    resumed = await followed(hub, LiveClient(ANONYMOUS), answer["at"])
    assert [one["type"] for one in resumed] == ["reset", "subscribed"]


async def test_an_old_copy_of_the_stream_is_not_taken_for_the_stream(live, client):
    hub = await live.hub()
    await live.write(2)
    live.valkey.client.save()
    await live.write(2)
    await until(partial(reached, hub, 5))
    (answer,) = await followed(hub, client)
    live.valkey.kill()
    await live.valkey.start()  # with the file of before the last two
    assert (await told(client))["type"] == "reset"
    await until(lambda: hub.at.split(".")[0] != answer["at"].split(".")[0])
    assert live.valkey.client.xlen(KEY) == 4  # an epoch, two changes, an epoch


async def test_a_stream_that_is_removed_is_answered_by_reset(live, client):
    hub = await live.hub()
    await live.write(3)
    await until(partial(reached, hub, 4))
    await followed(hub, client)
    live.valkey.client.flushall()
    await live.write()
    assert (await told(client))["type"] == "reset"


async def test_a_client_waits_for_a_redis_that_is_away_and_is_then_told_to_read_again(live, client):
    live.valkey.kill()
    hub = await live.hub()
    (answer,) = await followed(hub, client)
    assert answer.get("at") is None
    await live.valkey.start()
    assert (await told(client))["type"] == "reset"


async def test_the_stream_is_bounded(live):
    stream = live.stream(most=200)
    for _ in range(20):
        await stream.write([ThingChanged(thing_id=uuid4()) for _ in range(100)])
    assert 200 <= live.valkey.client.xlen(KEY) <= 400


async def test_the_same_change_waits_once_and_keeps_the_newest_token(live, client):
    hub = await live.hub()
    await followed(hub, client)
    event, other = ThingChanged(thing_id=uuid4()), ThingChanged(thing_id=uuid4())
    for one in (event, other, event):
        await live.stream().write([one])
    await until(partial(reached, hub, 4))
    found = [await told(client), await told(client)]
    assert ids(found) == [str(other.thing_id), str(event.thing_id)]
    assert [one["at"].split(".")[1] for one in found] == ["3", "4"]


async def test_a_client_with_too_much_waiting_is_closed_and_delays_nobody(live, client):
    hub = await live.hub()
    slow = LiveClient(ANONYMOUS)
    await followed(hub, client)
    await followed(hub, slow)
    for _ in range(MOST_MESSAGES + 1):
        thing = await live.write()
        assert ids([await told(client)]) == thing
    assert slow.code == TOO_SLOW
    assert await slow.next() is None


async def test_a_full_redis_loses_the_stream_and_clients_are_told(live, client):
    hub = await live.hub()
    await followed(hub, client)
    live.valkey.client.config_set("maxmemory-policy", "noeviction")
    live.valkey.client.config_set("maxmemory", 1)
    await live.write()
    live.valkey.client.config_set("maxmemory", 0)
    assert (await told(client))["type"] == "reset"
