"""Limits: how many requests one client may make, as an exact sliding-window log in Redis."""

from kernel.limits.limit import Limit

__all__ = ["Limit"]
