"""Tasks that ask at the same time share a call."""

import asyncio

import pytest

from kernel.core.joined import Joined
from kernel.core.request_id import request_id
from kit.waiting import until


class Calls:
    """A call that doubles numbers; it waits while `open` is cleared, and fails for a 13."""

    def __init__(self):
        self.batches, self.contexts, self.open = [], [], asyncio.Event()
        self.open.set()

    async def double(self, numbers):
        self.batches.append(list(numbers))
        self.contexts.append(request_id.get())
        await self.open.wait()
        if 13 in numbers:
            raise ValueError(13)
        return [2 * number for number in numbers]


async def test_what_is_asked_at_the_same_time_is_one_call_and_each_gets_its_own_answer():
    calls = Calls()
    joined = Joined(calls.double)
    assert await asyncio.gather(*map(joined.ask, range(5))) == [0, 2, 4, 6, 8]
    assert calls.batches == [[0, 1, 2, 3, 4]]


async def test_while_a_call_is_under_way_the_next_items_collect_up_to_a_bound():
    calls = Calls()
    joined = Joined(calls.double, most=3)
    calls.open.clear()
    first = asyncio.create_task(joined.ask(1))
    await until(lambda: calls.batches)
    others = [asyncio.create_task(joined.ask(number)) for number in range(2, 7)]
    await asyncio.sleep(0)
    calls.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10, 12]
    assert calls.batches == [[1], [2, 3, 4], [5, 6]]


async def test_an_error_goes_to_all_that_shared_the_call_and_to_none_after():
    calls = Calls()
    joined = Joined(calls.double)
    found = await asyncio.gather(joined.ask(1), joined.ask(13), return_exceptions=True)
    assert [str(one) for one in found] == ["13", "13"]
    assert await joined.ask(2) == 4


async def test_one_that_is_cancelled_leaves_the_others_their_answers():
    calls = Calls()
    joined = Joined(calls.double)
    calls.open.clear()
    leaving, staying = (asyncio.create_task(joined.ask(number)) for number in (1, 2))
    await until(lambda: calls.batches)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    calls.open.set()
    assert await staying == 4


async def test_a_shared_call_has_the_context_of_none_of_the_tasks():
    calls = Calls()
    joined = Joined(calls.double)

    async def ask(name):
        request_id.set(name)
        await joined.ask(1)
        assert request_id.get() == name

    await asyncio.gather(*(asyncio.create_task(ask(name)) for name in ("one", "two")))
    assert calls.contexts == [None]
