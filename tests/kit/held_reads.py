"""Fixtures for tests that hold cached reads open: a folder's conftest imports them.

They are not a plugin for all tests, because `valkey` is a different server here.
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
    """What a cached read loads, and how often; tests can hold its loads open."""
    found = Origin()
    yield found
    found.release()


@pytest.fixture
def valkey(own_stack: OwnDatabase) -> Valkey:
    """A cache for this file, emptied for each test: a server for each would be too slow."""
    return own_stack.cache


@pytest.fixture
def own_settings(settings: Settings, valkey: Valkey, patient_redis: None) -> Settings:
    """Settings of processes that use that cache and trust the request ids of tests."""
    proxies = [str(CLIENTS)]
    return changed(settings, redis_port=valkey.port, redis_db=0, trusted_proxies=proxies)
