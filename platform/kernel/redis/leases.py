"""Leases: of all processes one does something, until it gives the lease back or dies."""

from typing import Final

from kernel.redis.pipeline import Command

# Delete the lease only if it is still ours: it may have expired and been taken by another.
_GIVE_BACK: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
)


def take_lease(key: str, holder: str, milliseconds: int) -> Command:
    """Return the command that takes a lease; its reply is None if another holder has it."""
    return ("SET", key, holder, "NX", "PX", milliseconds)


def give_lease_back(key: str, holder: str) -> Command:
    """Return the command that ends a lease, unless another holder has it by now."""
    return ("EVAL", _GIVE_BACK, 1, key, holder)
