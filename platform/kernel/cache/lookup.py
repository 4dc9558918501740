"""Where the answer to a request lies in Redis, and what drops it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from kernel.cache.cached import OWN_ID, Audience, Cached, reads_of, written
from kernel.cache.canonical import CanonicalRequest
from kernel.cache.drops import stamp_key
from kernel.call import Caller
from kernel.redis import Command

_FORMAT: Final = "1"


class Lookup(NamedTuple):
    """One request's place: its key, the keys of its stamps, and the command that reads them all."""

    cached: Cached
    key: str
    stamps: tuple[str, ...]
    command: Command


@dataclass(frozen=True)
class _Read:
    cached: Cached
    prefix: str

    def of(self, values: Mapping[str, object], caller: Caller) -> Lookup | None:
        """Return the place, or None where this read is not for this caller or these values."""
        cached = self.cached
        if cached.audience is Audience.EVERY_CALLER and caller.role is not None:
            return None  # a role may see more
        if cached.audience is Audience.ONE_CALLER:
            own_id = str(caller.user_id)
            if values.get(OWN_ID, own_id) != own_id:
                return None
            values = {**values, OWN_ID: own_id}
        for name, kept in cached.where.items():
            if values[name] not in kept:
                return None
        key = self.prefix + cached.key.format_map(
            {name: written(values[name]) for name in cached.placeholders}
        )
        stamps = tuple(map(stamp_key, cached.tags(values)))
        return Lookup(cached, key, stamps, ("MGET", key, *stamps))


class RouteCache:
    """The cached reads of one route, in the order in which they are tried.

    A hash of the answer's schema is part of every key: no version of the code reads what another
    one wrote in another shape. Raises ValueError where a declaration does not fit the route.
    """

    def __init__(self, route: APIRoute, path: str, *, needs_token: bool) -> None:
        self._request = CanonicalRequest(route, path)
        reads = reads_of(route.endpoint)
        for cached in reads:
            self._check(cached, needs_token=needs_token)
        schema = TypeAdapter(route.response_model).json_schema(mode="serialization")
        shape = orjson.dumps([_FORMAT, schema], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(shape).hexdigest()[:8]
        self._reads = [_Read(cached, f"cache:{digest}:") for cached in reads]

    def find(self, path: str, query: bytes, caller: Caller) -> Lookup | None:
        """Return where the answer lies, or None for a request that takes the full path."""
        values = self._request.values(path, query)
        if values is None:
            return None
        for read in self._reads:
            if (lookup := read.of(values, caller)) is not None:
                return lookup
        return None

    def _check(self, cached: Cached, *, needs_token: bool) -> None:
        if needs_token == (cached.audience is Audience.EVERYONE):
            wanted = "optional or ignored" if needs_token else "required"
            raise ValueError(
                f"the audience of {cached.key} is {cached.audience.value}, "
                f'which wants caller="{wanted}"'
            )
        known = {parameter.name for parameter in self._request.parameters}
        if cached.audience is Audience.ONE_CALLER:
            known.add(OWN_ID)
        if unknown := {*cached.placeholders, *cached.where} - known:
            raise ValueError(f"{cached.key} names {min(unknown)}, which the route does not have")
        for name in known - set(cached.placeholders):
            if not _is_single(cached.where.get(name)):
                raise ValueError(
                    f"{name} changes the answer and is not in {cached.key}: add it to the key, or "
                    f'say for which single value it is kept: where={{"{name}": (…,)}}'
                )


def _is_single(kept: object) -> bool:
    return isinstance(kept, tuple | list | set | frozenset) and len(kept) == 1
