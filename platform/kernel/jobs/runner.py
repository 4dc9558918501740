"""Performs one message: takes the run's lease, calls the job, records the result."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import uuid4

import svcs
from pydantic import ValidationError

from kernel.core.metrics import JOB_ATTEMPTS, JOBS_LOST
from kernel.core.request_id import request_id
from kernel.core.traces import Span, Traces
from kernel.errors import Permanent, Temporary
from kernel.events import Event
from kernel.jobs.job import Job
from kernel.jobs.runs import HEARTBEAT, Begun, DoneMarkers, Run, Runs
from kernel.jobs.table import Message
from kernel.observe.logs import redact
from kernel.observe.unexpected import UnexpectedErrors
from kernel.supabase.errors import RECORDS_UNAVAILABLE

log = logging.getLogger(__name__)

_ERROR_LENGTH: Final = 500
_NOT_NOW: Final = timedelta(seconds=10)  # the database is unavailable: no attempt is counted
_WRITE_DOWN_AFTER: Final = (0.0, 0.5, 1.0, 2.0, 4.0)  # seconds between attempts to record a result

MainThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class Runner:
    """Performs messages, one at a time for each holder.

    `holder` names this process in leases. `main_thread` calls a function in the process's main
    thread and awaits it: only there can Celery's time limit interrupt a job that is not async.
    """

    def __init__(self, registry: svcs.Registry, *, holder: str, main_thread: MainThread) -> None:
        self._registry, self._holder, self._main_thread = registry, holder, main_thread
        with svcs.Container(registry) as container:
            self._runs, self._done, self._traces = container.get(Runs, DoneMarkers, Traces)
            self._unexpected = container.get(UnexpectedErrors)

    async def perform(self, job: Job, message: Message) -> timedelta | None:
        """Perform the message; return the delay until it must come again, or None if it is done.

        A failed job is not an error here. An unavailable database is not one either: the message
        comes again.
        """
        holder = f"{self._holder}{uuid4().hex}"
        try:
            if await self._done.has(message.run_id):
                # The run has succeeded; only its record is missing.
                await self._runs.close(message, "succeeded")
                return None
            begun = await self._runs.begin(message, holder=holder, max_attempts=1 + job.retries)
        except RECORDS_UNAVAILABLE as error:
            log.warning("A job waits for the database", extra={"reason": repr(error)})
            return _NOT_NOW
        request_id.set(begun.request_id)
        if begun.outcome == "busy":
            return timedelta(seconds=begun.seconds + 0.5)
        if begun.outcome == "exhausted":
            _log_dead_letter(message, "its process was killed at each attempt")
            JOBS_LOST.labels(job.name).inc()
        if begun.outcome != "run":
            return None
        with self._traces.span(job.name, "consumer", message.traceparent, slice=job.slice) as span:
            span.note(attempt=begun.attempt, run_id=str(message.run_id))
            if begun.request_id is not None:
                span.note(request_id=begun.request_id)
            return await self._attempt(job, message, begun, holder, span)

    async def fail_unknown(self, message: Message) -> timedelta | None:
        """Record a run whose job this worker does not know as failed; return as `perform` does."""
        reason = "this worker does not know the job"
        try:
            await self._runs.close(message, "failed", error=reason)
        except RECORDS_UNAVAILABLE as error:
            log.warning("An unknown job waits for the database", extra={"reason": repr(error)})
            return _NOT_NOW
        _log_dead_letter(message, reason)
        JOBS_LOST.labels("unknown").inc()  # the name comes from a message
        return None

    async def _attempt(
        self, job: Job, message: Message, begun: Begun, holder: str, span: Span
    ) -> timedelta | None:
        log.info("job started", extra=_extra(job, message, begun))
        started = time.perf_counter()
        heartbeat = asyncio.create_task(self._heartbeat(message, holder))
        error: BaseException | None = None
        try:
            await self._call(job, message, begun)
            await self._done.add(message.run_id)
        except BaseException as failure:  # noqa: BLE001 - all that a job raises, SystemExit too
            error = failure
        finally:
            heartbeat.cancel()
        state, after = _verdict(job, begun.attempt, error)
        seconds = time.perf_counter() - started
        JOB_ATTEMPTS.labels(job.name, "retried" if state == "queued" else state).observe(seconds)
        extra = _extra(job, message, begun) | {
            "state": state,
            "duration_ms": round(seconds * 1000),
        }
        if after is not None:
            extra["retry_in_seconds"] = round(after.total_seconds(), 1)
        if error is None:
            log.info("job", extra=extra)
        else:
            span.failed(type(error).__name__)
            log.log(
                logging.ERROR if state == "failed" else logging.WARNING,
                "job",
                extra=extra,
                exc_info=error,
            )
            self._unexpected.of_job(error, slice=job.slice, job=job.name)
        recorded = await self._write_down(
            message,
            holder,
            state,
            error=_text(error),
            duration_ms=extra["duration_ms"],
            retry_after=after or timedelta(0),
        )
        if recorded and state == "failed":
            _log_dead_letter(message, type(error).__name__)
            if isinstance(error, Temporary):
                await self._replay_later(message)
        return after if recorded or after else _NOT_NOW

    async def _replay_later(self, message: Message) -> None:
        """Let the relay publish the run again; if that cannot be recorded, it stays failed."""
        with contextlib.suppress(*RECORDS_UNAVAILABLE):
            if await self._runs.replay_later(message.run_id):
                log.info("A failed job is performed again later", extra={"job": message.job})

    async def _call(self, job: Job, message: Message, begun: Begun) -> None:
        event = _event(job, begun)
        run = Run(
            id=message.run_id,
            job=job.name,
            slice=job.slice,
            attempt=begun.attempt,
            request_id=begun.request_id,
        )
        async with svcs.Container(self._registry) as container:
            container.register_local_value(Run, run)
            arguments = {name: getattr(event, name) for name in job.event_parameters}
            for name, service in job.services.items():
                arguments[name] = await container.aget(service)
            if job.is_async:
                async with asyncio.timeout(job.timeout.total_seconds()):
                    await job.function(**arguments)
            else:
                await self._main_thread(lambda: job.function(**arguments))

    async def _heartbeat(self, message: Message, holder: str) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds())
            with contextlib.suppress(*RECORDS_UNAVAILABLE):
                if not await self._runs.extend(message.run_id, holder):
                    log.warning("A lease was lost", extra={"run_id": str(message.run_id)})

    async def _write_down(self, message: Message, holder: str, state: Any, **how: Any) -> bool:
        """Record the result of an attempt; return False if the database stays unavailable."""
        for pause in _WRITE_DOWN_AFTER:
            await asyncio.sleep(pause)
            with contextlib.suppress(*RECORDS_UNAVAILABLE):
                await self._runs.finish(message.run_id, holder, state, **how)
                return True
        return False


def _event(job: Job, begun: Begun) -> Event:
    if begun.fields is None or begun.topic != job.on.topic:
        raise Permanent(f"there is no event {job.on.topic} for this run: it may have been deleted")
    try:
        return job.on.model_validate(begun.fields)
    except ValidationError as error:
        raise Permanent(f"the event does not fit {job.on.__name__}: {error}") from error


def _verdict(
    job: Job, attempt: int, error: BaseException | None
) -> tuple[Literal["succeeded", "queued", "failed"], timedelta | None]:
    if error is None:
        return "succeeded", None
    if isinstance(error, Permanent) or attempt > job.retries:
        return "failed", None
    return "queued", job.delay(attempt)


def _text(error: BaseException | None) -> str | None:
    if error is None:
        return None
    text = str(redact(f"{type(error).__name__}: {error}"))[:_ERROR_LENGTH]
    # PostgreSQL's text cannot hold NUL and lone surrogates.
    return text.replace("\x00", "").encode(errors="replace").decode()


def _log_dead_letter(message: Message, reason: str) -> None:
    """Write the one line of a run that is a dead letter now; its id is the run's."""
    log.error(
        "dead letter",
        extra={"dead_letter": str(message.run_id), "job": message.job, "reason": reason},
    )


def _extra(job: Job, message: Message, begun: Begun) -> dict[str, Any]:
    return {"job": job.name, "run_id": str(message.run_id), "attempt": begun.attempt}
