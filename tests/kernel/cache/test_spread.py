"""K8: values that are stored at the same time do not expire at the same time."""

import struct
import time
from typing import cast

import pytest
from redis import Redis

from kernel.cache.cached import SPREAD
from kernel.cache.drops import VERSION_SECONDS
from kit.holding import holding_feature, replicas
from kit.waiting import many

KEYS = 1000
HEADER = struct.calcsize("<8sIB")


def spread_of(figures):
    """Return how far the extremes lie from their middle, as a fraction of it."""
    middle = (min(figures) + max(figures)) / 2
    return (max(figures) - middle) / middle


@pytest.mark.parametrize("missing", [False, True])
async def test_k8_a_thousand_keys_of_one_moment_expire_over_a_tenth_to_either_side(
    own_settings, origin, valkey, missing
):
    origin.seen_by = 7 if missing else None
    numbers = iter(range(KEYS))
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:

        async def read():
            return await client.get(f"/things/00000000-0000-4000-8000-{next(numbers):012}")

        answers = await many(KEYS, read)
    assert {answer.status_code for answer in answers} == {404 if missing else 200}
    with Redis(port=valkey.port) as server:
        now = time.time()
        values = server.keys("cache:*")
        left = [server.pttl(key) / 1000 for key in values]
        ages = [
            struct.unpack_from("<d", cast("bytes", server.get(key)), HEADER)[0] - now
            for key in values
        ]
        versions = [server.ttl(key) for key in server.keys("tag:*")]
    assert len(values) == len(versions) == KEYS
    usual = 30 if missing else 300
    for figures in (left, ages, versions):
        assert spread_of(figures) >= 0.1
    assert min(ages) > usual * (1 - SPREAD) - 30
    assert max(ages) <= usual * (1 + SPREAD)
    if missing:
        assert usual < min(versions) <= max(versions) <= 400  # S6: missing rows expire soon
    else:
        assert min(versions) > VERSION_SECONDS - 30
