"""A process of the worker: an event loop beside the main thread."""

import asyncio
import contextvars
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import svcs
from celery.exceptions import SoftTimeLimitExceeded

from kernel.core.traces import Traces
from kernel.jobs.job import Job
from kernel.jobs.runner import Runner
from kernel.jobs.table import Message
from kernel.observe.unexpected import UnexpectedErrors


def holder_prefix(pid: int) -> str:
    """Return the prefix of this process's lease holders."""
    return f"{socket.gethostname()}:{pid}:"


class WorkerProcess:
    """A process of the worker: async jobs run on its event loop, others in its main thread."""

    def __init__(self, register: Callable[[svcs.Registry], None]) -> None:
        # SIGTERM reaches the whole process group, but the worker's main process decides.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._interruptible = False
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="jobs", daemon=True).start()
        self._registry = svcs.Registry()
        self._runner = asyncio.run_coroutine_threadsafe(self._open(register), self._loop).result()

    def perform(self, job: Job, message: Message) -> timedelta | None:
        """Perform a message from the main thread: see Runner.perform."""
        # Celery's own handler, which it sets when this object exists already, would also interrupt
        # the code around a job: then a result could get lost.
        signal.signal(signal.SIGUSR1, self._soft_limit)
        ended = asyncio.run_coroutine_threadsafe(self._runner.perform(job, message), self._loop)
        ended.add_done_callback(lambda _: self._work.put(None))
        while (work := self._work.get()) is not None:
            work()
        return ended.result()

    def fail_unknown(self, message: Message) -> timedelta | None:
        """Record a run whose job is not known here: see Runner.fail_unknown."""
        kept = self._runner.fail_unknown(message)
        return asyncio.run_coroutine_threadsafe(kept, self._loop).result()

    def end(self) -> None:
        """Send the traces and reports of errors that wait, before the process ends."""
        with svcs.Container(self._registry) as container:
            traces, unexpected = container.get(Traces, UnexpectedErrors)
        if traces.on or unexpected.observed:
            asyncio.run_coroutine_threadsafe(self._registry.aclose(), self._loop).result()

    async def _open(self, register: Callable[[svcs.Registry], None]) -> Runner:
        register(self._registry)
        prefix = holder_prefix(os.getpid())
        return Runner(self._registry, holder=prefix, main_thread=self._in_main_thread)

    def _soft_limit(self, *_: object) -> None:
        """Interrupt the function in the main thread; if there is none, the job has just ended."""
        if self._interruptible:
            self._interruptible = False
            raise SoftTimeLimitExceeded

    async def _in_main_thread(self, function: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()  # the request id, for the job's log lines
        done: Future[tuple[Any, BaseException | None]] = Future()

        def work() -> None:
            # The error is passed as a value: a future does not accept every exception.
            outcome: tuple[Any, BaseException | None] = (None, TimeoutError())
            try:
                self._interruptible = True
                try:
                    outcome = (context.run(function), None)
                except SoftTimeLimitExceeded:
                    pass
                except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                    outcome = (None, error)
                self._interruptible = False
            except SoftTimeLimitExceeded:
                pass  # the function had just ended: its outcome counts
            done.set_result(outcome)

        self._work.put(work)
        result, error = await asyncio.wrap_future(done)
        if error is not None:
            raise error
        return result
