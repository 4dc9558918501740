"""Durations of calls that must not reveal what their responses hide."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Timings(Generic[T]):
    """Medians in milliseconds by kind of call, and all responses."""

    medians: dict[str, float]
    answers: list[T]

    @property
    def spread(self) -> float:
        """The difference between the slowest kind and the fastest."""
        return max(self.medians.values()) - min(self.medians.values())

    def __str__(self) -> str:
        shown = (f"{kind} {value:.2f} ms" for kind, value in sorted(self.medians.items()))
        return f"{', '.join(shown)}; {self.spread:.2f} ms apart"


async def interleaved(
    calls: Mapping[str, Callable[[], Awaitable[T]]], *, rounds: int
) -> Timings[T]:
    """Make one call of each kind in each round: in random order, one after the other."""
    times: dict[str, list[float]] = {kind: [] for kind in calls}
    answers: list[T] = []
    for _ in range(rounds):
        for kind in random.sample(list(calls), len(calls)):
            started = time.perf_counter()
            answers.append(await calls[kind]())
            times[kind].append((time.perf_counter() - started) * 1000)
    return Timings({kind: median(values) for kind, values in times.items()}, answers)
