"""When a scheduled job is due: at a time of day, by a cron expression, or in each period.

A slot is a moment in UTC. Cron expressions follow Debian's cron where clocks change: see `cron`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final = 5


class InvalidJob(ValueError):
    """A job or its schedule is declared wrongly: one sentence, with what to write instead."""


class Schedule(ABC):
    """The slots of a job; `str()` says when they are, for people."""

    @abstractmethod
    def slot(self, now: datetime) -> datetime:
        """Return the latest slot that is not after `now`, in UTC."""

    @abstractmethod
    def next(self, now: datetime) -> datetime:
        """Return the first slot after `now`, in UTC."""


@dataclass(frozen=True)
class Period(Schedule):
    """A slot in each period, at whole multiples since 1970-01-01 00:00 UTC."""

    period: timedelta

    def slot(self, now: datetime) -> datetime:
        """Return the latest slot that is not after `now`."""
        return _EPOCH + (now - _EPOCH) // self.period * self.period

    def next(self, now: datetime) -> datetime:
        """Return the first slot after `now`."""
        return self.slot(now) + self.period

    def __str__(self) -> str:
        return f"every {self.period}"


@dataclass(frozen=True)
class Cron(Schedule):
    """The slots of a cron expression in a time zone; `words` replaces the expression in `str()`."""

    expression: str
    tz: str
    words: str = ""

    @cached_property
    def zone(self) -> tzinfo:
        """The time zone. Raises InvalidJob for an unknown name."""
        if self.tz == "UTC":
            return UTC  # cronsim compares with this object
        try:
            return ZoneInfo(self.tz)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidJob(
                f"tz={self.tz!r} is no time zone: write its name in the IANA database, like "
                '"Europe/Berlin".'
            ) from None

    def slot(self, now: datetime) -> datetime:
        """Return the latest slot that is not after `now`."""
        local = now.astimezone(self.zone).replace(microsecond=1)  # so that `now` itself counts
        found = next(CronSim(self.expression, local, reverse=True)).astimezone(UTC)
        # In the second run of a doubled hour, that is a slot before the hour's first run.
        for later in self._after(found):
            if later > now:
                return found
            found = later
        return found

    def next(self, now: datetime) -> datetime:
        """Return the first slot after `now`."""
        return next(slot for slot in self._after(now) if slot > now)

    def _after(self, moment: datetime) -> Iterator[datetime]:
        for slot in CronSim(self.expression, moment.astimezone(self.zone)):
            yield slot.astimezone(UTC)

    def __str__(self) -> str:
        return f"{self.words or f'cron {self.expression}'} {self.tz}"


def cron(expression: str, *, tz: str = "UTC") -> Schedule:
    """Return the schedule of a cron expression, by the clock of a time zone.

    The five fields are minute, hour, day of the month, month, day of the week (0 or 7 is Sunday):
    `cron("0 2 * * 1-5", tz="Europe/Berlin")`. Where clocks change, as in Debian's cron:

    - a slot in the skipped hour is at the hour's end, once;
    - a slot in the doubled hour is in its first run, once;
    - if minute or hour begin with `*`, the slots follow real time: none in the skipped hour, and
      those of the doubled hour in both runs.

    Raises InvalidJob for anything else, and for an expression that is never due.
    """
    if len(expression.split()) != _FIELDS:
        raise InvalidJob(
            f"cron({expression!r}) needs five fields: minute, hour, day of the month, month and "
            'day of the week, like "0 2 * * 1-5".'
        )
    schedule = Cron(expression, tz)
    now = datetime.now(schedule.zone)
    try:
        for reverse in (False, True):  # a date before now, and one after
            next(CronSim(expression, now, reverse=reverse))
    except CronSimError as error:
        raise InvalidJob(f"cron({expression!r}) is no cron expression: {error}.") from None
    except StopIteration:
        raise InvalidJob(f"cron({expression!r}) is never due: no date fits it.") from None
    return schedule


def daily(time: str, *, tz: str = "UTC") -> Schedule:
    """Return a schedule with one slot a day, at HH:MM by the clock of a time zone.

    Where clocks change: see `cron`. Raises InvalidJob for other text, and for an unknown zone.
    """
    try:
        at = datetime.strptime(time, "%H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidJob(f'daily({time!r}) needs a time of day as HH:MM, like "02:00".') from None
    schedule = Cron(f"{at.minute} {at.hour} * * *", tz, f"daily, {at:%H:%M}")
    _ = schedule.zone
    return schedule


def every(period: timedelta) -> Schedule:
    """Return a schedule with one slot in each period. Raises InvalidJob unless it is above 0."""
    if period <= timedelta(0):
        raise InvalidJob("every(…) needs a period above 0.")
    return Period(period)
