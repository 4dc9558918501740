"""Where a response lies in Redis, which tag versions validate it, and single flight of loads."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import orjson
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from kernel.cache.cached import OWN_ID, Audience, Cached, reads_of, written
from kernel.cache.canonical import CanonicalRequest
from kernel.cache.drops import version_key
from kernel.core.caller import Caller
from kernel.core.cursors import ListCursors
from kernel.redis import Command

_FORMAT: Final = "1"
_REMEMBERED: Final = 1024
_LONGEST: Final = 1024  # bytes of a request: this bounds the memory of the lru_cache


class Lookup(NamedTuple):
    """One request's lookup: its key, the keys of its tag versions, and the command to read all."""

    cached: Cached
    key: str
    versions: tuple[str, ...]
    command: Command


@dataclass(frozen=True)
class _Read:
    cached: Cached
    prefix: str

    def of(
        self, values: Mapping[str, object], own_id: UUID | None, *, has_role: bool
    ) -> Lookup | None:
        """Return the lookup, or None if this read excludes the caller or these values."""
        cached = self.cached
        if cached.audience is Audience.EVERY_CALLER and has_role:
            return None  # a role may see more
        if cached.audience is Audience.ONE_CALLER:
            own = str(own_id)
            if values.get(OWN_ID, own) != own:
                return None
            values = {**values, OWN_ID: own}
        for name, kept in cached.where.items():
            if values[name] not in kept:
                return None
        key = self.prefix + cached.key.format_map(
            {name: written(values[name]) for name in cached.placeholders}
        )
        versions = tuple(map(version_key, cached.tags(values)))
        return Lookup(cached, key, versions, ("MGET", key, *versions))


class RouteCache:
    """The cached reads of one route, in the order in which they are tried.

    Every key contains a hash of path, audience and response schema. So two versions of the code
    with different schemas never share a value, nor do two routes or two audiences. `prefixes` has
    what keys of each read begin with. `cursors` verify the cursors of its requests, and keys of
    values with cursors differ if their key does. Raises ValueError for a declaration that does not
    fit the route.
    """

    def __init__(
        self, route: APIRoute, path: str, *, needs_token: bool, cursors: ListCursors | None = None
    ) -> None:
        self._request = CanonicalRequest(route, path, cursors)
        self.reads = reads = reads_of(route.endpoint)
        for cached in reads:
            self._check(cached, needs_token=needs_token)
        schema = TypeAdapter(route.response_model).json_schema(mode="serialization")
        key = [cursors.fingerprint] if cursors is not None and self._request.cursor else []
        self.prefixes = {
            cached: f"cache:{_digest(path, cached.audience.value, schema, *key)}:"
            for cached in reads
        }
        self._reads = [_Read(cached, prefix) for cached, prefix in self.prefixes.items()]
        self._one_caller = any(cached.audience is Audience.ONE_CALLER for cached in reads)
        self._find = lru_cache(_REMEMBERED)(self._work_out)

    def find(self, path: str, query: bytes, caller: Caller) -> Lookup | None:
        """Return where the response lies, or None for a request that bypasses the cache."""
        own_id = caller.user_id if self._one_caller else None
        find = self._find if len(path) + len(query) <= _LONGEST else self._work_out
        return find(path, query, own_id, caller.role is not None)

    def _work_out(
        self,
        path: str,
        query: bytes,
        own_id: UUID | None,
        has_role: bool,  # noqa: FBT001 - lru_cache is faster without names
    ) -> Lookup | None:
        values = self._request.values(path, query)
        if values is None:
            return None
        for read in self._reads:
            if (lookup := read.of(values, own_id, has_role=has_role)) is not None:
                return lookup
        return None

    def _check(self, cached: Cached, *, needs_token: bool) -> None:
        if needs_token == (cached.audience is Audience.EVERYONE):
            wanted = "optional or ignored" if needs_token else "required"
            raise ValueError(
                f"the audience of {cached.key} is {cached.audience.value}, "
                f'which requires caller="{wanted}"'
            )
        known = {parameter.name for parameter in self._request.parameters}
        if cached.audience is Audience.ONE_CALLER:
            known.add(OWN_ID)
        if unknown := {*cached.placeholders, *cached.where} - known:
            raise ValueError(f"{cached.key} names {min(unknown)}, which the route does not have")
        for name in known - set(cached.placeholders):
            if not _is_single(cached.where.get(name)):
                raise ValueError(
                    f"{name} changes the response but is not in {cached.key}: add it to the key or "
                    f'name the single value that is cached: where={{"{name}": (…,)}}'
                )


def _digest(*parts: object) -> str:
    shape = orjson.dumps([_FORMAT, *parts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(shape).hexdigest()[:8]


def _is_single(kept: object) -> bool:
    return isinstance(kept, tuple | list | set | frozenset) and len(kept) == 1


T = TypeVar("T")


class Flights(Generic[T]):
    """Loads in progress in this process, by key."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    def begin(
        self, what: Hashable, load: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[asyncio.Task[T], bool]:
        """Return the load in progress, or start one; and whether this call started it.

        No waiter owns the load: wait with `await asyncio.shield(…)`, or do not wait at all.
        """
        task = self._tasks.get(what)
        begins = task is None
        if task is None:
            task = self._tasks[what] = asyncio.create_task(load())
            task.add_done_callback(lambda done: self._end(what, done))
        return task, begins

    async def aclose(self) -> None:
        """Cancel all loads."""
        while tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _end(self, what: Hashable, done: "asyncio.Task[T]") -> None:
        del self._tasks[what]
        if not done.cancelled():
            done.exception()  # retrieve it: asyncio warns about an exception that no waiter reads
