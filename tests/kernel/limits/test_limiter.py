"""R6, and the way into the fallback and back."""

import asyncio
import contextlib
import json
import logging
import sys

import pytest

from kernel.limits import Rate
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Policy, PolicySet
from kernel.limits.script import command, read
from kernel.pause import Pause
from kernel.redis import connect_redis
from kernel.redis.over_redis_py import OverRedisPy
from kit.waiting import until

ALONE = PolicySet([Policy("default", Rate(2, 60))])
BOTH = PolicySet([Policy("default", Rate(1000, 60)), Policy("own", Rate(1000, 60))], ALONE)


@contextlib.asynccontextmanager
async def limiter_at(settings, port: int, **options):
    changed = settings.model_copy(update={"redis_port": port, "redis_db": 0})
    pipeline = OverRedisPy(connect_redis(changed, timeout=None))
    yield Limiter(pipeline, **options)
    await pipeline.aclose()


@pytest.fixture
async def limiter(settings, valkey):
    async with limiter_at(settings, valkey.port) as limiter:
        yield limiter


def told(caplog) -> list[str]:
    """What was logged about Redis, in short."""
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
    assert calls["cmdstat_eval"]["calls"] == 1  # Redis did not know the script yet
    # Each arrival is a read of the server's; one is that of INFO itself.
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
    assert decision.scarcest.remaining == 999  # a cache forgets
    assert told(caplog) == []


async def test_r6_it_survives_a_restart_that_takes_a_while(limiter, valkey, caplog):
    assert not (await limiter.take("x", BOTH)).alone
    valkey.kill()
    assert all([(await limiter.take("x", BOTH)).alone for _ in range(3)])
    await valkey.start()

    async def back() -> bool:
        return not (await limiter.take("y", BOTH)).alone

    await until(back, seconds=10)
    assert told(caplog) == ["Redis is away", "Redis is back"]


async def test_r5_alone_it_goes_by_the_other_policies(settings, unused_tcp_port):
    async with limiter_at(settings, unused_tcp_port) as limiter:
        decisions = [await limiter.take("x", BOTH) for _ in range(3)]
    assert [one.admitted for one in decisions] == [True, True, False]
    assert decisions[0].policies is ALONE
    assert 1 <= decisions[-1].retry_after <= 60


async def test_r5_a_silent_redis_costs_one_request_a_pause_its_deadline(
    settings, valkey, caplog, monkeypatch
):
    now = 100.0
    asked = 0
    ask = OverRedisPy.ask

    async def counting(self: OverRedisPy, *command):
        nonlocal asked
        asked += 1
        return await ask(self, *command)

    async with limiter_at(settings, valkey.port, pause=Pause(lambda: now)) as limiter:
        assert not (await limiter.take("x", BOTH)).alone
        monkeypatch.setattr(OverRedisPy, "ask", counting)
        with valkey.frozen():

            async def asks_of_twenty() -> int:
                before = asked
                decisions = await asyncio.gather(*(limiter.take("x", BOTH) for _ in range(20)))
                assert all(decision.alone for decision in decisions)
                return asked - before

            assert await asks_of_twenty() == 20  # all that were under way, in one pipeline
            for _ in range(3):
                assert await asks_of_twenty() == 0
                now += 6
                assert await asks_of_twenty() == 1
        now += 6
        assert not (await limiter.take("x", BOTH)).alone
    assert told(caplog) == ["Redis is away", "Redis is back"]


async def test_a_fault_of_many_requests_is_one_failure(settings, unused_tcp_port):
    now = 100.0
    pause = Pause(lambda: now)
    async with limiter_at(settings, unused_tcp_port, pause=pause) as limiter:
        await asyncio.gather(*(limiter.take("x", BOTH) for _ in range(50)))
    now += 0.5  # the longest that the first pause may take
    assert pause.over


async def test_a_probe_that_is_given_up_is_none(settings, valkey):
    now = 100.0
    async with limiter_at(settings, valkey.port, pause=Pause(lambda: now)) as limiter:
        with valkey.frozen():
            assert (await limiter.take("x", BOTH)).alone
            now += 6
            probe = asyncio.create_task(limiter.take("x", BOTH))
            await asyncio.sleep(0)
            probe.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probe
        async with asyncio.timeout(5):
            while (await limiter.take("x", BOTH)).alone:
                now += 6


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
    assert len(decisions) > len(admitted) > 20  # some were refused, and more than one window used
    for first, next_but_quota in zip(admitted, admitted[20:], strict=False):
        assert next_but_quota - first >= 200_000
