"""`./app worker`: Celery's worker, with a shutdown that returns unfinished messages."""

import logging
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import svcs
from celery import signals
from celery.apps.worker import Worker as CeleryWorker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.worker import state

from kernel.config.settings import Settings
from kernel.jobs.broker import celery_app
from kernel.jobs.job import QUEUES
from kernel.jobs.publisher import Publisher
from kernel.jobs.table import JobTable
from kernel.worker.consumer import JobConsumer
from kernel.worker.loop_pool import LoopPool
from kernel.worker.loop_process import run_loop_process
from kernel.worker.process import WorkerProcess
from kernel.worker.tasks import LostProcesses, register_tasks
from kernel.worker.wedged import Watch

log = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.25


def run_worker(
    settings: Settings,
    jobs: JobTable,
    register: Callable[[svcs.Registry], None],
    queue: str,
    beat: Callable[[], None],
) -> int:
    """Run a worker of this queue until SIGTERM; return its exit code.

    `register` puts the services of jobs into the registry of each process. `beat` is called while
    the worker works. Jobs of the queue `default` run on the event loop of one process, others in
    processes of their own.
    """
    app, lost = celery_app(settings), LostProcesses(settings)

    @cache
    def process() -> tuple[WorkerProcess, Publisher]:
        return WorkerProcess(register), Publisher(app, jobs)

    def begin(**_: Any) -> None:
        process()

    def end(**_: Any) -> None:
        process()[0].end()

    def on_a_loop(channel: socket.socket) -> None:
        run_loop_process(channel, jobs, Publisher(app, jobs), register)

    # It warns about root and pickles: our messages are JSON.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    register_tasks(app, jobs, lost=lost, process=process)
    signals.worker_process_init.connect(begin, weak=False)
    signals.worker_process_shutdown.connect(end, weak=False)
    signals.setup_logging.connect(_leave_logging_alone, weak=False)
    shared = queue == QUEUES[0]
    concurrency = settings.worker_jobs if shared else settings.worker_concurrency
    worker = Worker(
        app=app,
        queues=[queue],
        pool=LoopPool if shared else "prefork",
        concurrency=concurrency,
        hostname=f"{queue}@{socket.gethostname()}",
        quiet=True,
        consumer_cls=JobConsumer,
        worker_lost_wait=0.5,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
        grace=settings.worker_grace_seconds,
        watch=Watch(concurrency),
        beat_each=beat,
        lost=lost,
    )
    if isinstance(worker.pool, LoopPool):
        worker.pool.prepare(on_a_loop, lost)
    worker.start()
    return int(worker.exitcode or 0)


def _leave_logging_alone(**_: Any) -> None:
    """Do nothing: with this receiver connected, Celery does not set up logging."""


class Worker(CeleryWorker):
    """Celery's worker, which ends after SIGTERM within its grace.

    It takes no more messages and waits for its running jobs, while its loop still acknowledges the
    ones that end. After the grace it kills the processes that are still busy, which returns their
    messages to the queue. Celery's own soft shutdown sleeps in the signal handler: a job that ends
    meanwhile would not be acknowledged, and would run twice.
    """

    consumer: Any
    pool: Any

    def on_before_init(self, quiet: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Take our own options."""
        self._lost: LostProcesses = kwargs.pop("lost")
        self._grace: float = kwargs.pop("grace")
        self._watch: Watch = kwargs.pop("watch")
        self.beat_each: Callable[[], None] = kwargs.pop("beat_each")
        self._asked = self._ticked = 0.0
        self._draining = False
        super().on_before_init(quiet=quiet, **kwargs)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Replace Celery's signal handlers for shutdown."""
        super().install_platform_tweaks(worker)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        # It warns about worker_cancel_long_running_tasks_on_connection_loss, which we set on
        # purpose.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)

    def register_with_event_loop(self, hub: Any) -> None:
        """Call `tick` regularly, on each loop that the worker starts."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_TICK_SECONDS, self.tick)

    def tick(self) -> None:
        """Update the heartbeat unless a process is wedged, and continue a shutdown in progress."""
        if not self._watch.wedged(state.reserved_requests, state.active_requests):
            self.beat_each()
        self._ticked = time.monotonic()
        if not self._asked:
            return
        if not self._draining:
            self._draining = True
            log.info("No more jobs are taken", extra={"grace_seconds": self._grace})
            self.consumer.task_consumer.cancel()
        if not state.active_requests:
            state.should_stop = os.EX_OK
        elif time.monotonic() > self._asked + self._grace and not self._lost.draining:
            self._lost.draining = True
            log.warning(
                "Unfinished jobs go back to the queue", extra={"number": len(state.active_requests)}
            )
            if isinstance(self.pool, LoopPool):
                self.pool.give_back()
                return
            for request in list(state.active_requests):
                if request.worker_pid:
                    os.kill(request.worker_pid, signal.SIGKILL)

    def _end(self, *_: object) -> None:
        self._asked = self._asked or time.monotonic()
        if time.monotonic() - self._ticked > 4 * _TICK_SECONDS:
            state.should_stop = os.EX_OK  # the loop is not running: the broker is unavailable
