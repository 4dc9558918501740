"""What the tests of migrations share."""

from uuid import uuid4

import pytest

from kit.servers import make_database


@pytest.fixture
async def database_url(postgres_url):
    """The address of a separate empty database for the test."""
    return await make_database(postgres_url, f"test_{uuid4().hex}", template="template1")
