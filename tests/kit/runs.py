"""Messages, records and jobs for tests of runs."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import svcs

from kernel.jobs import Job, job
from kernel.jobs.runs import Begun, DoneMarkers, Run, Runs
from kernel.jobs.table import Message
from kit.own_database import OwnDatabase
from kit.slices.shared.things import ThingChanged

EXPIRE = "update jobs.runs set held_until = now()"
PUT = """select set_config('request.headers', '{"x-request-id": "request-1"}', false)"""


async def told(
    own: OwnDatabase, one: Job | str = "a.b", fields: dict[str, object] | None = None
) -> Message:
    """Put an event for a job; return the message about it that the relay would send."""
    event = ThingChanged(thing_id=uuid4())
    topic = one.on.topic if isinstance(one, Job) else event.topic
    await own.sql.execute(PUT)
    number = await own.put(topic, event.model_dump() if fields is None else fields)
    await own.sql.execute("select set_config('request.headers', '', false)")
    run_id = one.run_id(event, number, 0) if isinstance(one, Job) else uuid4()
    return Message(run_id, one.name if isinstance(one, Job) else one, number, 0)


async def record(own: OwnDatabase, message: Message) -> Any:
    return await own.sql.fetchrow("select * from jobs.runs where id = $1", message.run_id)


async def state(own: OwnDatabase, message: Message) -> tuple[str, int, Any]:
    row = await record(own, message)
    return row["state"], row["attempts"], row["error"]


async def begin(found: Runs, message: Message, holder: str = "me", most: int = 4) -> Begun:
    return await found.begin(message, holder=holder, max_attempts=most)


@contextlib.asynccontextmanager
async def another_connection(own: OwnDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(own.url)
    try:
        yield connection
    finally:
        await connection.close()


def some_job(function: Callable[..., Any] | None = None, **options: Any) -> Job:
    async def act(thing_id: UUID) -> None:
        pass

    return job(on=ThingChanged, **options)(function or act)


async def at_once(function: Callable[[], Any]) -> Any:
    return function()


async def marked(services: svcs.Registry, message: Message) -> bool:
    return await svcs.Container(services).get(DoneMarkers).has(message.run_id)


class Acting:
    """A job that records its calls, and raises the given error, if there is one."""

    def __init__(self, error: BaseException | None = None, **options: Any) -> None:
        self.called: list[Any] = []
        self.error = error

        async def act(thing_id: UUID, run: Run) -> None:
            self.called.append((thing_id, run.attempt))
            if self.error is not None:
                raise self.error

        self.job = some_job(act, **options)


async def is_over(coroutine: Awaitable[timedelta | None]) -> bool:
    return await coroutine is None


@contextlib.asynccontextmanager
async def renamed(own: OwnDatabase, function: str) -> AsyncIterator[None]:
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")
