"""One connection to Redis: all commands of one event loop iteration go out as one write."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from hiredis import ProtocolError

from kernel.redis.pipeline import MOST_ASKS, Command, RedisAway
from kernel.redis.resp import NOT_ENOUGH, pack, reader

_PARTS: Final = 4
_MOST_BYTES: Final = 8 * 1024 * 1024  # unsent bytes; one loop iteration may add as much again

_Asked = tuple[asyncio.Future[list[Any]], int, int]  # future, number of replies, tick


class RedisConnection(asyncio.Protocol):
    """Sends commands in their order, and receives the replies in the same order (RESP 2).

    All commands of one write share one deadline of `seconds`. The connection ends when a deadline
    passes, when the reply is not RESP, or when the server says that it cannot answer (LOADING).
    Then all waiting callers get RedisAway; late replies are discarded.

    One timer counts the time for all deadlines, in ticks of a quarter of `seconds`. An iteration of
    the loop counts as one tick, however long it took; so the loop always reads received data before
    a deadline can pass.
    """

    ended: str | None = None
    """The reason why it has ended, or None."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds, self._tick = seconds, 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._unfit: list[str] = []
        self._reader = reader(self._unfit)
        self._waiting: deque[_Asked] = deque()
        self._replies: list[Any] = []  # replies so far to the first waiting caller
        self._answered = False
        self._unsent: list[bytes] = []
        self._unsent_bytes, self._clogged = 0, False
        self._on_end: Callable[[str, bool], None] | None = None

    def ask(self, commands: tuple[Command, ...]) -> asyncio.Future[list[Any]]:
        """Return a future of the replies; raise RedisAway if it has ended or its queue is full.

        Raises TypeError for a command with anything but words.
        """
        if self.ended is not None:
            raise RedisAway(self.ended)
        if len(self._waiting) >= MOST_ASKS or self._clogged or self._unsent_bytes > _MOST_BYTES:
            raise RedisAway("the queue is full")
        packed = b"".join(map(pack, commands))
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._waiting.append((future, len(commands), self._tick))
        self._unsent_bytes += len(packed)
        self._unsent.append(packed)
        if len(self._unsent) == 1:
            self._loop.call_soon(self._flush)
        return future

    def serve(self, on_end: Callable[[str, bool], None]) -> None:
        """Call `on_end` when the connection ends, with the reason and whether it was at fault.

        It is not at fault if the server closed it between commands, or after at least one reply.
        Raises RedisAway if it has ended already.
        """
        if self.ended is not None:
            raise RedisAway(self.ended)
        self._on_end, self._answered = on_end, False

    async def aclose(self) -> None:
        """Close it; waiting callers get RedisAway."""
        self._on_end = None
        self._end("closed", at_fault=False)
        if self._transport is not None:
            await self._gone.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_MOST_BYTES)
        if self.ended is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Deliver the replies in order; discard those of cancelled callers."""
        if self.ended is not None:
            return
        gets, waiting, replies = self._reader.gets, self._waiting, self._replies
        self._reader.feed(data)
        try:
            while (reply := gets()) is not NOT_ENOUGH:
                if not waiting:
                    self._end("unexpected reply", at_fault=True)
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
        """Refuse commands: the server does not read."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Accept commands again."""
        self._clogged = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
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
