"""The bulkhead alone."""

import asyncio
import logging
import random

import pytest

from kernel.supabase import bulkhead as module
from kernel.supabase.bulkhead import Bulkhead, BulkheadFull
from kit.waiting import until


async def hold(bulkhead: Bulkhead, until_then: asyncio.Event) -> None:
    async with bulkhead:
        await until_then.wait()


async def test_a_call_without_a_free_slot_waits_for_one():
    bulkhead, over, inside = Bulkhead("auth", 1), asyncio.Event(), asyncio.Event()

    async def next_one() -> None:
        async with bulkhead:
            inside.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(bulkhead, over))
        tasks.create_task(next_one())
        await until(bulkhead._places.locked)
        assert not inside.is_set()
        over.set()
    assert inside.is_set()


async def test_nobody_waits_for_long(monkeypatch, caplog):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    bulkhead, over = Bulkhead("auth", 2), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(hold(bulkhead, over))
        with caplog.at_level(logging.WARNING, logger=module.__name__):
            refused = await asyncio.gather(
                *(hold(bulkhead, over) for _ in range(20)), return_exceptions=True
            )
        over.set()
    assert [type(error) for error in refused] == [BulkheadFull] * 20
    own = [record for record in caplog.records if record.name == module.__name__]
    assert len(own) == 1  # not one for each refusal
    await asyncio.wait_for(hold(bulkhead, over), 1)


async def test_refusals_are_one_line_a_second(monkeypatch, caplog, frozen_time):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.001)
    bulkhead, over = Bulkhead("auth", 1), asyncio.Event()
    held = asyncio.create_task(hold(bulkhead, over))
    await until(bulkhead._places.locked)
    for seconds, lines in ((0, 1), (0.9, 1), (0.2, 2), (0, 2)):
        frozen_time.tick(seconds)
        with pytest.raises(BulkheadFull):
            await hold(bulkhead, over)
        own = [record for record in caplog.records if record.name == module.__name__]
        assert len(own) == lines
    over.set()
    await held


@pytest.mark.parametrize("seed", range(5))
async def test_cancelled_calls_neither_lose_nor_add_slots(monkeypatch, seed):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    chance = random.Random(seed)
    bulkhead, places, inside, most = Bulkhead("auth", 3), 3, 0, 0

    async def call() -> None:
        nonlocal inside, most
        async with bulkhead:
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(chance.random() / 500)
            finally:
                inside -= 1

    tasks = [asyncio.create_task(call()) for _ in range(200)]
    while pending := [task for task in tasks if not task.done()]:
        chance.choice(pending).cancel()
        await asyncio.sleep(chance.choice([0, 0, 0.001]))
    assert {type(task.exception()) for task in tasks if not task.cancelled()} <= {
        type(None),
        BulkheadFull,
    }
    assert most == places
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(hold(bulkhead, over))
        await until(bulkhead._places.locked)
        over.set()
    assert bulkhead._places._value == places
