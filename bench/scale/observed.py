"""What the load has seen: calls, answers, times; and what follows from them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final, NamedTuple

NO_CALLS: Final = frozenset({"archive is ready"})
"""Names of times that are no call's: of several calls, with pauses between them."""
_GOOD: Final = ("2", "304")
_HITS: Final = frozenset({"HIT", "STALE"})
_LOOKUPS: Final = frozenset({"HIT", "STALE", "MISS"})


class Seen(NamedTuple):
    """One answer: call, status and X-Cache (or why there is none), its end, milliseconds."""

    call: str
    outcome: str
    at: float
    ms: float

    @property
    def good(self) -> bool:
        """Whether it is what the call is for."""
        return self.outcome.startswith(_GOOD)


class Times(NamedTuple):
    """Milliseconds of which 50, 95 and 99 of 100 answers took no more."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seen: Iterable[Seen]) -> "Times":
        """Return those of some answers: the nearest rank, and zeros without any."""
        values = sorted(one.ms for one in seen)
        return cls(*(_ranked(values, share) for share in (0.50, 0.95, 0.99)))


def _ranked(values: Sequence[float], share: float) -> float:
    return values[max(0, ceil(share * len(values)) - 1)] if values else 0.0


@dataclass
class Observed:
    """All answers of a run, from `began` to `ended` (time of day), and the posts it stored."""

    began: float = 0.0
    ended: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began

    @property
    def calls(self) -> list[Seen]:
        """The answers of calls."""
        return [one for one in self.seen if one.call not in NO_CALLS]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.calls) / self.seconds if self.seconds > 0 else 0.0

    @property
    def errors(self) -> Counter[str]:
        """How often each call failed, and how."""
        return Counter(f"{one.call}: {one.outcome}" for one in self.seen if not one.good)

    @property
    def hit_rate(self) -> float | None:
        """The share of answers from the cache among cached reads; None without any.

        X-Cache says it of each answer. Redis counts more: two lookups for each cached read.
        """
        found = Counter(one.outcome.partition(" ")[2] for one in self.seen)
        lookups = sum(found[name] for name in _LOOKUPS)
        return sum(found[name] for name in _HITS) / lookups if lookups else None

    def by_call(self) -> dict[str, list[Seen]]:
        """Return the answers of each call, the most frequent one first."""
        found: dict[str, list[Seen]] = {}
        for one in self.seen:
            found.setdefault(one.call, []).append(one)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def since(self, began: float) -> "Observed":
        """Return what ended after this time, and before the end."""
        seen = [one for one in self.seen if began <= one.at <= self.ended]
        return Observed(began, self.ended, seen, self.kept)

    def parts(self, number: int) -> list[list[Seen]]:
        """Return the calls of equal parts of its time."""
        found: list[list[Seen]] = [[] for _ in range(number)]
        for one in self.calls:
            place = int((one.at - self.began) / max(self.seconds, 0.001) * number)
            if 0 <= place < number:
                found[place].append(one)
        return found
