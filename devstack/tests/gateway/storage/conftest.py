"""The Storage part of the gateway, for tests."""

from collections.abc import AsyncIterator

import pytest

from devstack.tests.gateway.storage.storage_kit import Storage, storage_server


@pytest.fixture(scope="module")
async def storage(postgres_url, tmp_path_factory) -> AsyncIterator[Storage]:
    async with storage_server(postgres_url, tmp_path_factory.mktemp("storage")) as running:
        yield running
