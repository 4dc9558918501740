"""A worker of several queues: a process for each, which is a worker of its own."""

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

log = logging.getLogger(__name__)

_SILENT_SECONDS: Final = 10.0
_CHUNK: Final = 4096


@dataclass
class _Worker:
    queue: str
    pid: int
    beats: int
    """The end of a pipe that gets a byte with each beat, and is closed by its end."""
    heard: float


def run_each(
    queues: Sequence[str], run: Callable[[str, Callable[[], None]], int], beat: Callable[[], None]
) -> int:
    """Call `run` for each queue, in a process of its own, until SIGTERM; return the exit code.

    `run` gets the queue and what it has to call while it works, and returns an exit code. `beat` is
    called while all of them work. If one ends, all end.
    """
    workers: list[_Worker] = []
    ending = False

    def end(*_: Any) -> None:
        nonlocal ending
        ending = True
        for one in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGTERM)

    for queue in queues:
        workers.append(_start(queue, run, workers))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    code = 0
    while workers:
        readable, _, _ = select.select([one.beats for one in workers], [], [], 1.0)
        now = time.monotonic()
        for one in [one for one in workers if one.beats in readable]:
            if os.read(one.beats, _CHUNK):
                one.heard = now
                continue
            os.close(one.beats)
            workers.remove(one)
            _, status = os.waitpid(one.pid, 0)
            code = max(code, abs(os.waitstatus_to_exitcode(status)))
            if not ending:
                log.error("A worker ended", extra={"queue": one.queue, "status": status})
                end()
        if workers and all(now - one.heard < _SILENT_SECONDS for one in workers):
            beat()
    return code


def _start(
    queue: str, run: Callable[[str, Callable[[], None]], int], others: Sequence[_Worker]
) -> _Worker:
    beats, ours = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ours)
        return _Worker(queue, pid, beats, time.monotonic())
    code = 1
    try:
        for one in (beats, *(other.beats for other in others)):
            os.close(one)
        os.set_blocking(ours, False)
        code = run(queue, partial(_beat, ours))
    except BaseException:
        log.exception("The worker of a queue ends", extra={"queue": queue})
    finally:
        os._exit(code)


def _beat(pipe: int) -> None:
    try:
        os.write(pipe, b".")
    except BlockingIOError:
        pass  # the main process is stopped, and reads nothing
    except BrokenPipeError:  # it is gone: nobody else ends this one
        signal.raise_signal(signal.SIGTERM)
