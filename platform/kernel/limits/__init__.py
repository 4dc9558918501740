"""Rate limits: a sliding window for each client, in Redis."""

from kernel.limits.policy import Limit

__all__ = ["Limit"]
