"""S11: a drop deletes the cached values of this template's slices, or they expire in 5 minutes.

For a cached read of your own: list the possible values of its placeholders in `where`. Otherwise
the data of a deleted user stays in Redis until it expires.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from kernel.boot.discovery import discover
from kernel.boot.services import prefixes_of
from kernel.cache.cached import SPREAD

from .shipped import SLICES

FEATURES = {name: feature for name, feature in discover().items() if name in SLICES}
READS = {
    (name, cached.key, event.__name__): (cached, event)
    for name, feature in FEATURES.items()
    for cached in feature.cached
    for event in cached.drop_on
}
SOON = timedelta(minutes=5)
SAMPLE: dict[Any, Any] = {UUID: UUID("3820052a-bbd0-4a50-bce5-53a231166443"), str: "a"}


@pytest.mark.parametrize("read", READS, ids="-".join)
def test_s11_an_event_that_drops_a_read_knows_its_keys_or_they_expire_soon(read):
    cached, event = READS[read]
    if (cached.ttl + cached.stale) * (1 + SPREAD) <= SOON:
        return
    fields: dict[str, Any] = {
        name: SAMPLE[one.annotation] for name, one in event.model_fields.items()
    }
    sample = event.model_construct(**fields)
    assert 1 <= len(list(cached.keys(sample))) <= 400
    assert prefixes_of(FEATURES)[cached]
