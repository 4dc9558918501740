"""Races: sessions end while the list is read and the copy is loaded."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from kernel.errors import SessionRevoked
from kernel.identity.revocation import LOCAL_SECONDS, Revocations
from kernel.identity.revoked_set import KEY
from kernel.redis import RedisAway, connect_redis
from kernel.redis.over_redis_py import OverRedisPy
from kernel.supabase.http import SupabaseUnavailable
from kit.valkeys import Valkey

LIFETIME = 60


class Database:
    """Ended sessions; a read sees the state when it begins, and returns when the test lets it."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}
        self.reads = 0
        self.reading, self.may_return = asyncio.Event(), asyncio.Event()
        self.may_return.set()
        self.down = False

    def end(self):
        session_id = uuid4()
        self.ended[str(session_id)] = time.time() + LIFETIME
        return session_id

    async def rpc(self, name, of_user=None):
        if self.down:
            raise SupabaseUnavailable
        seen = dict(self.ended)
        if of_user is None:
            self.reads += 1
            self.reading.set()
            await self.may_return.wait()
        return seen


class Replica(Revocations):
    """The view of one process, with the connection that it uses."""

    pipeline: OverRedisPy

    def __init__(self, redis, database):
        super().__init__(redis, database)
        self.redis = redis

    async def look_up(self, session_id):
        """Query Redis and check, as the Edge does."""
        try:
            (reply,) = await self.pipeline.ask(self.command(session_id))
        except RedisAway as away:
            reply = away
        await self.check(session_id, reply)


@pytest.fixture
def database():
    return Database()


@pytest.fixture
async def valkey(tmp_path):
    server = Valkey(tmp_path / "cache", keeps=False)
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def replica(settings, valkey, database):
    """Makes replicas: `replica()`."""
    clients: list[Any] = []

    def make():
        at_own = settings.model_copy(update={"redis_port": valkey.port, "redis_db": 0})
        one = Replica(connect_redis(at_own), database)
        one.pipeline = OverRedisPy(connect_redis(at_own, timeout=None))
        clients.extend((one.pipeline, one.redis))
        return one

    yield make
    for client in clients:
        await client.aclose()


async def counts(replica, session_id):
    try:
        await replica.look_up(session_id)
    except SessionRevoked:
        return False
    return True


async def paused(database, revocations):
    """Begin a check whose read of the list waits."""
    database.may_return.clear()
    database.reading.clear()
    checking = asyncio.ensure_future(counts(revocations, uuid4()))
    await asyncio.wait_for(database.reading.wait(), 5)
    return checking


async def test_what_is_published_during_a_load_counts_after_it(replica, database):
    one, other = replica(), replica()
    checking = await paused(database, one)
    ended = database.end()
    await other.publish(uuid4())
    database.may_return.set()
    assert await checking
    assert not await counts(one, ended)
    assert not await counts(replica(), ended)


async def test_what_redis_loses_during_a_load_is_read_again(replica, database, valkey):
    one, other = replica(), replica()
    checking = await paused(database, one)
    ended = database.end()
    await other.publish(uuid4())
    valkey.client.flushall()
    database.may_return.set()
    assert await checking
    # The list does not contain it: the copy must not be marked as complete.
    assert valkey.client.zscore(KEY, "loaded") is None
    assert not await counts(one, ended)
    assert valkey.client.zscore(KEY, "loaded") is not None
    assert not await counts(replica(), ended)


async def test_what_is_published_during_a_read_stays_in_the_list(replica, database, valkey):
    one = replica()
    valkey.kill()
    checking = await paused(database, one)
    ended = database.end()
    await one.publish(uuid4())
    database.may_return.set()
    assert await checking
    assert not await counts(one, ended)


async def test_what_the_relay_adds_during_a_load_counts_after_it(replica, database):
    one, relay = replica(), replica()
    checking = await paused(database, one)
    ended = database.end()
    await relay.add([ended])
    database.may_return.set()
    assert await checking
    assert not await counts(one, ended)


async def test_many_checks_at_once_load_the_copy_a_few_times(replica, database):
    one = replica()
    ended = database.end()
    answers = await asyncio.gather(*(counts(one, uuid4()) for _ in range(200)))
    assert all(answers)
    assert database.reads <= 4
    assert not await counts(one, ended)


async def test_many_checks_at_once_without_redis_read_the_list_once(replica, database, valkey):
    one = replica()
    ended = database.end()
    valkey.kill()
    answers = await asyncio.gather(*(counts(one, ended) for _ in range(200)))
    assert not any(answers)
    assert database.reads == 1


async def test_without_redis_the_list_is_read_again_when_it_is_too_old(
    replica, database, valkey, frozen_time
):
    one = replica()
    valkey.kill()
    for seconds, reads in ((0, 1), (LOCAL_SECONDS - 0.1, 1), (0.2, 2), (0, 2)):
        frozen_time.tick(seconds)
        assert await counts(one, uuid4())
        assert database.reads == reads


async def test_an_end_is_forgotten_once_no_token_of_the_session_can_be_valid(
    replica, database, valkey, frozen_time
):
    one = replica()
    ended = database.end()
    await one.publish(uuid4())
    assert not await counts(one, ended)
    frozen_time.tick(LIFETIME + 1)
    database.ended.clear()
    later = database.end()
    await one.publish(uuid4())
    assert await counts(one, ended)
    assert not await counts(one, later)
    assert valkey.client.zscore(KEY, str(ended)) is None


async def test_many_checks_at_once_are_not_held_up_one_after_the_other(replica, database, valkey):
    one = replica()
    checking = await paused(database, one)
    with valkey.frozen():
        database.may_return.set()
        begun = time.monotonic()
        answers = await asyncio.gather(*(counts(one, uuid4()) for _ in range(50)))
        assert time.monotonic() - begun < 3
    assert all(answers)
    assert await checking


async def test_a_failed_read_fails_for_all_who_wait_for_it(replica, database):
    one = replica()
    database.down = True
    answers = await asyncio.gather(
        *(one.look_up(uuid4()) for _ in range(20)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {SupabaseUnavailable}
    database.down = False
    assert await counts(one, uuid4())


async def test_a_cancelled_check_leaves_the_load_to_the_others(replica, database):
    one = replica()
    checking = await paused(database, one)
    waiting = asyncio.ensure_future(counts(one, uuid4()))
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    database.may_return.set()
    assert await waiting


@pytest.mark.parametrize("number", range(20))
async def test_no_end_is_missed_whatever_is_lost_meanwhile(replica, database, valkey, number):
    """Publishers, losses and checks in random order: a published session is never valid again."""
    replicas = [replica() for _ in range(3)]
    published = []

    async def publish(revocations):
        for _ in range(10):
            ended = database.end()
            await revocations.publish(uuid4())
            published.append(ended)

    async def lose():
        for _ in range(5):
            await asyncio.to_thread(valkey.client.flushall)
            await asyncio.sleep(0.003 * number / 20)

    async def check(revocations):
        for _ in range(20):
            for ended in published.copy():
                assert not await counts(revocations, ended)
            assert await counts(revocations, uuid4())

    await asyncio.gather(
        *(publish(one) for one in replicas), *(check(one) for one in replicas), lose()
    )
