"""The stream of changes in Redis: bounded, numbered without gaps, and of one epoch.

An entry is an epoch, a topic and ids. Its number is one more than that of the entry before, so each
reader notices a gap by itself. The epoch changes whenever entries may have been lost: when the
stream is gone, and after a restart of Redis, which may restore an old copy. A restart forgets all
scripts, so "no such script" begins a new epoch (as in kernel.identity.revoked_set).
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from kernel.cache import CacheUnavailable
from kernel.events import Event
from kernel.live.topic import Topics
from kernel.redis import Command, Pipeline, RedisAway

KEY: Final = "live"
MOST: Final = 10_000
"""Entries that the stream keeps, at least; Redis removes older ones in blocks."""

_AT_ONCE: Final = 500
# The epoch of the last entry counts, unless ARGV[2] asks for a new one. The first entry of an epoch
# has no topic.
_WRITE: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local number, epoch = 0, nil
if last then
  number, epoch = tonumber(string.match(last[1], '^%d+')), last[2][2]
end
local function add(...)
  number = number + 1
  local id = string.format('%.0f-0', number)
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], id, 'epoch', epoch, ...)
end
if not epoch or ARGV[2] == '1' then
  epoch = ARGV[1]
  add()
end
for place = 4, #ARGV, 2 do
  add('topic', ARGV[place], 'ids', ARGV[place + 1])
end
return {epoch, number}
"""
_SHA: Final = hashlib.sha1(_WRITE.encode(), usedforsecurity=False).hexdigest()


class Position(NamedTuple):
    """The epoch, and the number of its last entry."""

    epoch: str
    number: int


def write_command(
    changes: Sequence[tuple[str, str]] = (), *, renew: bool = False, most: int = MOST
) -> Command:
    """Return the command that adds changes; its reply is a position. Without changes it only asks.

    `renew` begins a new epoch, and sends the script's source.
    """
    run: Command = ("EVAL", _WRITE) if renew else ("EVALSHA", _SHA)
    words = [word for change in changes for word in change]
    return (*run, 1, KEY, secrets.token_hex(6), int(renew), most, *words)


def position_of(reply: Any) -> Position:
    """Return the position in a reply to that command; raises the error that is one."""
    if isinstance(reply, Exception):
        raise reply
    epoch, number = reply
    return Position(epoch.decode(), number)


async def write(
    redis: Pipeline, changes: Sequence[tuple[str, str]] = (), *, most: int = MOST
) -> Position:
    """Add changes and return the new position. Raises RedisAway or ResponseError."""
    (reply,) = await redis.ask(write_command(changes, most=most))
    if isinstance(reply, NoScriptError):
        (reply,) = await redis.ask(write_command(changes, renew=True, most=most))
    return position_of(reply)


class LiveStream:
    """Writes the events that topics follow; the relay does that, beside its drops."""

    def __init__(self, redis: Pipeline, topics: Topics, *, most: int = MOST) -> None:
        self._redis, self._topics, self._most = redis, topics, most

    async def write(self, events: Iterable[Event]) -> None:
        """Add what the events change. Raises CacheUnavailable.

        A Redis that refuses writes (its memory is full) loses the stream: the next one has a new
        epoch, so that all clients are told to read everything again.
        """
        found = (change for event in events for change in self._topics.changed(event))
        changes = list(dict.fromkeys(found))
        try:
            for first in range(0, len(changes), _AT_ONCE):
                part = changes[first : first + _AT_ONCE]
                try:
                    await write(self._redis, part, most=self._most)
                except ResponseError:
                    (reply,) = await self._redis.ask(("UNLINK", KEY))
                    if isinstance(reply, ResponseError):
                        raise reply from None
        except (RedisAway, ResponseError) as error:
            raise CacheUnavailable from error
