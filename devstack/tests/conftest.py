"""What the tests of the stack itself share."""

import os
import time
from uuid import uuid4

import asyncpg
import pytest


@pytest.fixture
async def database_url(postgres_url):
    """The address of an empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"create database {name}")
    finally:
        await admin.close()
    return postgres_url.removesuffix("postgres") + name


@pytest.fixture
def until():
    """Waits for a condition and returns its value; fails after a while."""

    def wait(condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "this did not come true in time"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def lives():
    """Tells whether a process is there, and more than a zombie that its parent forgot."""

    def check(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        with os.popen(f"ps -o stat= -p {pid}") as answer:
            return answer.read().strip()[:1] not in {"", "Z"}

    return check
