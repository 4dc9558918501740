"""One client of live updates: its topics, and the bounded queue of what it must be told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

import orjson

from kernel.core.caller import Caller
from kernel.core.metrics import LIVE_MESSAGES

MOST_MESSAGES: Final = 64
MOST_BYTES: Final = 64 * 1024

# Close codes. 4000 to 4499: connect again; 1012: the process restarts.
BAD_MESSAGE: Final = 4400
NOT_AUTHENTICATED: Final = 4401
TOO_SLOW: Final = 4408
TOO_MANY: Final = 4429
RESTARTS: Final = 1012

_SENT, _CONFLATED = (LIVE_MESSAGES.labels(result) for result in ("sent", "conflated"))


class Message(NamedTuple):
    """A message as JSON; `at` is the token with which a client resumes after it, if it has one."""

    kind: str
    text: str
    at: str | None = None

    @classmethod
    def of(cls, kind: str, *, at: str | None = None, **content: Any) -> "Message":
        """Return a message with this content."""
        token = {} if at is None else {"at": at}
        return cls(kind, orjson.dumps({"type": kind, **content, **token}).decode(), at)


class LiveClient:
    """A socket or an event stream.

    What waits for it is bounded: 64 messages or 64 KiB. A change of the same topic with the same
    ids replaces the one that waits. A client with more waiting is too slow: it is closed, and
    resumes later. `code` is None until it is closed.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.topics: set[str] = set()
        self.code: int | None = None
        self.reason = ""
        self.on_close: Callable[[], object] | None = None
        self._waiting: dict[tuple[str, str], Message] = {}
        self._bytes = 0
        self._wake = asyncio.Event()
        self._last: tuple[int, str] | None = None

    def offer(self, key: tuple[str, str], message: Message) -> None:
        """Queue a message; it replaces one with the same key, and goes to the end."""
        if self.code is not None or self._last is not None:
            return
        if (before := self._waiting.pop(key, None)) is not None:
            self._bytes -= len(before.text)
            _CONFLATED.inc()
        self._waiting[key] = message
        self._bytes += len(message.text)
        if len(self._waiting) > MOST_MESSAGES or self._bytes > MOST_BYTES:
            self.close(TOO_SLOW, "too slow: resume")
        else:
            self._wake.set()

    def reset(self, message: Message) -> None:
        """Replace everything that waits by this message: the client must read everything again."""
        self._waiting.clear()
        self._bytes = 0
        self.offer((message.kind, ""), message)

    def finish(self, code: int, reason: str, message: Message) -> None:
        """Send what waits, then this message, then close."""
        self.offer((message.kind, ""), message)
        self._last = self._last or (code, reason)

    def close(self, code: int, reason: str = "") -> None:
        """Close now; what waits is lost. The first code counts."""
        if self.code is not None:
            return
        self.code, self.reason = code, reason
        self._waiting.clear()
        self._wake.set()
        if self.on_close is not None:
            self.on_close()

    async def next(self) -> Message | None:
        """Return the next message, as soon as there is one; None when the client is closed."""
        while not self._waiting and self.code is None:
            if self._last is not None:
                self.close(*self._last)
                break
            self._wake.clear()
            await self._wake.wait()
        if self.code is not None:
            return None
        message = self._waiting.pop(next(iter(self._waiting)))
        self._bytes -= len(message.text)
        _SENT.inc()
        return message

    async def messages(self, *, every: float) -> AsyncIterator[Message | None]:
        """Yield messages until the client is closed, and None after each `every` idle seconds."""
        while self.code is None:
            try:
                async with asyncio.timeout(every):
                    message = await self.next()
            except TimeoutError:
                yield None
            else:
                if message is not None:
                    yield message
