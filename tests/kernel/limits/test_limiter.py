"""R6: one round trip; the switch to the fallback and back."""

import asyncio
import contextlib
import json
import logging
import sys
import time

import pytest

from kernel.config.rates import Rate
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Policy, PolicySet
from kernel.limits.script import command, read
from kernel.redis import RedisAway, connect_pipeline
from kit.resp import answering, greeting_then, listening
from kit.waiting import until

ALONE = PolicySet([Policy("default", Rate(2, 60))])
BOTH = PolicySet([Policy("default", Rate(1000, 60)), Policy("own", Rate(1000, 60))], ALONE)


@contextlib.asynccontextmanager
async def pipeline_at(settings, port: int):
    changed = settings.model_copy(update={"redis_port": port, "redis_db": 0})
    pipeline = connect_pipeline(changed)
    yield pipeline
    await pipeline.aclose()


@contextlib.asynccontextmanager
async def limiter_at(settings, port: int):
    async with pipeline_at(settings, port) as pipeline:
        yield Limiter(pipeline)


@pytest.fixture
async def limiter(settings, valkey):
    async with limiter_at(settings, valkey.port) as limiter:
        yield limiter


def told(caplog) -> list[str]:
    """Return the log messages about Redis, without details."""
    return [
        record.getMessage().partition(":")[0]
        for record in caplog.records
        if record.name == "kernel.limits.limiter"
    ]


async def test_r6_all_policies_take_one_round_trip(limiter, valkey):
    await limiter.take("x", BOTH)
    before = valkey.client.info()
    for _ in range(10):
        await limiter.take("x", BOTH)
    after = valkey.client.info()
    calls = valkey.client.info("commandstats")
    assert calls["cmdstat_evalsha"]["calls"] == 11
    assert calls["cmdstat_eval"]["calls"] == 1  # Redis did not have the script yet
    # Each request is one read by the server; INFO itself is one more.
    assert after["total_reads_processed"] - before["total_reads_processed"] == 10 + 1


async def test_r6_it_survives_script_flush(limiter, valkey, caplog):
    left = []
    for _ in range(3):
        left.append((await limiter.take("x", BOTH)).scarcest.remaining)
        valkey.client.script_flush()
    assert left == [999, 998, 997]
    assert told(caplog) == []


async def test_r6_it_survives_a_restart_between_two_requests(limiter, valkey, caplog):
    await limiter.take("x", BOTH)
    valkey.kill()
    await valkey.start()
    decision = await limiter.take("x", BOTH)
    assert not decision.alone
    assert decision.scarcest.remaining == 999  # a cache loses its data at a restart
    assert told(caplog) == []


async def test_r6_it_survives_a_restart_that_takes_a_while(limiter, valkey, caplog):
    assert not (await limiter.take("x", BOTH)).alone
    valkey.kill()
    assert all([(await limiter.take("x", BOTH)).alone for _ in range(3)])
    await valkey.start()

    async def back() -> bool:
        await limiter.take("y", BOTH)
        return told(caplog) == ["Redis is away", "Redis is back"]

    await until(back, seconds=10)


async def test_r5_without_redis_the_fallback_policies_apply(settings, unused_tcp_port):
    async with limiter_at(settings, unused_tcp_port) as limiter:
        decisions = [await limiter.take("x", BOTH) for _ in range(3)]
    assert [one.admitted for one in decisions] == [True, True, False]
    assert decisions[0].policies is ALONE
    assert 1 <= decisions[-1].retry_after <= 60


async def test_r5_a_silent_redis_costs_its_deadline_once(settings, valkey, caplog):
    async with limiter_at(settings, valkey.port) as limiter:

        async def twenty() -> float:
            started = time.perf_counter()
            decisions = await asyncio.gather(*(limiter.take("x", BOTH) for _ in range(20)))
            assert all(decision.alone for decision in decisions)
            return time.perf_counter() - started

        assert not (await limiter.take("x", BOTH)).alone
        with valkey.frozen():
            assert 0.09 < await twenty() < 0.5
            assert sorted([await twenty() for _ in range(50)])[25] < 0.02
        assert told(caplog) == ["Redis is away"]

        async def back() -> bool:
            return not (await limiter.take("x", BOTH)).alone

        await until(back, seconds=5)


async def test_where_one_request_in_two_fails_not_every_change_is_logged(settings, valkey, caplog):
    valkey.client.set("limit:{refused}:own", "no list")
    async with limiter_at(settings, valkey.port) as limiter:
        for _ in range(20):
            assert (await limiter.take("refused", BOTH)).alone
            assert not (await limiter.take("fine", BOTH)).alone
    assert told(caplog) == ["Redis is away"]


async def test_r6_the_command_rides_in_a_round_trip_of_others(settings, valkey):
    async with pipeline_at(settings, valkey.port) as pipeline:
        limiter = Limiter(pipeline)
        left = []
        for _ in range(3):
            echo, reply = await pipeline.ask(("ECHO", "a"), limiter.command("x", BOTH))
            assert echo == b"a"
            left.append((await limiter.decide("x", BOTH, reply)).scarcest.remaining)
            valkey.client.script_flush()
    assert left == [999, 998, 997]


async def test_r5_a_request_without_a_reply_is_decided_locally(limiter, caplog):
    decision = await limiter.decide("x", BOTH, RedisAway("why"))
    assert (decision.alone, decision.admitted, decision.policies) == (True, True, ALONE)
    assert told(caplog) == ["Redis is away"]


@pytest.mark.parametrize(
    "reply",
    [
        *(b"$4\r\nfour\r\n", b"$-1\r\n", b"*0\r\n", b":1\r\n", b"*2\r\n:1\r\n:2\r\n"),
        *(b"*4\r\n:1\r\n:2\r\n$1\r\n3\r\n:4\r\n", b"-OOM full\r\n", b"-NOSCRIPT never known\r\n"),
    ],
)
async def test_r5_a_request_with_an_invalid_reply_is_decided_locally(settings, reply):
    one = PolicySet([Policy("default", Rate(1000, 60))], ALONE)
    answer = answering(greeting_then(lambda _: reply))
    async with listening(answer) as port, limiter_at(settings, port) as limiter:
        assert (await limiter.take("x", one)).alone


async def test_a_redis_that_refuses_is_away(settings, valkey, caplog):
    valkey.client.set("limit:{x}:own", "no list")
    async with limiter_at(settings, valkey.port) as limiter:
        assert (await limiter.take("x", BOTH)).alone
    (record,) = [one for one in caplog.records if one.name == "kernel.limits.limiter"]
    assert record.levelno == logging.WARNING
    assert "WRONGTYPE" in vars(record)["reason"]


async def test_giving_back_makes_room_again_in_redis_and_alone(settings, valkey, unused_tcp_port):
    one = PolicySet([Policy("default", Rate(1, 60))])
    for port in (valkey.port, unused_tcp_port):
        async with limiter_at(settings, port) as limiter:
            for _ in range(3):
                decision = await limiter.take("x", one)
                assert decision.admitted
                assert decision.alone is (port == unused_tcp_port)
                await limiter.give_back(decision)
            assert (await limiter.take("x", one)).admitted
            assert not (await limiter.take("x", one)).admitted


async def test_giving_back_to_a_redis_that_is_away_asks_once_and_goes_on(limiter, valkey, caplog):
    decision = await limiter.take("x", BOTH)
    valkey.kill()
    await limiter.give_back(decision)
    await limiter.give_back(decision)
    assert told(caplog) == ["Redis is away"]


PROCESS = """
import json, sys, time
from redis import Redis
with Redis(port=int(sys.argv[1])) as redis:
    redis.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        print(json.dumps(redis.execute_command(*json.loads(sys.argv[2]))))
"""


async def test_r1_four_processes_together_stay_within_the_quota(valkey):
    policies = PolicySet([Policy("default", Rate(20, 0.2))])
    words = json.dumps(command("x", policies, with_source=True))
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROCESS, str(valkey.port), words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    replies = [json.loads(line) for output, _ in outputs for line in output.splitlines()]
    decisions = [read(reply, "x", policies) for reply in replies]
    admitted = sorted(decision.at for decision in decisions if decision.admitted)
    assert len(decisions) > len(admitted) > 20  # some were refused; more than one window was used
    for first, next_but_quota in zip(admitted, admitted[20:], strict=False):
        assert next_but_quota - first >= 200_000
