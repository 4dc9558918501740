"""How often who may call: limits of client addresses and of accounts."""

from kernel.limits.account import AccountLimit, Reservation
from kernel.limits.limit import Limit
from kernel.limits.rate import Rate

__all__ = ["AccountLimit", "Limit", "Rate", "Reservation"]
