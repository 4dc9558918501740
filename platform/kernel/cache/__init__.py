"""Cached reads: what slices declare, and what drops it. See docs/CACHING.md."""

from kernel.cache.cached import Cached, every_caller, everyone, one_caller
from kernel.cache.drops import CacheUnavailable, Drops
from kernel.core.durations import hours, minutes, seconds

__all__ = [
    "CacheUnavailable",
    "Cached",
    "Drops",
    "every_caller",
    "everyone",
    "hours",
    "minutes",
    "one_caller",
    "seconds",
]
