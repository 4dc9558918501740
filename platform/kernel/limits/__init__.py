"""How often who may call: limits of client addresses and of accounts."""

from kernel.identity.account_limit import AccountLimit, Reservation
from kernel.limits.limit import Limit
from kernel.config.rates import Rate

__all__ = ["AccountLimit", "Limit", "Rate", "Reservation"]
