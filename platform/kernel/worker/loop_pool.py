"""Celery's pool for jobs that wait: many at a time in one process, on its event loop."""

import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from celery.exceptions import Reject

from kernel.worker.tasks import UNKNOWN, LostProcesses

log = logging.getLogger(__name__)

BLOCKED_SECONDS: Final = 10.0
"""Less than a lease: others must not begin the jobs of a blocked loop as well."""
_TICK_SECONDS: Final = 0.25
_APART: Final = 4
_END_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 1.0
_CHUNK: Final = 64 * 1024


@dataclass(eq=False)
class _Asked:
    """A message: its line for the process, and what Celery wants to hear about it."""

    line: dict[str, Any]
    accepted: Callable[[int, float], None]
    ended: Callable[[tuple[bool, None, float]], None]
    failed: Callable[[ExceptionInfo], None]
    seconds: float | None
    until: float | None = None


@dataclass(eq=False)
class _Process:
    """A process, and the messages that it performs."""

    pid: int
    channel: socket.socket
    running: dict[int, _Asked] = field(default_factory=dict)
    begun: int = 0
    received: bytes = b""
    silent: float = 0.0
    works: bool = False
    debugged: bool = False


class LoopPool(BasePool):
    """One process with an event loop performs up to `limit` messages at a time.

    The process is replaced if it dies, if its loop is blocked for BLOCKED_SECONDS, if a job
    outlives its hard limit, and when it has performed enough or is too large. One of its jobs may
    have been the reason: so those that a lost process leaves run again in processes of their own,
    and each lost process costs them an attempt.
    """

    limit: int

    def prepare(self, run: Callable[[socket.socket], None], lost: LostProcesses) -> None:
        """Say what a new process runs, and what ends the leases of a lost one; before the start."""
        self._run, self._lost = run, lost
        self._hub: Any = None
        self._numbers = 0
        self._waiting: deque[_Asked] = deque()
        self._suspects: deque[_Asked] = deque()
        self._processes: set[_Process] = set()
        self._ending: set[int] = set()
        self._shared: _Process
        self._ticked = time.monotonic()

    def on_start(self) -> None:
        """Start the process."""
        gc.collect()
        gc.freeze()  # its processes share this memory until they write to it
        self._shared = self._fork()

    def register_with_event_loop(self, loop: Any) -> None:
        """Listen to the processes; called for each new connection to the broker."""
        self._hub, self._ticked = loop, time.monotonic()
        for one in self._processes:
            loop.add_reader(one.channel, self._hear, one)
        loop.call_repeatedly(_TICK_SECONDS, self._tick)

    def on_apply(self, _: Any, args: Any, kwargs: Any, **options: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Take a message: see Request.execute_using_pool for the arguments."""
        name, run_id, headers, *_ = args
        trace = headers.get("traceparent")
        self._numbers += 1
        line = {
            "number": self._numbers,
            "run_id": run_id,
            "job": headers.get("job") if name == UNKNOWN else name,
            "trace": trace if isinstance(trace, str) else None,
            **headers["kwargs"],
        }
        self._waiting.append(
            _Asked(
                line,
                options["accept_callback"],
                options["callback"],
                options["error_callback"],
                options["timeout"],
            )
        )
        self._fill()

    def flush(self) -> None:
        """Forget what was not begun: the connection is lost, and the messages come again."""
        self._waiting.clear()

    def give_back(self) -> None:
        """Kill all processes; what they have not finished goes back to the queue as they end."""
        for one in self._processes:
            _kill(one.pid)
        while self._suspects:
            _reject(self._suspects.popleft())

    def on_stop(self) -> None:
        """End the processes, which have nothing to do any more."""
        for one in list(self._processes):
            self._forget(one)
        until = time.monotonic() + _END_SECONDS
        while self._ending and time.monotonic() < until:
            self._reap()
            time.sleep(_TICK_SECONDS / 10)
        self.on_terminate()

    def on_terminate(self) -> None:
        """Kill the processes."""
        for pid in [*self._ending, *(one.pid for one in self._processes)]:
            _kill(pid)

    def _fork(self) -> _Process:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid:
            theirs.close()
            process = _Process(pid, ours)
            self._processes.add(process)
            if self._hub is not None:
                self._hub.add_reader(ours, self._hear, process)
            return process
        code = 1
        try:
            for channel in (ours, *(one.channel for one in self._processes)):
                channel.close()
            self._run(theirs)
            code = 0
        except BaseException:
            log.exception("A process of this worker ends")
        finally:
            os._exit(code)

    def _fill(self) -> None:
        """Begin what waits, as far as there are places."""
        most = self.options.get("maxtasksperchild")
        while self._waiting and self._under_way() < self.limit:
            if most is not None and self._shared.begun >= most:
                self._replace_shared()
            self._begin(self._shared, self._waiting.popleft())
        apart = [one for one in self._processes if one is not self._shared]
        while self._suspects and len(apart) < _APART:
            apart.append(self._fork())
            self._begin(apart[-1], self._suspects.popleft())

    def _under_way(self) -> int:
        return sum(len(one.running) for one in self._processes)

    def _begin(self, process: _Process, asked: _Asked) -> None:
        number, now = asked.line["number"], time.monotonic()
        asked.until = None if asked.seconds is None else now + asked.seconds
        process.running[number] = asked
        process.begun += 1
        asked.accepted(process.pid, now)
        with contextlib.suppress(OSError):  # it has just died: its end is heard next
            # It does not block: what is not read is never more than `limit` lines.
            process.channel.sendall(orjson.dumps(asked.line) + b"\n")

    def _hear(self, process: _Process) -> None:
        try:
            data = process.channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._bury(process)
            return
        process.silent, process.works = 0.0, True
        process.received += data
        while True:
            line, end, rest = process.received.partition(b"\n")
            if not end:
                break
            process.received = rest  # now: an acknowledgement that fails raises
            self._heed(process, orjson.loads(line))
        self._fill()

    def _heed(self, process: _Process, said: dict[str, Any]) -> None:
        process.debugged = said.get("debugging", False)
        if "number" not in said:
            return
        asked = process.running.pop(said["number"])
        large = self.options.get("max_memory_per_child")
        if process is not self._shared:
            if not process.running:
                self._forget(process)
        elif large is not None and said["kibibytes"] > large:
            self._replace_shared()
        if said["done"]:
            asked.ended((False, None, 0.0))
        else:
            _reject(asked)

    def _replace_shared(self) -> None:
        """Start another process; the old one ends when it has nothing to do any more."""
        before, self._shared = self._shared, self._fork()
        if not before.running:
            self._forget(before)

    def _bury(self, process: _Process) -> None:
        """Replace a process that has died, and begin again what it leaves."""
        self._forget(process)
        log.error(
            "A process of this worker died",
            extra={"pid": process.pid, "running": len(process.running)},
        )
        self._lost.release(process.pid)
        left = list(process.running.values())
        process.running.clear()
        if self._lost.draining:
            for asked in left:
                _reject(asked)
            return
        self._suspects.extend(left)
        if process is self._shared:
            if not process.works:
                time.sleep(_PAUSE_SECONDS)  # the next one may die as early: limit the rate
            self._shared = self._fork()
        self._fill()

    def _forget(self, process: _Process) -> None:
        """Close the channel of a process: it ends, if it has not."""
        self._ending.add(process.pid)
        self._processes.discard(process)
        if self._hub is not None:
            self._hub.remove(process.channel)
        process.channel.close()

    def _tick(self) -> None:
        """Kill a process whose loop is blocked, or a job of which outlives its hard limit."""
        now = time.monotonic()
        # This process may have been stopped, too: then the others have not been silent for so long.
        passed, self._ticked = min(now - self._ticked, 2 * _TICK_SECONDS), now
        for one in list(self._processes):
            one.silent += 0.0 if one.debugged else passed
            late = [
                asked.line["job"]
                for asked in one.running.values()
                if asked.until is not None and asked.until < now
            ]
            if one.silent > BLOCKED_SECONDS:
                jobs = sorted({asked.line["job"] for asked in one.running.values()})
                log.error("An event loop is blocked: its process is killed", extra={"jobs": jobs})
            elif late:
                log.error("A job does not end: its process is killed", extra={"jobs": late})
            else:
                continue
            _kill(one.pid)  # its end is heard next
            one.silent = 0.0
        self._reap()

    def _reap(self) -> None:
        self._ending -= {pid for pid in self._ending if os.waitpid(pid, os.WNOHANG)[0]}


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _reject(asked: _Asked) -> None:
    """Return a message to the queue."""
    try:
        raise Reject(requeue=True)  # noqa: TRY301 - ExceptionInfo needs a traceback
    except Reject:
        asked.failed(ExceptionInfo())
