import asyncio
import random

import pytest

from kernel.redis import RedisAway
from kernel.redis.breaker import ConnectionBreaker
from kit.waiting import until


class Probes:
    """Probes that fail this often; `pauses` holds the longest possible pause before each."""

    def __init__(self, monkeypatch, failures=0):
        self.failures, self.pauses = failures, []
        monkeypatch.setattr(random, "uniform", self.pause)

    def pause(self, least, most):
        assert least == 0
        self.pauses.append(most)
        return 0

    async def __call__(self):
        if self.failures:
            self.failures -= 1
            raise RedisAway(f"{self.failures} more")


def is_closed(breaker):
    try:
        breaker.check()
    except RedisAway:
        return False
    return True


async def test_it_refuses_until_a_probe_succeeds_and_says_so_once(monkeypatch, logged):
    breaker = ConnectionBreaker(Probes(monkeypatch, failures=3))
    assert is_closed(breaker)
    breaker.trip("why")
    breaker.trip("why else")
    with pytest.raises(RedisAway, match=r"why$"):
        breaker.check()
    assert logged() == [("Redis is away", "why")]
    await until(lambda: is_closed(breaker))
    assert logged() == [("Redis is away", "why"), ("Redis is back", None)]
    await breaker.aclose()


async def test_pauses_double_up_to_a_second(monkeypatch):
    breaker = ConnectionBreaker(probes := Probes(monkeypatch, failures=7))
    breaker.trip("why")
    await until(lambda: is_closed(breaker))
    assert probes.pauses == [0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1]
    await breaker.aclose()


async def test_pauses_grow_if_redis_fails_again_soon_and_start_short_again_later(
    monkeypatch, frozen_time
):
    breaker = ConnectionBreaker(probes := Probes(monkeypatch))
    for seconds in (0, 0, 4.9, 5.1, 0):
        frozen_time.tick(seconds)
        breaker.trip("why")
        await until(lambda: is_closed(breaker))
    assert probes.pauses == [0.1, 0.2, 0.4, 0.1, 0.2]
    await breaker.aclose()


async def test_any_number_of_failures_is_handled(monkeypatch):
    breaker = ConnectionBreaker(probes := Probes(monkeypatch, failures=5000))
    breaker.trip("why")
    await until(lambda: is_closed(breaker))
    assert probes.pauses[-1] == 1
    await breaker.aclose()


async def test_after_close_it_stays_open_and_leaves_no_task(logged):
    tasks = asyncio.all_tasks()
    tried = asyncio.Event()

    async def probe():
        tried.set()
        await asyncio.Event().wait()

    breaker = ConnectionBreaker(probe)
    breaker.trip("why")
    await tried.wait()
    await breaker.aclose()
    assert asyncio.all_tasks() == tasks
    breaker.trip("why else")
    with pytest.raises(RedisAway, match="closed"):
        breaker.check()
    assert logged() == [("Redis is away", "why")]
