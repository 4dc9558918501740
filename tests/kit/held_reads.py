"""Fixtures of tests whose cached reads are held open: a folder's conftest takes them by import.

They are no plugin of all tests: `valkey` is another server here.
"""

from collections.abc import Iterator

import pytest

from kernel.config.settings import Settings
from kit.application import CLIENTS
from kit.holding import Origin
from kit.own_database import OwnDatabase
from kit.small import changed
from kit.valkeys import Valkey


@pytest.fixture
def origin() -> Iterator[Origin]:
    """What a cached read reads, and how often; its loads can be held open."""
    found = Origin()
    yield found
    found.release()


@pytest.fixture
def valkey(own_stack: OwnDatabase) -> Valkey:
    """A cache of this file's own, emptied: one for each test would take longer than the tests."""
    return own_stack.cache


@pytest.fixture
def own_settings(settings: Settings, valkey: Valkey, patient_redis: None) -> Settings:
    """Settings of processes with that cache, which believe the request ids of tests."""
    proxies = [str(CLIENTS)]
    return changed(settings, redis_port=valkey.port, redis_db=0, trusted_proxies=proxies)
