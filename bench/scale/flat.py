"""Whether what the system holds stays as it is: each value at the beginning and at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.scale.report import grid
from bench.scale.usage import Usage

_MIB: Final = 1024 * 1024
_PARTS: Final = 5
# Each connection of Postgres is a process, and counts the shared buffers that it has touched: the
# connections are what is counted.
_NOT_HELD: Final = frozenset({"generator", "postgres"})
_NAMES: Final = {"memory_bytes": "MiB", "descriptors": "descriptors", "threads": "threads"}


@dataclass(frozen=True)
class Sample:
    """What was held at one time: by processes, by Redis in bytes, connections of Postgres."""

    at: float
    usage: dict[str, Usage]
    redis_bytes: int
    connections: int


@dataclass(frozen=True)
class Held:
    """One value: its medians in the first and last fifth, and how much it may grow."""

    name: str
    first: float
    last: float
    may_grow: float

    @property
    def grew(self) -> bool:
        """Whether it grew more than it may."""
        return self.last - self.first > self.may_grow


def held(samples: Sequence[Sample]) -> list[Held]:
    """Return all values; there must be a sample.

    The memory of processes may grow by a tenth and 8 MiB: allocators keep what they freed. Redis
    may grow by 16 MiB, for posts that are read for the first time and stay for half an hour.
    """
    size = max(1, len(samples) // _PARTS)
    ends = samples[:size], samples[-size:]
    found = []
    for name in samples[-1].usage:
        if name in _NOT_HELD:
            continue
        for what, unit in (("memory_bytes", _MIB), ("descriptors", 1), ("threads", 1)):
            first, last = (
                median(getattr(one.usage[name], what) / unit for one in part) for part in ends
            )
            may = {"memory_bytes": 8 + first / 10, "threads": 2.0}.get(what, 10.0)
            found.append(Held(f"{name}: {_NAMES[what]}", first, last, may))
    first, last = (median(one.redis_bytes / _MIB for one in part) for part in ends)
    found.append(Held("Redis: MiB", first, last, 16))
    first, last = (median(one.connections for one in part) for part in ends)
    return [*found, Held("Postgres: connections", first, last, 4)]


def lines(values: Sequence[Held]) -> list[str]:
    """Return the table of values."""
    rows = [("held", "at first", "at last", "may grow")]
    rows += [
        (one.name, f"{one.first:,.1f}", f"{one.last:,.1f}", f"{one.may_grow:,.1f}")
        for one in values
        if one.first or one.last
    ]
    return grid(rows)


def missed(values: Sequence[Held]) -> list[str]:
    """Return a sentence for each value that grew too much."""
    return [
        f"{one.name} grew from {one.first:,.1f} to {one.last:,.1f}, and may by {one.may_grow:,.1f}."
        for one in values
        if one.grew
    ]
