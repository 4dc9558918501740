import pytest

from kit.holding import Origin
from kit.small import changed


@pytest.fixture
def origin():
    """What a cached read reads, and how often; its loads can be held open."""
    found = Origin()
    yield found
    found.release()


@pytest.fixture
def valkey(own_stack):
    """A cache of this file's own, emptied: one for each test would take longer than the tests."""
    return own_stack.cache


@pytest.fixture
def own_settings(settings, valkey):
    """Settings of processes with that cache."""
    return changed(settings, redis_port=valkey.port, redis_db=0)
