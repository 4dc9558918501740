"""Processor time and memory of another process, and the processors of programs."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED of the whole process


@dataclass(frozen=True)
class Processors:
    """One processor for the measured server, the others for everything else.

    Both are empty if programs cannot be bound to processors; `note` says why.
    """

    server: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()
    note: str | None = None

    @classmethod
    def divide(cls) -> Self:
        """Divide the processors that this process may use."""
        if sys.platform != "linux":
            return cls(note="This system cannot bind a process to a processor: figures vary more")
        *others, last = sorted(os.sched_getaffinity(0))  # the first often serves interrupts
        if not others:
            return cls(note="There is only one processor: server and load share it")
        return cls(frozenset([last]), frozenset(others))


@contextlib.contextmanager
def on(processors: frozenset[int]) -> Iterator[None]:
    """Bind this thread, and the programs that it starts meanwhile, to these processors."""
    if sys.platform != "linux" or not processors:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of all threads of a process.

    On Linux in nanoseconds, by the process's own clock (clock_getcpuclockid(3)); elsewhere ps
    reports it in hundredths of a second. Raises ProcessLookupError if there is no such process.
    """
    if sys.platform == "linux":
        try:
            return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)
        except OSError:
            raise ProcessLookupError(f"The process {pid} has ended.") from None
    seconds = 0.0
    for part in _ps("time", pid).split(":"):  # 12:34.56, minutes without a limit
        seconds = seconds * 60 + float(part)
    return seconds


def resident_bytes(pid: int) -> int:
    """Return the memory of a process. Raises ProcessLookupError if there is none."""
    if sys.platform == "linux":
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        except FileNotFoundError:
            raise ProcessLookupError(f"The process {pid} has ended.") from None
        return pages * os.sysconf("SC_PAGE_SIZE")
    return int(_ps("rss", pid)) * 1024


def proportional_bytes(pid: int) -> int:
    """Return the memory of a process, its share of what several processes share (Linux).

    Elsewhere all of it. Raises ProcessLookupError if there is none.
    """
    if sys.platform != "linux":
        return resident_bytes(pid)
    try:
        parts = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise ProcessLookupError(f"The process {pid} has ended.") from None
    return next(int(one.split()[1]) * 1024 for one in parts if one.startswith("Pss:"))


def group(leader: int) -> list[int]:
    """Return the processes of a group."""
    found = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,pgid="], check=True, capture_output=True, text=True
    )
    pairs = [line.split() for line in found.stdout.splitlines()]
    return [int(pid) for pid, pgid in pairs if int(pgid) == leader]


def _ps(column: str, pid: int) -> str:
    found = subprocess.run(  # noqa: S603 - a fixed program, no shell
        ["/bin/ps", "-o", f"{column}=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    if not found.stdout.strip():
        raise ProcessLookupError(f"The process {pid} has ended.")
    return found.stdout.strip()
