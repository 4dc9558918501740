"""The hot path's way to Redis: what all requests of one moment ask goes out together."""

from typing import Any, Final, Protocol

MOST_ASKS: Final = 10_000  # that wait at a time: beyond it Redis is not what is slow

Word = str | int | bytes
Command = tuple[Word, ...]


class RedisAway(Exception):
    """Redis was refused, broke off, or did not answer in time; the message says which."""


class Pipeline(Protocol):
    """Commands of many requests over one connection, with a deadline for all that goes out at once.

    Replies are as RESP 2 has them: bytes, int, None, or a list of such.
    """

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command, in their order.

        What Redis refuses is a redis.exceptions.ResponseError in the place of its reply. Raises
        RedisAway: at once while it is known to be away or too much waits for it, and else within
        the deadline; then nobody knows which of the commands were carried out.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; who still waits gets RedisAway."""
        ...
