"""The Auth part of the gateway, for tests."""

from collections.abc import AsyncIterator

import pytest

from devstack.tests.gateway.auth_kit import Gateway, gateway


@pytest.fixture(scope="module")
async def auth(postgres_url) -> AsyncIterator[Gateway]:
    async with gateway(postgres_url, mail_interval=0) as running:
        yield running
