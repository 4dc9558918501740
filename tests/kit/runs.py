"""Messages, records and jobs for tests of runs."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import svcs

from kernel.jobs import Job, job
from kernel.jobs.done import DoneMarkers
from kernel.jobs.runs import Run, Runs
from kernel.jobs.table import Message
from kit.own_database import OwnDatabase
from kit.slices.shared.things import ThingChanged

T = TypeVar("T")

EXPIRE = "update jobs.runs set held_until = now()"
PUT = """select set_config('request.headers', '{"x-request-id": "request-1"}', false)"""


async def told(
    own: OwnDatabase, one: Job | str = "a.b", fields: dict[str, object] | None = None
) -> Message:
    """Put an event for a job; return the message about it, as the relay would send it."""
    event = ThingChanged(thing_id=uuid4())
    topic = one.on.topic if isinstance(one, Job) else event.topic
    await own.sql.execute(PUT)
    number = await own.put(topic, event.model_dump() if fields is None else fields)
    await own.sql.execute("select set_config('request.headers', '', false)")
    run_id = one.run_id(event, number, 0) if isinstance(one, Job) else uuid4()
    return Message(run_id, one.name if isinstance(one, Job) else one, number, 0)


async def record(own: OwnDatabase, message: Message) -> Any:
    """Return the row of a message's run; None before it has begun."""
    return await own.sql.fetchrow("select * from jobs.runs where id = $1", message.run_id)


async def state(own: OwnDatabase, message: Message) -> tuple[str, int, str | None]:
    """Return state, attempts and error of a message's run."""
    row = await record(own, message)
    return row["state"], row["attempts"], row["error"]


async def begin(found: Runs, message: Message, holder: str = "me", most: int = 4) -> Any:
    """Begin the run of a message, as a worker does."""
    return await found.begin(message, holder=holder, max_attempts=most)


@contextlib.asynccontextmanager
async def another_connection(own: OwnDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A second connection to the database."""
    connection = await asyncpg.connect(own.url)
    try:
        yield connection
    finally:
        await connection.close()


def some_job(function: Callable[..., Any] | None = None, **options: Any) -> Job:
    """Return a job that does nothing, or what the function does."""

    async def act(thing_id: UUID) -> None:
        pass

    return job(on=ThingChanged, **options)(function or act)


async def at_once(function: Callable[[], T]) -> T:
    """Call the function."""
    return function()


async def marked(services: svcs.Registry, message: Message) -> bool:
    """Tell whether the run of a message has its done marker."""
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


async def is_over(coroutine: Awaitable[object]) -> bool:
    """Tell whether it returns nothing."""
    return await coroutine is None


@contextlib.asynccontextmanager
async def renamed(own: OwnDatabase, function: str) -> AsyncIterator[None]:
    """Hide a function, as it is while an older schema is in place."""
    await own.sql.execute(f"alter function public.{function} rename to gone")
    try:
        yield
    finally:
        await own.sql.execute(f"alter function public.gone rename to {function}")
