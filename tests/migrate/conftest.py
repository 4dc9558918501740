"""What the tests of migrations share."""

from uuid import uuid4

import asyncpg
import pytest


@pytest.fixture
async def database_url(postgres_url):
    """The address of a separate empty database for the test."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"create database {name}")
    finally:
        await admin.close()
    return postgres_url.removesuffix("postgres") + name
