"""Reads through the cache: what a reply of Redis is worth, and one loader where it is not enough.

In a process one load is under way for a key and its stamps (single flight), in the fleet one holds
the lease. The stamps are part of both: who comes after a drop never gets what was loaded before.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeGuard

from redis.exceptions import ResponseError

from kernel.cache.cached import SPREAD
from kernel.cache.drops import Drops, new_stamp, short_seconds, stamp_seconds
from kernel.cache.flights import Flights
from kernel.cache.lookup import Lookup
from kernel.cache.rendered import RenderedResponse
from kernel.cache.stored import STAMP_BYTES, Kind, Stored, etag_of, pack, unpack
from kernel.redis import Command, Pipeline, RedisAway

# A page of 100 posts at its longest has 1.3 MB: JSON has 6 bytes for a control character.
LARGEST_BYTES: Final = 1536 * 1024
LEASE_MS: Final = 3000
WAIT_SECONDS: Final = 0.4  # for another process that loads; then everyone loads for itself
_POLL_SECONDS: Final = 0.02
_STATUS: Final = {Kind.BODY: 200, Kind.MISSING: 404}
_JSON: Final = ((b"content-type", b"application/json"),)
# A lease is given back by who holds it, and by nobody whose own ran out.
_GIVE_BACK: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
)

Load = Callable[[], Awaitable[RenderedResponse]]
Stamps = tuple[bytes, ...]


class Found(NamedTuple):
    """What Redis has: a value that counts, or None; the stamps, None where Redis is away."""

    value: Stored | None
    stamps: list[bytes | None] | None


class Reads:
    """The cached reads of this process."""

    def __init__(self, redis: Pipeline, drops: Drops) -> None:
        self._redis, self._drops = redis, drops
        self._flights: Flights[RenderedResponse | None] = Flights()

    def judge(self, reply: object) -> Found:
        """Return what the reply to a lookup's command is worth.

        A value counts with the stamps of now alone; whether it is old is another question.
        """
        if not isinstance(reply, list):
            return Found(None, None)
        data, stamps = reply[0], reply[1:]
        if data is None or None in stamps:
            return Found(None, stamps)
        return Found(unpack(data, b"".join(stamps)), stamps)

    def is_old(self, value: Stored) -> bool:
        """Whether the value is older than it should be."""
        return time.time() >= value.old_at

    async def load(self, lookup: Lookup, found: Found, load: Load) -> RenderedResponse:
        """Return the answer of one load for all who ask now, and store it.

        Where Redis is away or takes nothing, one load in this process.
        """
        stamps = await self._whole(lookup, found.stamps)
        if stamps is None:
            what: tuple[object, ...] = (lookup.key, self._drops.count)
            flight, leads = self._flights.begin(what, lambda: _only(load))
        else:
            flight, leads = self._flights.begin(
                (lookup.key, *stamps), lambda: self._lead(lookup, stamps, load, WAIT_SECONDS)
            )
        rendered = await asyncio.shield(flight)
        assert rendered is not None  # who waits for others loads in the end
        return rendered if leads or rendered.shareable else await load()

    def renew(self, lookup: Lookup, found: Found, load: Load) -> None:
        """Begin to load anew what is old, unless somebody does; nobody waits for it."""
        stamps = tuple(stamp for stamp in found.stamps or () if stamp is not None)
        self._flights.begin(
            ("renew", lookup.key, *stamps), lambda: self._lead(lookup, stamps, load, 0.0)
        )

    async def aclose(self) -> None:
        """End the loads that are under way."""
        await self._flights.aclose()

    async def _whole(self, lookup: Lookup, stamps: list[bytes | None] | None) -> Stamps | None:
        """Return all stamps, new ones for those that are missing; None where that cannot be done.

        It is done before anything is loaded: a drop from now on changes what was read here.
        """
        if stamps is None:
            return None
        found: dict[str, Any] = dict(zip(lookup.stamps, stamps, strict=True))
        # Others may make one at the same time: the first counts. What lies there and is no stamp
        # counts for nobody, and is replaced: that drops what there is, and never brings it back.
        for how, taken in ((("NX", "GET"), None), ((), b"OK")):
            new = {key: new_stamp().encode() for key, one in found.items() if not _is_stamp(one)}
            if not new:
                break
            replies = await self._ask(
                *(("SET", key, one, *how, "EX", short_seconds()) for key, one in new.items())
            )
            for (key, one), reply in zip(new.items(), replies, strict=False):
                found[key] = one if reply == taken else reply
        whole = tuple(filter(_is_stamp, found.values()))
        return whole if len(whole) == len(found) else None

    async def _lead(
        self, lookup: Lookup, stamps: Stamps, load: Load, seconds: float
    ) -> RenderedResponse | None:
        """Load where nobody else does; else wait for the value, and at the end load all the same.

        Without any seconds to wait, to renew a value: None where somebody else does, or has failed
        to a moment ago. Nobody who has no value waits for that: its lease is another.
        """
        what, token = "lease" if seconds else "renewal", secrets.token_hex(8)
        lease = f"{what}:{lookup.key}:{b''.join(stamps).decode()}"
        give_back: Command = ("EVAL", _GIVE_BACK, 1, lease, token)
        until = time.monotonic() + seconds
        while True:
            leads, value = await self._try_to_lead(lookup, lease, token)
            if value is not None and value.kind is not Kind.TOO_LARGE and not self.is_old(value):
                if leads:
                    await self._ask(give_back)
                return RenderedResponse(_STATUS[value.kind], _JSON, value.body)
            if leads is not False or (value is not None and value.kind is Kind.TOO_LARGE):
                break
            if not seconds:
                return None
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_POLL_SECONDS)
        rendered = await load()
        stored = self._to_store(lookup, stamps, rendered)
        if stored is not None:
            longer = self._stamps_of(lookup) if rendered.status == _STATUS[Kind.BODY] else []
            await self._ask(stored, *longer, give_back)
        elif seconds:
            await self._ask(give_back)
        # What could not be renewed keeps its lease: it is tried again when that has run out.
        return rendered

    async def _try_to_lead(
        self, lookup: Lookup, lease: str, token: str
    ) -> tuple[bool | None, Stored | None]:
        """Ask for the lease, then for the value: whoever had the lease has stored it by then.

        Return whether it was given, None where Redis gives none; and the value that counts.
        """
        asked = ("SET", lease, token, "NX", "PX", LEASE_MS)
        replies = await self._ask(asked, lookup.command)
        if not replies or isinstance(replies[0], ResponseError):
            return None, None
        return replies[0] == b"OK", self.judge(replies[1]).value

    def _to_store(
        self, lookup: Lookup, stamps: Stamps, rendered: RenderedResponse
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
        spread = 1 + random.uniform(-SPREAD, SPREAD)  # noqa: S311 - a spread
        old_at = now + age.total_seconds() * spread
        keep_ms = max(1, round(keep.total_seconds() * spread * 1000))
        value = Stored(kind, body, etag_of(body), old_at)
        return ("SET", lookup.key, pack(value, stamps), "PX", keep_ms)

    def _stamps_of(self, lookup: Lookup) -> list[Command]:
        """Return what makes the stamps of a value outlive it; none that is gone comes back."""
        return [("EXPIRE", key, stamp_seconds(), "GT") for key in lookup.stamps]

    async def _ask(self, *commands: Command) -> list[Any]:
        """Return the replies, none where Redis is away: the cache breaks no read."""
        try:
            return await self._redis.ask(*commands)
        except RedisAway:
            return []


def _is_stamp(found: object) -> TypeGuard[bytes]:
    return isinstance(found, bytes) and len(found) == STAMP_BYTES


async def _only(load: Load) -> RenderedResponse:
    return await load()
