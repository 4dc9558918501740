"""Short names for durations in slices."""

from datetime import timedelta


def seconds(number: float) -> timedelta:
    """Return a duration in seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """Return a duration in minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """Return a duration in hours."""
    return timedelta(hours=number)
