"""The processes beside the API: worker, relay and beat; each runs until SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Final

import svcs

from kernel.boot.discovery import version
from kernel.boot.services import register_services
from kernel.boot.topics import require_topics
from kernel.cache import Drops
from kernel.config.settings import Settings
from kernel.core.metrics import JOB_ATTEMPTS, RELAY_FAILURES, SLOTS
from kernel.core.traces import Traces
from kernel.events import known_events
from kernel.feature import Feature
from kernel.identity.revocation import Revocations
from kernel.jobs.broker import celery_app, require_visibility_timeout
from kernel.jobs.job import QUEUES
from kernel.jobs.publisher import Publisher
from kernel.jobs.table import JobTable
from kernel.jobs.unreadable import DEAD_LETTERS, UnreadableMessages
from kernel.live import LiveStream
from kernel.observe.heartbeat import Heartbeat
from kernel.observe.listener import Listener, collectors
from kernel.observe.operations import Operations
from kernel.outbox.beat import Beat
from kernel.outbox.outbox import Outbox
from kernel.outbox.recovery import Recovery
from kernel.outbox.relay import Relay
from kernel.redis import WakeUps, connect_alarm, connect_broker, report_eviction
from kernel.supabase import AsService
from kernel.worker import worker
from kernel.worker.queues import run_each

_BEAT_SECONDS: Final = 1.0


def run_worker(
    settings: Settings,
    features: Mapping[str, Feature],
    queues: tuple[str, ...] = QUEUES,
) -> int:
    """Run a worker of these queues until SIGTERM; return its exit code.

    Each queue has a process of its own, so that one does not delay the others. Raises SettingsError
    if the visibility timeout is too short for a job.
    """

    def register(registry: svcs.Registry) -> None:  # in each process of the worker, after its fork
        register_services(registry, settings, features, process="worker")

    def of(queue: str, beat: Callable[[], None]) -> int:
        return worker.run_worker(settings, jobs, register, queue, beat)

    jobs = JobTable.of(features)
    require_visibility_timeout(settings, jobs)
    for job in jobs.by_name:
        for result in ("succeeded", "retried", "failed"):
            JOB_ATTEMPTS.labels(job, result)  # rates need a zero to begin with
    Listener(settings, *collectors("worker", version()))
    heartbeat = Heartbeat(settings.heartbeat_file)
    if len(queues) == 1:
        return of(queues[0], heartbeat.beat)
    return run_each(queues, of, heartbeat.beat)


def run_relay(settings: Settings, features: Mapping[str, Feature]) -> None:
    """Run a relay until SIGTERM or Ctrl-C.

    Raises BootError if a slice follows an event whose topic the database does not have.
    """
    jobs = JobTable.of(features)
    for to in ("database", "cache", "broker"):
        RELAY_FAILURES.labels(to)  # rates need a zero to begin with

    async def main() -> None:
        await report_eviction(settings)
        async with _services(settings, features, "relay") as services:
            drops, revocations, db = services.get(Drops, Revocations, AsService)
            await require_topics(db, features)
            outbox, publisher = Outbox(db), Publisher(celery_app(settings), jobs)
            relay = Relay(
                outbox,
                publisher,
                drops=drops,
                live=services.get(LiveStream),
                revocations=revocations,
                recovery=Recovery(outbox, publisher, services.get(UnreadableMessages)),
                jobs=jobs,
                events=known_events(),
                traces=services.get(Traces),
                alarm=connect_alarm(settings),
            )
            async with connect_broker(settings) as broker:
                operations = Operations(db, broker, queues=QUEUES, dead=DEAD_LETTERS)
                Listener(settings, operations, *collectors("relay", version()))
                await _until_signalled(settings, relay.run, operations.run())

    asyncio.run(main())


def run_beat(settings: Settings, features: Mapping[str, Feature]) -> None:
    """Run beat until SIGTERM or Ctrl-C."""
    jobs = JobTable.of(features).scheduled
    for job in jobs:
        for result in ("put", "known", "failed"):
            SLOTS.labels(job.name, result)

    async def main() -> None:
        async with _services(settings, features, "beat") as services:
            Listener(settings, *collectors("beat", version()))
            beat = Beat(Outbox(services.get(AsService)), jobs, services.get(WakeUps))
            await _until_signalled(settings, beat.run)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def _services(
    settings: Settings, features: Mapping[str, Feature], process: str
) -> AsyncIterator[svcs.Container]:
    async with svcs.Registry() as registry:
        register_services(registry, settings, features, process=process)
        async with svcs.Container(registry) as container:
            yield container


async def _until_signalled(
    settings: Settings,
    run: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    *beside: Coroutine[Any, Any, None],
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(one) for one in (_beat(settings), *beside)]
    try:
        await run(stop)
    finally:
        for task in tasks:
            task.cancel()


async def _beat(settings: Settings) -> None:
    heartbeat = Heartbeat(settings.heartbeat_file)
    while True:
        heartbeat.beat()
        await asyncio.sleep(_BEAT_SECONDS)
