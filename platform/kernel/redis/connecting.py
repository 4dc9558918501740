"""Opening a connection to Redis: TLS, authentication, database, and a first PING."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr
from redis.exceptions import ResponseError

from kernel.config.settings import Settings
from kernel.redis.connection import RedisConnection
from kernel.redis.pipeline import RedisAway, Word, in_time

_ANSWERS: Final = {"AUTH": b"OK", "SELECT": b"OK", "PING": b"PONG"}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The address of Redis, and the credentials of its connections."""

    host: str
    port: int
    db: int = 0
    username: str | None = None
    password: SecretStr | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Endpoint":
        """Return the cache's endpoint. OpenSSL must trust its certificate: see SSL_CERT_FILE."""
        return cls(
            host=settings.redis_host,
            port=settings.redis_port,
            db=settings.redis_db,
            username=settings.redis_username,
            password=settings.redis_password,
            tls=ssl.create_default_context() if settings.redis_tls else None,
        )

    @classmethod
    def of_broker(cls, settings: Settings) -> "Endpoint":
        """Return the broker's; without BROKER_HOST it is the cache's."""
        if settings.broker_host is None:
            return cls.of(settings)
        return cls(
            host=settings.broker_host,
            port=settings.broker_port,
            db=settings.broker_db,
            username=settings.broker_username,
            password=settings.broker_password,
            tls=ssl.create_default_context() if settings.broker_tls else None,
        )

    @property
    def greeting(self) -> dict[str, tuple[Word, ...]]:
        """The first commands, by name; the last is PING, which a loading server refuses."""
        commands: dict[str, tuple[Word, ...]] = {}
        if self.password is not None:
            who = () if self.username is None else (self.username,)
            commands["AUTH"] = (*who, self.password.get_secret_value())
        if self.db:
            commands["SELECT"] = (self.db,)
        return {**commands, "PING": ()}


async def connect(endpoint: Endpoint, *, seconds: float, connect_seconds: float) -> RedisConnection:
    """Return a connection with that deadline; raise RedisAway after `connect_seconds` at most."""
    connection = RedisConnection(seconds)
    try:
        await in_time(_open(connection, endpoint), connect_seconds)
    except BaseException as error:
        await connection.aclose()
        if isinstance(error, RedisAway) or not isinstance(error, Exception):
            raise
        raise RedisAway(f"{type(error).__name__}: {error}") from error
    return connection


async def _open(connection: RedisConnection, endpoint: Endpoint) -> None:
    await asyncio.get_running_loop().create_connection(
        lambda: connection, endpoint.host, endpoint.port, ssl=endpoint.tls
    )
    greeting = endpoint.greeting
    commands = tuple((name, *words) for name, words in greeting.items())
    for name, reply in zip(greeting, await connection.ask(commands), strict=True):
        if isinstance(reply, ResponseError):
            # Of a refused AUTH, log only the code: an old server repeats the password in its error.
            said = str(reply).partition(" ")[0] if name == "AUTH" else str(reply)
            raise RedisAway(f"{name} was refused: {said}")
        if reply != _ANSWERS[name]:
            raise RedisAway(f"Unexpected reply to {name}: this is not a Redis server")
