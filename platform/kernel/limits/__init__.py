"""Rate limits: an exact sliding-window log for each client, in Redis."""

from kernel.limits.policy import Limit

__all__ = ["Limit"]
