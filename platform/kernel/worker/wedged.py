"""Notices a worker that no longer starts what it has received, so that a probe can replace it."""

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

log = logging.getLogger(__name__)

WEDGED_SECONDS: Final = 20.0


class Watch:
    """Watches messages that wait although a process of the worker is free.

    A free process takes a message within milliseconds. If one waits for 20 s, the process is
    stopped or hangs outside of a job, where no time limit ends it. A worker whose processes are all
    busy is not wedged: its jobs have time limits.
    """

    def __init__(self, processes: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._processes, self._now = processes, now
        self._since: dict[str, float] = {}
        self._reported = False

    def wedged(self, received: Collection[Any], running: Collection[Any]) -> bool:
        """Return whether a message has waited too long; both sets are requests of Celery."""
        now = self._now()
        waiting = {request.id for request in received} - {request.id for request in running}
        if len(running) >= self._processes:
            waiting.clear()
        self._since = {one: self._since.get(one, now) for one in waiting}
        found = any(now - since > WEDGED_SECONDS for since in self._since.values())
        if found and not self._reported:
            log.error(
                "A process of this worker takes no messages: the heartbeat stops until it does",
                extra={"waiting": len(waiting), "running": len(running)},
            )
        self._reported = found
        return found
