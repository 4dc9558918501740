"""A process that runs many async jobs at a time, on its event loop."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import svcs

from kernel.jobs.publisher import BrokerUnavailable, Publisher
from kernel.jobs.runner import Runner
from kernel.jobs.table import JobTable, Message
from kernel.worker.process import holder_prefix

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0


class LoopProcess:
    """Performs what comes over a socket, all of it at a time, and answers when it has ended.

    A line that comes is {"number", "run_id", "job", "event_id", "item", "trace"}. One that goes is
    {"number", "done", "kibibytes"}, with the process's memory, or a beat: the loop works. `done`
    is false for a message that could not be performed. For one loop.
    """

    def __init__(self, jobs: JobTable, publisher: Publisher, registry: svcs.Registry) -> None:
        self._jobs, self._publisher, self._registry = jobs, publisher, registry
        self._publishing = asyncio.Lock()  # it has one connection
        self._runner = Runner(registry, holder=holder_prefix(os.getpid()), main_thread=_refuse)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, ours: socket.socket) -> None:
        """Perform what comes until the socket is closed: by then nothing is under way.

        If it is closed earlier, the worker is gone: its messages come again.
        """
        reader, writer = await asyncio.open_connection(sock=ours)
        beating = asyncio.create_task(self._beat(writer))
        while line := await reader.readline():
            task = asyncio.create_task(self._answer(orjson.loads(line), writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        beating.cancel()
        if self._tasks:
            os._exit(1)  # without a result of any job, as if the process were killed
        await self._registry.aclose()  # what waits is sent: traces, reports of errors

    async def _answer(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        message = Message(
            UUID(asked["run_id"]), asked["job"], asked["event_id"], asked["item"], asked["trace"]
        )
        done = True
        try:
            after = await self._perform(message)
            if after is not None:
                await self._publish(message, after)
        except BrokerUnavailable:
            done = False
        except Exception:
            # A fault of the worker, not of the job: return the message, so that no job is lost.
            log.exception("A message could not be performed", extra={"job": message.job})
            await asyncio.sleep(_PAUSE_SECONDS)  # it comes back immediately: limit the rate
            done = False
        _say(writer, number=asked["number"], done=done, kibibytes=_kibibytes())

    async def _perform(self, message: Message) -> timedelta | None:
        job = self._jobs.by_name.get(message.job)
        if job is None:
            return await self._runner.fail_unknown(message)
        if not job.is_async:
            return timedelta(0)  # a relay of before sent it here: it goes to the job's own queue
        return await self._runner.perform(job, message)

    async def _publish(self, message: Message, after: timedelta) -> None:
        async with self._publishing:
            await asyncio.to_thread(self._publisher.send, [message], after=after or None)

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while True:
            _say(writer)
            await asyncio.sleep(BEAT_SECONDS)


def run_loop_process(
    ours: socket.socket,
    jobs: JobTable,
    publisher: Publisher,
    register: Callable[[svcs.Registry], None],
) -> None:
    """Run such a process, just after its fork, until the socket is closed."""
    # Signals reach the whole process group, but the worker's main process decides.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    hook = sys.breakpointhook

    def breakpointhook(*arguments: Any, **options: Any) -> Any:
        ours.send(orjson.dumps({"debugging": True}) + b"\n")
        return hook(*arguments, **options)

    async def main() -> None:
        registry = svcs.Registry()
        register(registry)
        await LoopProcess(jobs, publisher, registry).run(ours)

    sys.breakpointhook = breakpointhook
    asyncio.run(main())


def _say(writer: asyncio.StreamWriter, **said: Any) -> None:
    writer.write(orjson.dumps(said) + b"\n")


def _kibibytes() -> int:
    import resource  # noqa: PLC0415 - Windows has none; its relay and beat import this module

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size // 1024 if sys.platform == "darwin" else size


def _refuse(_: Callable[[], Any]) -> Awaitable[Any]:
    raise NotImplementedError("jobs that are not async have processes of their own")
