"""Schedules of jobs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Schedule:
    """A slot in each `period`, counted from `offset` after 1970-01-01 00:00 UTC."""

    period: timedelta
    offset: timedelta = timedelta(0)

    def slot(self, now: datetime) -> datetime:
        """Return the latest slot that is not after `now`."""
        start = _EPOCH + self.offset
        return start + (now - start) // self.period * self.period


def daily(time: str) -> Schedule:
    """Return a schedule with one slot a day, at HH:MM in UTC. Raises ValueError for other text."""
    at = datetime.strptime(time, "%H:%M").replace(tzinfo=UTC)
    return Schedule(timedelta(days=1), timedelta(hours=at.hour, minutes=at.minute))


def every(period: timedelta) -> Schedule:
    """Return a schedule with one slot in each period."""
    return Schedule(period)
