"""Jobs as Celery tasks, and the handling of lost processes."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from billiard.einfo import ExceptionInfo
from celery import Celery, Task
from celery.exceptions import Reject, TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from kernel.config.settings import Settings
from kernel.jobs.job import Job
from kernel.jobs.publisher import BrokerUnavailable, Publisher
from kernel.jobs.runs import Runs
from kernel.jobs.table import JobTable, Message
from kernel.supabase import AsService, SupabaseHttp
from kernel.supabase.errors import RECORDS_UNAVAILABLE
from kernel.worker.process import WorkerProcess, holder_prefix

log = logging.getLogger(__name__)

UNKNOWN: Final = "kernel.unknown_job"
_PAUSE_SECONDS: Final = 1.0
_LOST: Final = (WorkerLostError, TimeLimitExceeded)


class LostProcesses:
    """Ends the leases of a lost process of this worker, so that its runs need not wait.

    While `draining`, the worker itself kills its processes: that does not count as an attempt.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.draining = False

    def release(self, pid: int) -> None:
        """End the leases of a process; if the database is unavailable, they expire.

        This blocks the worker's loop on purpose, for the deadline of one call at most: the loop
        forks the next process, and must not do so while another thread may hold a lock.
        """
        asyncio.run(self._release(pid))

    async def _release(self, pid: int) -> None:
        async with SupabaseHttp(self._settings) as http:
            try:
                await Runs(AsService(http)).release(holder_prefix(pid), counts=not self.draining)
            except RECORDS_UNAVAILABLE:
                log.warning("A lost process keeps its leases until they run out")


class JobRequest(Request):
    """A message that the worker has received."""

    def on_failure(self, exc_info: ExceptionInfo, *args: Any, **options: Any) -> Any:
        """End the leases of a lost process; Celery then returns the message to the queue."""
        failure = exc_info.exception
        if isinstance(getattr(failure, "exc", failure), _LOST) and self.worker_pid:
            self.task.lost.release(self.worker_pid)
        return super().on_failure(exc_info, *args, **options)


class JobTask(Task):
    """A Celery task that performs the messages of one job."""

    Request = JobRequest
    lost: LostProcesses


def register_tasks(
    app: Celery,
    jobs: JobTable,
    *,
    lost: LostProcesses,
    process: Callable[[], tuple[WorkerProcess, Publisher]],
) -> None:
    """Add a Celery task for each job; `process` is called in the worker's processes."""

    def add(
        name: str,
        perform: Callable[[WorkerProcess, Message], timedelta | None],
        job: Job | None = None,
    ) -> None:
        def task(self: Any, event_id: int, item: int) -> None:
            named = name if job else self.request.job
            trace = getattr(self.request, "traceparent", None)
            trace = trace if isinstance(trace, str) else None
            message = Message(UUID(self.request.id), named, event_id, item, trace)
            try:
                here, publisher = process()
                after = perform(here, message)
                if after is not None:
                    publisher.send([message], after=after)
            except BrokerUnavailable as error:
                raise Reject(reason=repr(error), requeue=True) from error
            except Exception as error:
                # A fault of the worker, not of the job: return the message, so that no job is lost.
                log.exception("A message could not be performed", extra={"job": message.job})
                time.sleep(_PAUSE_SECONDS)  # it comes back immediately: limit the rate
                raise Reject(reason=repr(error), requeue=True) from error

        limits = _limits(job) if job else {}
        app.task(task, name=name, bind=True, base=JobTask, shared=False, lost=lost, **limits)

    for job in jobs.by_name.values():
        add(job.name, partial(_perform, job), job)
    add(UNKNOWN, WorkerProcess.fail_unknown)


def _perform(job: Job, here: WorkerProcess, message: Message) -> timedelta | None:
    return here.perform(job, message)


def _limits(job: Job) -> dict[str, float | None]:
    return {
        "time_limit": job.hard_limit.total_seconds(),
        # An async job has its time limit on the event loop; others get a signal.
        "soft_time_limit": None if job.is_async else job.timeout.total_seconds(),
    }
