"""The hot path's interface to Redis: concurrent requests share one round trip."""

from typing import Any, Final, Protocol

MOST_ASKS: Final = 10_000  # waiting at a time: with more, Redis is not the bottleneck

Word = str | int | bytes
Command = tuple[Word, ...]


class RedisAway(Exception):
    """Redis refused, disconnected, or did not answer in time; the message says which."""


class Pipeline(Protocol):
    """Sends the commands of many requests over one connection; one write has one deadline.

    Replies have the types of RESP 2: bytes, int, None, or a list of these.
    """

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the reply to each command, in order.

        A command that Redis refuses has a redis.exceptions.ResponseError as its reply. Raises
        RedisAway: immediately while the breaker is open or the queue is full, otherwise within the
        deadline. After a deadline it is unknown which commands were executed.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; waiting callers get RedisAway."""
        ...
