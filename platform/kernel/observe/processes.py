"""Metrics of the processes themselves: memory, CPU time and descriptors."""

import contextlib
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import Metric, ProcessCollector
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.registry import Collector

_MAIN: Final = "main"


class Processes(Collector):
    """The `process_*` metrics of this process and, by the files of a shared folder, of its others.

    The label `process` is `main`, or a place from 1 on: a new process takes the lowest free place,
    so that restarts add no series. Where there is no /proc, there are no such metrics.
    """

    def __init__(self, shared: Path | None) -> None:
        self._shared = shared
        self._places: dict[int, int] = {}

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the running processes."""
        found: dict[str, Metric] = {}
        for place, pid in [(_MAIN, os.getpid()), *self._others()]:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                known = found.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    known.add_sample(sample.name, {"process": place}, sample.value)
        return found.values()

    def _others(self) -> list[tuple[str, int]]:
        if self._shared is None:
            return []
        # Files are called like counter_123.db and gauge_livemax_123.db.
        pids = {int(file.stem.rpartition("_")[2]) for file in self._shared.glob("*.db")}
        alive = {pid for pid in pids if _runs(pid)} - {os.getpid()}
        for pid in pids - alive - {os.getpid()}:
            # Its counters stay, so that no sum decreases; its states do not.
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                mark_process_dead(pid, str(self._shared))  # type: ignore[no-untyped-call]
        self._places = {pid: place for pid, place in self._places.items() if pid in alive}
        for pid in sorted(alive - self._places.keys()):
            taken = set(self._places.values())
            self._places[pid] = next(n for n in range(1, len(taken) + 2) if n not in taken)
        return [(str(place), pid) for pid, place in self._places.items()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
