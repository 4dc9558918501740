import asyncio
import time

import pytest

from kernel.web.constant_time import ConstantTimeDelay

STEP = 0.1


@pytest.mark.parametrize(("work", "rest"), [(0.03, 0.07), (0.07, 0.03), (0.13, 0.07)])
async def test_a_wait_lasts_until_the_next_step(frozen_time, work, rest):
    pace, loop = ConstantTimeDelay(STEP), asyncio.get_running_loop()
    frozen_time.tick(work)
    begun = loop.time()
    await pace.wait()
    assert rest - 0.01 < loop.time() - begun


async def test_outcomes_of_different_work_take_the_same_time():
    async def outcome(work):
        started, pace = time.perf_counter(), ConstantTimeDelay(STEP)
        await asyncio.sleep(work)
        await pace.wait()
        return time.perf_counter() - started

    short, longer, beyond = await asyncio.gather(outcome(0), outcome(0.03), outcome(0.13))
    assert STEP <= short < 2 * STEP
    assert abs(short - longer) < STEP / 2
    assert 2 * STEP <= beyond < 3 * STEP
