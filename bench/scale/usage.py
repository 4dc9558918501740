"""What processes use: processor time, memory, descriptors and threads, with their children."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """The sums of a process and its descendants; descriptors and threads on Linux alone."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    descriptors: int = 0
    threads: int = 0
    processes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.cpu_seconds + other.cpu_seconds,
            self.memory_bytes + other.memory_bytes,
            self.descriptors + other.descriptors,
            self.threads + other.threads,
            self.processes + other.processes,
        )


def usage(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Return what each named process uses, with its descendants; nothing of one that has ended."""
    listed = _listed()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in listed.items():
        children.setdefault(parent, []).append(pid)

    def whole(pid: int) -> Usage:
        own = listed[pid][1] if pid in listed else Usage()
        return sum((whole(child) for child in children.get(pid, ())), own)

    return {name: whole(pid) for name, pid in pids.items()}


def _listed() -> dict[int, tuple[int, Usage]]:
    """Return the parent of each process, and what it uses itself."""
    if sys.platform != "linux":
        return _by_ps()
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name is in brackets, and may have any character.
            stat = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            descriptors = len(os.listdir(folder / "fd"))  # noqa: PTH208 - names alone, of thousands
        except OSError:  # ended meanwhile, or another user's
            continue
        # proc(5): state, parent, …; the times of ended children are in the parent's.
        cpu = sum(map(int, stat[11:15])) / tick
        own = Usage(cpu, int(stat[21]) * page, descriptors, int(stat[17]), 1)
        found[int(folder.name)] = (int(stat[1]), own)
    return found


def _by_ps() -> dict[int, tuple[int, Usage]]:
    printed = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid=,time=,rss="], check=True, capture_output=True, text=True
    ).stdout
    found = {}
    for line in printed.splitlines():
        pid, parent, clock, memory = line.split()
        seconds = 0.0
        for part in clock.replace("-", ":").split(":"):  # 12:34.56, minutes without a limit
            seconds = seconds * 60 + float(part)
        found[int(pid)] = (int(parent), Usage(seconds, int(memory) * 1024, processes=1))
    return found
