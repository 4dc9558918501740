"""The connections to Redis or Valkey: the cache, and the broker."""

import logging
from typing import Final

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from kernel.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.2
_KEEPS_ALL: Final = "noeviction"
# What may go under pressure there has a TTL; other keys of the cache must stay.
_CACHE_POLICIES: Final = (_KEEPS_ALL, "volatile-ttl", "volatile-lfu", "volatile-lru")


def connect_redis(settings: Settings, *, timeout: float | None = TIMEOUT_SECONDS) -> Redis:
    """Return a client of the cache server; it connects at its first command.

    It gives up after 0.2 s and never retries: with the library's defaults one GET took 3.5 s
    against a refused port and 59 s against a silent one. `timeout` in seconds is for those who have
    a deadline of their own.
    """
    return _client(
        settings.redis_host,
        settings.redis_port,
        settings.redis_db,
        settings.redis_username,
        settings.redis_password,
        tls=settings.redis_tls,
        timeout=timeout,
    )


def connect_broker(settings: Settings) -> Redis:
    """Return a client of the broker, of the same kind; without BROKER_HOST it is the cache."""
    if settings.broker_host is None:
        return connect_redis(settings)
    return _client(
        settings.broker_host,
        settings.broker_port,
        settings.broker_db,
        settings.broker_username,
        settings.broker_password,
        tls=settings.broker_tls,
    )


async def report_eviction(settings: Settings) -> None:
    """Log what is wrong with the servers' maxmemory-policy; one that does not answer is skipped."""
    checks: list[tuple[str, Redis, tuple[str, ...]]] = [
        ("REDIS_HOST", connect_redis(settings), _CACHE_POLICIES)
    ]
    if settings.broker_host is not None:
        checks.append(("BROKER_HOST", connect_broker(settings), (_KEEPS_ALL,)))
    for name, client, fine in checks:
        try:
            policy = str((await client.info("memory")).get("maxmemory_policy", fine[0]))
        except (RedisError, OSError):
            continue
        finally:
            await client.aclose()
        if policy not in fine:
            log.warning(
                "This server may evict what must stay: set its maxmemory-policy",
                extra={"server": name, "policy": policy, "better": fine[-1]},
            )


def _client(
    host: str,
    port: int,
    db: int,
    username: str | None,
    password: SecretStr | None,
    *,
    tls: bool,
    timeout: float | None = TIMEOUT_SECONDS,
) -> Redis:
    return Redis(
        host=host,
        port=port,
        db=db,
        username=username,
        password=password.get_secret_value() if password else None,
        ssl=tls,
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        # With them on, a connection that the server has closed is not noticed before it is used.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
