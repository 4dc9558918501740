"""Cached reads: how slices declare them, and which events drop them. See docs/CACHING.md."""

from kernel.cache.cached import Cached, every_caller, everyone, one_caller
from kernel.cache.drops import Announce, CacheUnavailable, Drops
from kernel.cache.warmer import CacheWarmer
from kernel.core.durations import hours, minutes, seconds

__all__ = [
    "Announce",
    "CacheUnavailable",
    "CacheWarmer",
    "Cached",
    "Drops",
    "every_caller",
    "everyone",
    "hours",
    "minutes",
    "one_caller",
    "seconds",
]
