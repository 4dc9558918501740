"""One connection to Redis: what is asked in one turn of the loop goes out as one write."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from hiredis import ProtocolError

from kernel.redis.pipeline import MOST_ASKS, Command, RedisAway
from kernel.redis.resp import NOT_ENOUGH, pack, reader

_PARTS: Final = 4
_MOST_BYTES: Final = 8 * 1024 * 1024  # unsent, and as much again of one turn of the loop

_Asked = tuple[asyncio.Future[list[Any]], int, int]  # whose, how many replies, since which tick


class RedisConnection(asyncio.Protocol):
    """Commands go out in the order in which they are asked, and so come their replies (RESP 2).

    It has one deadline for each turn's commands, in `seconds`, and ends when that has passed, when
    what comes is no RESP, or when the server says that it is not fit to answer. Then all who wait
    get RedisAway: a reply that comes later can reach nobody.

    The time is counted by one timer for all, in ticks of a quarter of it: a turn of the loop counts
    as one however long it took, and is followed by one in which the loop reads what has come.
    """

    ended: str | None = None
    """Why it has ended, once it has."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds, self._tick = seconds, 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._unfit: list[str] = []
        self._reader = reader(self._unfit)
        self._waiting: deque[_Asked] = deque()
        self._replies: list[Any] = []  # to the first of those
        self._answered = False
        self._unsent: list[bytes] = []
        self._unsent_bytes, self._clogged = 0, False
        self._on_end: Callable[[str, bool], None] | None = None

    def ask(self, commands: tuple[Command, ...]) -> asyncio.Future[list[Any]]:
        """Return what will be the replies, or RedisAway, which it raises at once where it is full.

        Raises TypeError for a command that has anything but words in it.
        """
        if self.ended is not None:
            raise RedisAway(self.ended)
        if len(self._waiting) >= MOST_ASKS or self._clogged or self._unsent_bytes > _MOST_BYTES:
            raise RedisAway("too much is waiting for it")
        packed = b"".join(map(pack, commands))
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._waiting.append((future, len(commands), self._tick))
        self._unsent_bytes += len(packed)
        self._unsent.append(packed)
        if len(self._unsent) == 1:
            self._loop.call_soon(self._flush)
        return future

    def serve(self, on_end: Callable[[str, bool], None]) -> None:
        """Call `on_end` with the reason when it ends, and with whether it did not do its work.

        Not so one that was closed between two commands, or has answered before. Raises RedisAway
        where it has ended.
        """
        if self.ended is not None:
            raise RedisAway(self.ended)
        self._on_end, self._answered = on_end, False

    async def aclose(self) -> None:
        """Close it; who still waits gets RedisAway."""
        self._on_end = None
        self._end("closed", at_fault=False)
        if self._transport is not None:
            await self._gone.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_MOST_BYTES)
        if self.ended is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand out replies, in their order; those of askers who have gone are thrown away."""
        if self.ended is not None:
            return
        gets, waiting, replies = self._reader.gets, self._waiting, self._replies
        self._reader.feed(data)
        try:
            while (reply := gets()) is not NOT_ENOUGH:
                if not waiting:
                    self._end("it answered what nobody had asked", at_fault=True)
                    return
                replies.append(reply)
                future, count, _ = waiting[0]
                if len(replies) == count:
                    waiting.popleft()
                    self._answered = True
                    if not future.done():
                        future.set_result(replies)
                    self._replies = replies = []
        except ProtocolError as error:
            self._end(f"it does not speak RESP: {error}", at_fault=True)
        if self._unfit:
            self._end(self._unfit[0], at_fault=True)

    def pause_writing(self) -> None:
        """Take no more: the server does not read."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Go on."""
        self._clogged = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        reason = f"the connection broke: {exc}" if exc else "the connection was closed"
        self._end(reason, at_fault=bool(self._waiting) and not self._answered)
        self._gone.set()

    def _flush(self) -> None:
        if self.ended is not None or self._transport is None:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_bytes = 0
        self._transport.write(data)
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds / _PARTS, self._count)

    def _count(self) -> None:
        self._timer = None
        self._tick += 1
        if self._waiting and self._tick - self._waiting[0][2] > _PARTS:
            self._end(f"no answer in {self._seconds} s", at_fault=True)
        elif self._waiting:
            self._timer = self._loop.call_later(self._seconds / _PARTS, self._count)

    def _end(self, reason: str, *, at_fault: bool) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._on_end is not None:
            self._on_end(reason, at_fault)
        for future, _, _ in self._waiting:
            if not future.done():
                future.set_exception(RedisAway(reason))
        self._waiting.clear()
        self._unsent.clear()
