"""Fixtures for tests of runs."""

import asyncio
from datetime import timedelta

import pytest

from kernel.jobs import Job
from kernel.jobs.runner import Runner
from kernel.jobs.runs import Runs
from kernel.jobs.table import Message
from kit.runs import at_once


@pytest.fixture
async def found(own_database):
    """The records of runs, in the way that a worker uses them."""
    async with own_database.as_service() as db:
        yield Runs(db)


@pytest.fixture
async def twenty(own_database):
    """The same of 20 workers: what one worker begins at the same time shares a call."""
    async with own_database.as_service() as db:
        yield [Runs(db) for _ in range(20)]


@pytest.fixture
async def services(own_stack):
    async with own_stack.services() as services:
        yield services


@pytest.fixture
def performs(services):
    """Performs messages like a worker process; no request id is left in the context afterwards."""
    one = Runner(services, holder="host:1:", main_thread=at_once)

    async def perform(what: Job, message: Message) -> timedelta | None:
        return await asyncio.create_task(one.perform(what, message))

    return perform
