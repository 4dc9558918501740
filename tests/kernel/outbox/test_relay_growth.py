"""G5: the memory of a relay does not grow with the events that it has relayed."""

import gc
import tracemalloc

import pytest

from kit.outbox.relays import none_pending, running_relay

_MIB = 1024 * 1024
_PUT = """
insert into outbox.events (topic, items)
select topic, jsonb_build_array(jsonb_build_object('thing_id', gen_random_uuid(),
  'author_id', gen_random_uuid()))
from generate_series(1, $1::integer / 2), unnest('{thing_changed,thing_published}'::text[]) topic
"""


async def relayed(own, one, events):
    """Relay events in parts, so that the test itself holds few; return the memory in use."""
    for _ in range(events // 2_500):
        await own.sql.execute(_PUT, 2_500)
        while not await none_relayed_later(own, one):
            pass
        for server in (own.cache, own.broker):
            server.client.flushall()
        await own.sql.execute("truncate outbox.events, jobs.runs")
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def none_relayed_later(own, one):
    await one.turn()
    return await none_pending(own)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(5_000, marks=pytest.mark.slow),
        pytest.param(100_000, marks=pytest.mark.nightly),
    ],
)
async def test_g5_the_memory_of_a_relay_is_flat(own_stack, events):
    async with running_relay(own_stack) as one:
        tracemalloc.start()
        try:
            before = await relayed(own_stack, one, 2_500)  # what it fills once: pools, caches
            after = await relayed(own_stack, one, events)
        finally:
            tracemalloc.stop()
    assert after - before < _MIB, f"{(after - before) / _MIB:.2f} MiB more"
