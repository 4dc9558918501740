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
def own_settings(settings, valkey):
    """Settings of processes with a cache of this test's own."""
    return changed(settings, redis_port=valkey.port, redis_db=0)
