import asyncio
import time

from kernel.web.constant_time import ConstantTimeDelay

STEP = 0.1


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
