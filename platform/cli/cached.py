"""`./app cache …`: what the cache keeps, and dropping it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.operators import settings_or_stack
from cli.text import columns, one_line

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from redis.asyncio import Redis

    from kernel.edge.routes import Route

_MOST: Final = 50  # keys of a list
_LONGEST: Final = 2000  # characters of a body
_TAKES: Final = 5.0  # seconds for a command: a scan of a large cache
_PREFIX: Final = re.compile(r"cache:[0-9a-f]{8}:")
_SPECIAL: Final = re.compile(r"([\[\]?\\])")  # in patterns of Redis; * stays one
_BATCH: Final = 1000

Key = Annotated[
    str | None,
    typer.Argument(help='A key as in ./app features, e.g. "settings:global"; * fits all.'),
]


@dataclass(frozen=True)
class _Kept:
    """A stored value: its key without the prefix, its route, and its state."""

    raw: str
    key: str
    call: str
    state: str
    seconds: int
    body: bytes


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    cache = typer.Typer(no_args_is_help=True, help="Show or drop cached responses.")
    cache.command()(show)
    cache.command()(drop)
    app.add_typer(cache, name="cache")


def show(key: Key = None) -> None:
    """Show the cached responses, or one with its body.

    Each has its state, and the time until it expires.
    """
    found = asyncio.run(_all(key or "*", most=_MOST + 1))
    if not found:
        typer.echo(f"Nothing is kept under {key}." if key else "The cache keeps no response.")
        raise typer.Exit(1 if key else 0)
    table = [("key", "call", "state", "expires in", "bytes")]
    table += [
        (one_line(one.key), one.call, one.state, f"{one.seconds} s", str(len(one.body)))
        for one in found[:_MOST]
    ]
    typer.echo(columns(table))
    if len(found) > _MOST:
        typer.echo(f"… and more: name a key, for example {found[0].key.split(':')[0]}:*")
    if key and "*" not in key:
        for one in found:
            typer.echo(one_line(one.body.decode(errors="replace")[:_LONGEST]))


def drop(
    key: Annotated[str, typer.Argument(help="A key as in ./app cache show; * fits everything.")],
) -> None:
    """Drop cached responses: the next request loads them again."""
    number = asyncio.run(_drop(key))
    if not number:
        typer.echo(f"Nothing is kept under {key}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"Dropped {number} {'response' if number == 1 else 'responses'}.")


async def _all(key: str, *, most: int) -> list[_Kept]:
    from kernel.boot.discovery import discover
    from kernel.edge.routes import routes_of

    routes = routes_of(discover())
    async with _connected() as redis:
        raws = sorted([raw async for raw in _scan(redis, key, most)])
        found = [await _kept(redis, raw, routes) for raw in raws]
    return sorted((one for one in found if one is not None), key=lambda one: one.key)


async def _drop(key: str) -> int:
    number = 0
    async with _connected() as redis:
        batch: list[str] = []
        async for raw in _scan(redis, key):
            batch.append(raw)
            if len(batch) == _BATCH:
                number += await redis.unlink(*batch)
                batch.clear()
        if batch:
            number += await redis.unlink(*batch)
    return number


@asynccontextmanager
async def _connected() -> "AsyncIterator[Redis]":
    """Connect to the cache; a cache that does not answer is one sentence and exit code 1."""
    from redis.exceptions import RedisError

    from kernel.redis.clients import connect_redis

    settings = settings_or_stack()
    try:
        async with connect_redis(settings, timeout=_TAKES) as redis:
            yield redis
    except (RedisError, OSError) as error:
        typer.echo(
            f"The cache at {settings.redis_host}:{settings.redis_port} does not answer "
            f"({type(error).__name__}): are REDIS_HOST and REDIS_PORT right?",
            err=True,
        )
        raise typer.Exit(1) from None


async def _scan(redis: "Redis", key: str, most: int | None = None) -> AsyncIterator[str]:
    """Yield the keys that fit; with `most`, so many different ones: SCAN may repeat a key."""
    pattern = "cache:????????:" + _SPECIAL.sub(r"\\\1", key)
    seen: set[str] = set()
    async for raw in redis.scan_iter(pattern, count=_BATCH):
        name = raw.decode() if isinstance(raw, bytes) else str(raw)
        if not _PREFIX.match(name) or name in seen:
            continue
        yield name
        if most is not None:
            seen.add(name)
            if len(seen) == most:
                return


async def _kept(redis: "Redis", raw: str, routes: "Iterable[Route]") -> _Kept | None:
    from kernel.cache.drops import version_key
    from kernel.cache.stored import unpack

    key = _PREFIX.sub("", raw)
    seconds = await redis.ttl(raw)
    for route in routes:
        for cached, prefix in (route.cache.prefixes if route.cache else {}).items():
            values = re.fullmatch(_pattern(cached.key), key)
            if not raw.startswith(prefix) or values is None:
                continue
            tags = [version_key(tag) for tag in cached.tags(values.groupdict())]
            found: list[Any] = await redis.mget([raw, *tags])
            data, *versions = found
            if data is None:
                return None  # it expired meanwhile
            value = None if None in versions else unpack(data, b"".join(versions))
            if value is None:
                state, body = "dropped", b""
            else:
                state, body = value.kind.name.lower(), value.body
                if time.time() >= value.old_at:
                    state += ", old"
            call = f"{route.method} {route.path}"
            return _Kept(raw, key, call, state, seconds, body)
    return _Kept(raw, key, "(no route of this version)", "unused", seconds, b"")


def _pattern(key: str) -> str:
    """Return a regular expression for the keys of a read: values of placeholders have no colon."""
    from kernel.cache.cached import PLACEHOLDER

    seen: set[str] = set()
    pattern = ""
    for place, part in enumerate(PLACEHOLDER.split(key)):
        if place % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>[^:]+)"
            seen.add(part)
    return pattern
