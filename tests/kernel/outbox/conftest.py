"""A relay for tests of the outbox."""

import pytest

from kit.outbox.relays import running_relay


@pytest.fixture
async def a_relay(own_stack):
    async with running_relay(own_stack) as one:
        yield one
