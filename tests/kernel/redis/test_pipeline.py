"""Guarantees of both pipelines to Redis: own replies, one deadline, fast failure while away."""

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import NoScriptError, ResponseError

from kernel.redis import RedisAway
from kernel.redis.pipeline import MOST_ASKS
from kit import resp
from kit.resp import listening
from kit.waiting import until

FAULTS = {
    "silent": resp.silent,
    "rubbish": resp.talking_rubbish,
    "hanging up": resp.hanging_up,
    "loading": resp.loading,
    "silent at work": resp.silent_at_work,
    "rubbish at work": resp.rubbish_at_work,
    "hanging up at work": resp.hanging_up_at_work,
}

PATIENT = 5.0  # the deadline in tests that do not test it


async def ask(pipeline, *command):
    (reply,) = await pipeline.ask(command)
    if isinstance(reply, ResponseError):
        raise reply
    return reply


async def works(pipeline):
    try:
        return await ask(pipeline, "ECHO", "a") == b"a"
    except RedisAway:
        return False


# Replies -----------------------------------------------------------------------------------------


async def test_each_caller_gets_its_own_reply(talking_to):
    async with talking_to(seconds=PATIENT) as pipeline:
        replies = await asyncio.gather(*(ask(pipeline, "ECHO", str(n)) for n in range(1000)))
    assert replies == [str(number).encode() for number in range(1000)]


async def test_a_burst_of_a_thousand_needs_one_connection(talking_to, valkey):
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        before = valkey.client.info("stats")["total_connections_received"]
        await asyncio.gather(*(ask(pipeline, "INCR", "n") for _ in range(1000)))
        await asyncio.gather(*(ask(pipeline, "INCR", "n") for _ in range(1000)))
    assert valkey.client.get("n") == "2000"
    assert valkey.client.info("stats")["total_connections_received"] == before + 1


async def test_replies_are_as_resp_2_has_them(talking_to, valkey):
    nested = "return {1, {'a', {false, {}}}, redis.error_reply('MY fault')}"
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        *replies, with_error = await pipeline.ask(
            ("SET", "key", b"\x00\r\n\xff"),
            ("SET", "key", "other", "NX"),
            ("GET", "key"),
            ("GET", "nothing"),
            ("SET", "empty", ""),
            ("GET", "empty"),
            ("EXISTS", "key", "nothing"),
            ("INCRBY", "number", -(2**63)),
            ("ZADD", "set", "1.5", "one"),
            ("ZMSCORE", "set", "one", "none"),
            ("HSET", "hash", "name", "value"),
            ("HGETALL", "hash"),
            ("LRANGE", "nothing", 0, -1),
            ("EVAL", nested, 0),
        )
    assert replies == [
        *(b"OK", None, b"\x00\r\n\xff", None, b"OK", b"", 1, -(2**63), 1, [b"1.5", None], 1),
        *([b"name", b"value"], []),
    ]
    assert with_error[:2] == [1, [b"a", [None, []]]]
    assert isinstance(with_error[2], ResponseError)
    assert "fault" in str(with_error[2])


async def test_large_values_come_whole(talking_to, valkey):
    values = [os.urandom(size) for size in (1024 * 1024, 0, 1, 2 * 1024 * 1024)]
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        for number, value in enumerate(values):
            assert await ask(pipeline, "SET", f"value:{number}", value) == b"OK"
        found = await asyncio.gather(*(ask(pipeline, "GET", f"value:{n}") for n in range(4)))
    assert found == values


async def test_no_commands_have_no_replies(talking_to):
    async with talking_to(seconds=PATIENT) as pipeline:
        assert await pipeline.ask() == []


async def test_a_refused_command_is_an_error_of_its_own_caller_only(talking_to, valkey):
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        answers = await asyncio.gather(
            pipeline.ask(("SET", "a", "1"), ("LPUSH", "a", "1"), ("GET", "a")),
            pipeline.ask(("NO SUCH COMMAND",)),
            pipeline.ask(("EVALSHA", "f" * 40, 0), ("ECHO", "b")),
        )
    assert (answers[0][0], answers[0][2]) == (b"OK", b"1")
    assert str(answers[0][1]).startswith("WRONGTYPE")
    assert isinstance(answers[1][0], ResponseError)
    assert type(answers[2][0]) is NoScriptError
    assert answers[2][1] == b"b"


async def test_a_redis_that_is_full_is_not_away(talking_to, valkey, logged):
    valkey.client.config_set("maxmemory-policy", "noeviction")
    valkey.client.config_set("maxmemory", "1")
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        refused, read = await pipeline.ask(("SET", "a", "1"), ("GET", "a"))
    assert isinstance(refused, ResponseError)
    assert read is None
    assert logged() == []


# Faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
async def test_k5_every_fault_is_one_error_in_time_for_all_callers(talking_to, fault, logged):
    async with listening(FAULTS[fault]) as port, talking_to(redis_port=port) as pipeline:
        started = time.monotonic()
        first = asyncio.create_task(ask(pipeline, "ECHO", "first"))
        await asyncio.sleep(0)
        answers = await asyncio.gather(
            first, *(ask(pipeline, "ECHO", "more") for _ in range(10)), return_exceptions=True
        )
        assert time.monotonic() - started < 1
        assert {type(answer) for answer in answers} <= {RedisAway, ResponseError}
    assert [message for message, _ in logged()][:1] == ["Redis is away"]


@pytest.mark.parametrize("fault", ["silent", "rubbish", "hanging up", "loading"])
async def test_k5_while_redis_is_away_callers_fail_at_once(talking_to, fault, logged):
    async with listening(FAULTS[fault]) as port, talking_to(redis_port=port) as pipeline:
        with pytest.raises(RedisAway):
            await ask(pipeline, "ECHO", "first")
        times = []
        for _ in range(200):
            started = time.perf_counter()
            with pytest.raises(RedisAway):
                await ask(pipeline, "ECHO", "more")
            times.append(time.perf_counter() - started)
            await asyncio.sleep(0.002)  # probes continue meanwhile
    assert sorted(times)[195] < 0.005
    assert len(logged()) == 1


async def test_k5_a_port_without_a_server_fails_at_once(talking_to, unused_tcp_port):
    async with talking_to(redis_port=unused_tcp_port) as pipeline:
        started = time.monotonic()
        with pytest.raises(RedisAway):
            await ask(pipeline, "ECHO", "a")
        assert time.monotonic() - started < 0.1


async def test_k5_a_stopped_redis_costs_its_deadline_once(talking_to, valkey):
    async with talking_to(redis_port=valkey.port, redis_db=0) as pipeline:
        await until(lambda: works(pipeline))
        with valkey.frozen():
            started = time.monotonic()
            answers = await asyncio.gather(
                *(ask(pipeline, "ECHO", "a") for _ in range(50)), return_exceptions=True
            )
            taken = time.monotonic() - started
    assert {type(answer) for answer in answers} == {RedisAway}
    assert 0.09 < taken < 0.3  # 100 to 125 ms, plus a margin for a busy machine


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_k6_it_is_back_by_itself_when_redis_is(talking_to, valkey, logged, how):
    async with talking_to(redis_port=valkey.port, redis_db=0) as pipeline:
        await until(lambda: works(pipeline))
        if how == "killed":
            valkey.kill()
            assert not await works(pipeline)  # the connection is lost
            assert not await works(pipeline)  # and no other one is open
            await valkey.start()
        else:
            with valkey.frozen():
                assert not await works(pipeline)
        await until(lambda: works(pipeline), seconds=5)
        assert [message for message, _ in logged()] == ["Redis is away", "Redis is back"]


async def test_a_late_reply_is_never_taken_for_that_of_another_command(talking_to, valkey):
    async with talking_to(redis_port=valkey.port, redis_db=0) as pipeline:
        await ask(pipeline, "ECHO", "before")
        with valkey.frozen(), pytest.raises(RedisAway):
            await ask(pipeline, "ECHO", "late")
        await until(lambda: works(pipeline))
        assert await ask(pipeline, "ECHO", "after") == b"after"


async def test_a_cancelled_caller_does_not_affect_the_others(talking_to):
    async with talking_to(seconds=PATIENT) as pipeline:
        for _ in range(2):  # while it connects, and afterwards
            gone = asyncio.create_task(ask(pipeline, "ECHO", "gone"))
            stays = asyncio.create_task(ask(pipeline, "ECHO", "stays"))
            await asyncio.sleep(0)
            gone.cancel()
            assert await stays == b"stays"
            assert await ask(pipeline, "ECHO", "later") == b"later"


async def test_whatever_happens_no_caller_gets_anothers_reply(talking_to, valkey):
    seen: Counter[str] = Counter()
    async with talking_to(redis_port=valkey.port, redis_db=0, seconds=PATIENT) as pipeline:
        done = False

        async def asker(name: int) -> None:
            turn = 0
            while not done:
                turn += 1
                words = [f"{name}:{turn}:{n}:" + "x" * (name * turn * 131 % 70_000) for n in (0, 1)]
                asked = asyncio.create_task(pipeline.ask(*(("ECHO", word) for word in words)))
                if (name + turn) % 5 == 0:
                    await asyncio.sleep(0)
                    asked.cancel()
                try:
                    assert await asked == [word.encode() for word in words]
                    seen["own"] += 1
                except RedisAway:
                    seen["away"] += 1
                    await asyncio.sleep(0.001)
                except asyncio.CancelledError:
                    seen["cancelled"] += 1

        def has_seen(goal: int) -> bool:
            return seen["own"] > goal

        askers = [asyncio.create_task(asker(name)) for name in range(20)]
        kills = 0
        while kills < 10 or (not seen["away"] and kills < 200):  # some kills hit an idle connection
            kills += 1
            goal = seen["own"] + 200
            await until(partial(has_seen, goal))
            await asyncio.to_thread(valkey.client.client_kill_filter, _type="normal", skipme=True)
        done = True
        await asyncio.gather(*askers)
    assert seen["own"] > 2000
    assert seen["cancelled"] > 100
    assert seen["away"] > 0


# Loop, end and bounds ----------------------------------------------------------------------------


def test_a_blocked_event_loop_is_not_mistaken_for_a_slow_redis(talking_to, on_a_loop):
    async def main():
        async with talking_to() as pipeline:
            await until(lambda: works(pipeline))
            asked = asyncio.create_task(ask(pipeline, "ECHO", "in time"))

            def hold_up(times: int) -> None:
                time.sleep(0.3)  # longer than the deadline
                if times:
                    asyncio.get_running_loop().call_soon(hold_up, times - 1)

            await asyncio.sleep(0)
            hold_up(2)
            return await asked

    assert on_a_loop(main()) == b"in time"


def test_a_busy_event_loop_connects(talking_to, on_a_loop):
    async def main():
        busy = True

        def hold_up() -> None:
            time.sleep(0.03)
            if busy:
                asyncio.get_running_loop().call_soon(hold_up)

        async with talking_to() as pipeline:
            hold_up()
            try:
                return await ask(pipeline, "ECHO", "in time")
            finally:
                busy = False

    assert on_a_loop(main()) == b"in time"


async def test_closing_fails_waiting_and_later_callers(talking_to):
    async with listening(resp.silent_at_work) as port:
        for wait in (0, 0.02):
            async with talking_to(redis_port=port) as pipeline:
                asked = asyncio.create_task(ask(pipeline, "ECHO", "a"))
                await asyncio.sleep(wait)
                await pipeline.aclose()
                with pytest.raises(RedisAway):
                    await asked
                with pytest.raises(RedisAway, match="closed"):
                    await ask(pipeline, "ECHO", "a")


def test_it_leaves_no_task_and_no_descriptor_behind(
    talking_to, on_a_loop, settings, unused_tcp_port
):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    async def use(port):
        async with talking_to(redis_port=port) as pipeline:
            try:
                await ask(pipeline, "ECHO", "a")
            except (RedisAway, ResponseError):
                await asyncio.sleep(0.05)  # it tries to reconnect meanwhile
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    async def main():
        for port in (settings.redis_port, unused_tcp_port):
            await use(port)
        for talk in FAULTS.values():
            async with listening(talk) as port:
                await use(port)

    on_a_loop(main())  # to open what is opened once per process
    gc.collect()
    found = []
    for _ in range(3):  # other tests of this process may open something; a leak is there each time
        before = descriptors(), threading.active_count()
        on_a_loop(main())
        gc.collect()
        found.append((before, (descriptors(), threading.active_count())))
        if all(now <= then for then, now in zip(*found[-1], strict=True)):
            return
    raise AssertionError(f"descriptors and threads before and after: {found}")


async def test_of_too_many_callers_the_last_fail_at_once(talking_to):
    async with listening(resp.silent_at_work) as port, talking_to(redis_port=port) as pipeline:
        started, refused = time.monotonic(), []

        async def one():
            try:
                await ask(pipeline, "ECHO", "a")
            except RedisAway as error:
                refused.append((str(error), time.monotonic() - started))

        await asyncio.gather(*(one() for _ in range(MOST_ASKS + 1000)))
    told = Counter(reason for reason, _ in refused)
    assert told["the queue is full"] == 1000
    assert refused[0][0] == "the queue is full"
