"""Messages, records and jobs for tests of runs."""

import contextlib
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import svcs

from kernel.jobs import Job, job
from kernel.jobs.done import DoneMarkers
from kernel.jobs.runs import Run
from kernel.jobs.table import Message
from kit.slices.shared.things import ThingChanged

EXPIRE = "update jobs.runs set held_until = now()"
PUT = """select set_config('request.headers', '{"x-request-id": "request-1"}', false)"""


async def told(own, one: Job | str = "a.b", fields: dict[str, object] | None = None) -> Message:
    """Put an event for a job; return the message about it, as the relay would send it."""
    event = ThingChanged(thing_id=uuid4())
    topic = one.on.topic if isinstance(one, Job) else event.topic
    await own.sql.execute(PUT)
    number = await own.put(topic, event.model_dump() if fields is None else fields)
    await own.sql.execute("select set_config('request.headers', '', false)")
    run_id = one.run_id(event, number, 0) if isinstance(one, Job) else uuid4()
    return Message(run_id, one.name if isinstance(one, Job) else one, number, 0)


async def record(own, message):
    return await own.sql.fetchrow("select * from jobs.runs where id = $1", message.run_id)


async def state(own, message):
    row = await record(own, message)
    return row["state"], row["attempts"], row["error"]


async def begin(found, message, holder="me", most=4):
    return await found.begin(message, holder=holder, max_attempts=most)


@contextlib.asynccontextmanager
async def another_connection(own):
    connection = await asyncpg.connect(own.url)
    try:
        yield connection
    finally:
        await connection.close()


def some_job(function: Callable[..., Any] | None = None, **options: Any) -> Job:
    async def act(thing_id: UUID) -> None:
        pass

    return job(on=ThingChanged, **options)(function or act)


async def at_once(function):
    return function()


async def marked(services, message):
    return await svcs.Container(services).get(DoneMarkers).has(message.run_id)


class Acting:
    """A job that notes what it was called with, and ends as it is told to."""

    def __init__(self, error: BaseException | None = None, **options: Any) -> None:
        self.called: list[Any] = []
        self.error = error

        async def act(thing_id: UUID, run: Run) -> None:
            self.called.append((thing_id, run.attempt))
            if self.error is not None:
                raise self.error

        self.job = some_job(act, **options)


async def is_over(coroutine):
    return await coroutine is None


@contextlib.asynccontextmanager
async def renamed(own, function):
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")
