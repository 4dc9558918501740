"""Reads through the cache: judge the reply of Redis, and load what it does not have.

Within a process, one load runs for each key and its tag versions (single flight). Across processes,
a lease in Redis does the same. Both include the tag versions, so that a caller after a drop never
gets a value that was loaded before it.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeGuard

from redis.exceptions import ResponseError

from kernel.cache.cached import SPREAD
from kernel.cache.drops import Drops, new_version, short_seconds, version_seconds
from kernel.cache.lookup import Flights, Lookup
from kernel.cache.stored import VERSION_BYTES, Kind, RenderedResponse, Stored, etag_of, pack, unpack
from kernel.redis import Command, Pipeline, RedisAway, give_lease_back, take_lease

# A page of 100 posts at its longest has 1.3 MB: JSON has 6 bytes for a control character.
LARGEST_BYTES: Final = 1536 * 1024
LEASE_MS: Final = 3000
WAIT_SECONDS: Final = 0.4  # wait for another process to load; after that, load here
_POLL_SECONDS: Final = 0.02
_STATUS: Final = {Kind.BODY: 200, Kind.MISSING: 404}
_JSON: Final = (b"content-type", b"application/json")

Load = Callable[[], Awaitable[RenderedResponse]]
Versions = tuple[bytes, ...]


class Found(NamedTuple):
    """What Redis has: a valid value or None; the tag versions, None if Redis is unavailable."""

    value: Stored | None
    versions: list[bytes | None] | None


class Reads:
    """The cached reads of this process."""

    def __init__(self, redis: Pipeline, drops: Drops) -> None:
        self._redis, self._drops = redis, drops
        self._flights: Flights[RenderedResponse | None] = Flights()

    def judge(self, reply: object) -> Found:
        """Return what the reply to a lookup's command contains.

        A value is valid only with the current tag versions. `is_old` checks its age.
        """
        if not isinstance(reply, list):
            return Found(None, None)
        data, versions = reply[0], reply[1:]
        if data is None or None in versions:
            return Found(None, versions)
        return Found(unpack(data, b"".join(versions)), versions)

    def is_old(self, value: Stored) -> bool:
        """Whether the value is past its `ttl`."""
        return time.time() >= value.old_at

    async def load(self, lookup: Lookup, found: Found, load: Load) -> RenderedResponse:
        """Load the response once for all concurrent callers, and store it.

        If Redis is unavailable or rejects writes, load once per process.
        """
        versions = await self._whole(lookup, found.versions)
        if versions is None:
            what: tuple[object, ...] = (lookup.key, self._drops.count)
            flight, leads = self._flights.begin(what, lambda: _only(load))
        else:
            flight, leads = self._flights.begin(
                (lookup.key, *versions), lambda: self._lead(lookup, versions, load, WAIT_SECONDS)
            )
        rendered = await asyncio.shield(flight)
        assert rendered is not None  # None occurs only without WAIT_SECONDS, in `renew`
        return rendered if leads or rendered.shareable else await load()

    def renew(self, lookup: Lookup, found: Found, load: Load) -> None:
        """Start to reload an old value in the background, unless a reload is in progress."""
        versions = tuple(version for version in found.versions or () if version is not None)
        self._flights.begin(
            ("renew", lookup.key, *versions), lambda: self._lead(lookup, versions, load, 0.0)
        )

    async def aclose(self) -> None:
        """Cancel the loads in progress."""
        await self._flights.aclose()

    async def _whole(self, lookup: Lookup, versions: list[bytes | None] | None) -> Versions | None:
        """Return all tag versions, creating the missing ones; None if that fails.

        This happens before the load, so that a later drop invalidates what the load reads.
        """
        if versions is None:
            return None
        found: dict[str, Any] = dict(zip(lookup.versions, versions, strict=True))
        # Another process may create one at the same time: the first wins. A malformed version is
        # valid for no reader; it is replaced, which drops the values and never restores them.
        for how, taken in ((("NX", "GET"), None), ((), b"OK")):
            new = {
                key: new_version().encode() for key, one in found.items() if not _is_version(one)
            }
            if not new:
                break
            replies = await self._ask(
                *(("SET", key, one, *how, "EX", short_seconds()) for key, one in new.items())
            )
            for (key, one), reply in zip(new.items(), replies, strict=False):
                found[key] = one if reply == taken else reply
        whole = tuple(filter(_is_version, found.values()))
        return whole if len(whole) == len(found) else None

    async def _lead(
        self, lookup: Lookup, versions: Versions, load: Load, seconds: float
    ) -> RenderedResponse | None:
        """Load if no other process does; otherwise wait for its value, and load after the wait.

        With `seconds` = 0 (renewal): return None if another process loads, or has failed recently.
        Renewal uses a separate lease, so cold misses never wait for it.
        """
        what, token = "lease" if seconds else "renewal", secrets.token_hex(8)
        lease = f"{what}:{lookup.key}:{b''.join(versions).decode()}"
        give_back = give_lease_back(lease, token)
        until = time.monotonic() + seconds
        while True:
            leads, value = await self._try_to_lead(lookup, lease, token)
            if value is not None and value.kind is not Kind.TOO_LARGE and not self.is_old(value):
                if leads:
                    await self._ask(give_back)
                return RenderedResponse(_STATUS[value.kind], _headers_of(value), value.body)
            if leads is not False or (value is not None and value.kind is Kind.TOO_LARGE):
                break
            if not seconds:
                return None
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_POLL_SECONDS)
        rendered = await load()
        stored = self._to_store(lookup, versions, rendered)
        if stored is not None:
            longer = self._versions_of(lookup) if rendered.status == _STATUS[Kind.BODY] else []
            await self._store(lookup, versions, stored, *longer, give_back)
        elif seconds:
            await self._ask(give_back)
        # A failed renewal keeps its lease: the next attempt starts when the lease has expired.
        return rendered

    async def _store(self, lookup: Lookup, versions: Versions, *commands: Command) -> None:
        """Store a value; take it back if it was dropped while it was loaded.

        It is never valid, but what a deleted user wrote is not to stay until it expires.
        """
        if not lookup.versions:
            await self._ask(*commands)
            return
        replies = await self._ask(*commands, ("MGET", *lookup.versions))
        if replies and replies[-1] != list(versions):
            await self._ask(("UNLINK", lookup.key))

    async def _try_to_lead(
        self, lookup: Lookup, lease: str, token: str
    ) -> tuple[bool | None, Stored | None]:
        """Try to take the lease, then read the value: a previous holder has stored it by then.

        Return whether the lease was granted, None if Redis grants none; and the valid value.
        """
        replies = await self._ask(take_lease(lease, token, LEASE_MS), lookup.command)
        if not replies or isinstance(replies[0], ResponseError):
            return None, None
        return replies[0] == b"OK", self.judge(replies[1]).value

    def _to_store(
        self, lookup: Lookup, versions: Versions, rendered: RenderedResponse
    ) -> Command | None:
        cached, now = lookup.cached, time.time()
        age, keep = cached.ttl, cached.ttl + cached.stale
        body, kind = rendered.body, Kind.BODY
        if rendered.plain and rendered.status == _STATUS[Kind.MISSING]:
            kind, age, keep = Kind.MISSING, cached.missing, cached.missing
        elif not rendered.storable:
            return None
        elif len(body) > LARGEST_BYTES:
            body, kind = b"", Kind.TOO_LARGE
        spread = 1 + random.uniform(-SPREAD, SPREAD)  # noqa: S311 - jitter
        old_at = now + age.total_seconds() * spread
        keep_ms = max(1, round(keep.total_seconds() * spread * 1000))
        value = Stored(kind, body, etag_of(body), old_at, rendered.link)
        return ("SET", lookup.key, pack(value, versions), "PX", keep_ms)

    def _versions_of(self, lookup: Lookup) -> list[Command]:
        """Return the commands that make the versions of a value outlive it; they create none."""
        return [("EXPIRE", key, version_seconds(), "GT") for key in lookup.versions]

    async def _ask(self, *commands: Command) -> list[Any]:
        """Return the replies, or [] if Redis is unavailable: the cache never fails a read."""
        try:
            return await self._redis.ask(*commands)
        except RedisAway:
            return []


def _is_version(found: object) -> TypeGuard[bytes]:
    return isinstance(found, bytes) and len(found) == VERSION_BYTES


def _headers_of(value: Stored) -> list[tuple[bytes, bytes]]:
    return [_JSON, (b"link", value.link)] if value.link else [_JSON]


async def _only(load: Load) -> RenderedResponse:
    return await load()
