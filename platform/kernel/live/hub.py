"""The hub: one reader of the stream in each API process, and the clients that follow it."""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, Final, NamedTuple

import orjson
from redis.exceptions import NoScriptError, ResponseError

from kernel.live.client import MOST_MESSAGES, LiveClient, Message
from kernel.live.stream import KEY, MOST, Position, position_of, write, write_command
from kernel.redis import Pipeline, RedisAway

log = logging.getLogger(__name__)

_BLOCK_MS: Final = 2000  # then the reader asks again
_AWAY_SECONDS: Final = 0.2
_FIRST_SECONDS: Final = 1.0
_AT_ONCE: Final = 1000
_BURST: Final = MOST_MESSAGES // 2
_DIGITS: Final = 18


class _Change(NamedTuple):
    number: int
    key: tuple[str, str]  # topic and ids
    message: Message


class Hub:
    """Delivers each entry of the stream to the clients that subscribed to its topic.

    It remembers as many entries as the stream, so a client that resumes costs no call of Redis. If
    entries may be missing, all clients get `reset`: they read everything again. The reader starts
    with the first client, and has a connection of its own, because it blocks.
    """

    def __init__(self, redis: Pipeline, *, most: int = MOST) -> None:
        self._redis = redis
        self._position: Position | None = None
        self._changes: deque[_Change] = deque(maxlen=most)
        self._followers: dict[str, set[LiveClient]] = {}
        self._clients: dict[LiveClient, None] = {}
        self._reader: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._load_to = 0

    @property
    def at(self) -> str | None:
        """The token of the last entry; None before the stream was read."""
        return self._token(self._position.number) if self._position is not None else None

    async def ready(self) -> None:
        """Start the reader; return when it has read the stream, after a second at the latest."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        if not self._loaded.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._loaded.wait(), _FIRST_SECONDS)

    async def aclose(self) -> None:
        """Stop the reader."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        await self._redis.aclose()

    def follow(self, client: LiveClient, topics: set[str], since: str | None) -> None:
        """Subscribe a client, and queue what it missed after the token `since`.

        `subscribed` comes last: whoever has its token has everything before. A client whose token
        is too old, or of another epoch, gets `reset`.
        """
        for name in topics - client.topics:
            self._followers.setdefault(name, set()).add(client)
        client.topics |= topics
        self._clients[client] = None
        if since is not None:
            missed = self._missed(topics, since)
            if missed is None:
                client.reset(self._reset())
            else:
                for change in missed:
                    client.offer(change.key, change.message)
        answer = Message.of("subscribed", topics=sorted(client.topics), at=self.at)
        client.offer(("subscribed", ""), answer)

    def leave(self, client: LiveClient, topics: set[str] | None = None) -> None:
        """Unsubscribe a client from these topics, or from everything."""
        for name in client.topics & topics if topics is not None else client.topics:
            followers = self._followers[name]
            followers.discard(client)
            if not followers:
                del self._followers[name]
        if topics is None:
            self._clients.pop(client, None)
            client.topics = set()
        else:
            client.topics = client.topics - topics

    def _missed(self, topics: set[str], since: str) -> list[_Change] | None:
        """Return the last change of each key after a token; None if some may be unknown."""
        epoch, _, digits = since.partition(".")
        known = self._position
        if known is None or epoch != known.epoch or known.number < self._load_to:
            return None
        if not (digits.isascii() and digits.isdecimal()):
            return None
        number = int(digits[:_DIGITS])
        if number < (self._changes[0].number - 1 if self._changes else known.number):
            return None
        missed: dict[tuple[str, str], _Change] = {}
        for change in reversed(self._changes):
            if change.number <= number:
                break
            if change.key[0] in topics:
                missed.setdefault(change.key, change)
        if len(missed) >= MOST_MESSAGES:
            return None
        return list(reversed(missed.values()))

    async def _read(self) -> None:
        away = False
        while True:
            try:
                position = await write(self._redis)
                if away:
                    log.warning("The stream of live updates is read again")
                away = False
                await self._follow(position)
            except (RedisAway, ResponseError) as error:
                if not away:
                    log.warning("Live updates wait for Redis", extra={"reason": str(error)})
                away = True
                await asyncio.sleep(_AWAY_SECONDS)
            except Exception:
                log.exception("The stream of live updates cannot be read")
                await asyncio.sleep(_BLOCK_MS / 1000)

    async def _follow(self, position: Position) -> None:
        """Read entries until the script is lost, which means a restart of Redis."""
        while True:
            known = self._position
            if known is None or position.epoch != known.epoch or position.number < known.number:
                self._begin(position)
                known = Position(position.epoch, 0)
            # Then the position: the stream may be gone, or the connection was replaced after a
            # restart of Redis.
            found, reply = await self._redis.ask(
                (
                    "XREAD",
                    "COUNT",
                    _AT_ONCE,
                    "BLOCK",
                    _BLOCK_MS,
                    "STREAMS",
                    KEY,
                    f"{known.number}-0",
                ),
                write_command(),
            )
            if isinstance(found, Exception):
                raise found
            if isinstance(reply, NoScriptError):
                return
            entries: list[tuple[bytes, list[bytes]]] = found[0][1] if found else []
            for place, (number, fields) in enumerate(entries, start=1):
                self._take(int(number.partition(b"-")[0]), fields)
                if place % _BURST == 0:
                    await asyncio.sleep(0)  # clients send what waits: a burst closes nobody
            position = position_of(reply)

    def _begin(self, position: Position) -> None:
        """Begin to read an epoch from the start of the stream: what came before is unknown."""
        first = self._position is None
        self._position = Position(position.epoch, 0)
        self._changes.clear()
        self._load_to = position.number
        for client in list(self._clients):
            client.reset(Message.of("reset", at=self._token(position.number)))
        if not first:
            log.warning("Live updates begin anew: all clients are told to read everything again")

    def _take(self, number: int, fields: list[bytes]) -> None:
        epoch, known = fields[1].decode(), self._position
        assert known is not None
        loading = number <= self._load_to
        if loading and epoch != known.epoch:
            return  # of an epoch before
        if epoch != known.epoch or (not loading and number != known.number + 1):
            self._position = Position(epoch, number)
            self._changes.clear()
            for client in list(self._clients):
                client.reset(self._reset())
            log.warning("Live updates have a gap: all clients are told to read everything again")
        self._position = Position(epoch, number)
        if len(fields) > 2:  # noqa: PLR2004 - epoch alone: the first entry of an epoch
            self._deliver(number, fields[3].decode(), fields[5], send=not loading)
        if number >= self._load_to:
            self._loaded.set()

    def _deliver(self, number: int, topic: str, ids: bytes, *, send: bool) -> None:
        content: dict[str, Any] = {"topic": topic, "ids": orjson.loads(ids)}
        message = Message.of("changed", at=self._token(number), **content)
        change = _Change(number, (topic, ids.decode()), message)
        self._changes.append(change)
        if send:
            for client in self._followers.get(topic, ()):
                client.offer(change.key, message)

    def _token(self, number: int) -> str:
        assert self._position is not None
        return f"{self._position.epoch}.{number}"

    def _reset(self) -> Message:
        return Message.of("reset", at=self.at)
