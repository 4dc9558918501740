"""Clients of Redis or Valkey: the cache, and the broker."""

import logging
from typing import Any, Final, Literal

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from kernel.config.settings import Settings
from kernel.config.types import host_and_port
from kernel.redis.connecting import Endpoint
from kernel.redis.multiplexed import Multiplexed
from kernel.redis.over_redis_py import OverRedisPy
from kernel.redis.pipeline import Pipeline
from kernel.redis.wake_ups import WAIT_SECONDS, Alarm

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.2
WAITING_SECONDS: Final = 8.0
_KEEPS_ALL: Final = "noeviction"
# Policies that evict only keys with a TTL; the cache's other keys must stay.
_CACHE_POLICIES: Final = (_KEEPS_ALL, "volatile-ttl", "volatile-lfu", "volatile-lru")


def connect_pipeline(settings: Settings) -> Pipeline:
    """Return the hot path's pipeline to the cache; it connects at its first command."""
    if settings.redis_sentinels:
        return OverRedisPy(connect_redis(settings, timeout=None, protocol=2))
    return Multiplexed(Endpoint.of(settings))


def connect_keeping(settings: Settings) -> Pipeline:
    """Return the way to what must never be evicted: the broker, as a pipeline.

    Only what few requests ask belongs there. Without BROKER_HOST it is the cache.
    """
    if settings.broker_host is None:
        return connect_pipeline(settings)
    return Multiplexed(Endpoint.of_broker(settings), name="broker")


def connect_waiting(settings: Settings) -> Pipeline:
    """Return a pipeline to the cache with a connection of its own, for commands that block.

    It gives up after WAITING_SECONDS: a command must block for less.
    """
    return OverRedisPy(connect_redis(settings, timeout=None, protocol=2), seconds=WAITING_SECONDS)


def connect_redis(
    settings: Settings,
    *,
    timeout: float | None = TIMEOUT_SECONDS,
    protocol: Literal[2, 3] = 3,
) -> Redis:
    """Return a client of the cache server; it connects at its first command.

    It gives up after 0.2 s and never retries: with the library's defaults one GET took 3.5 s
    against a refused port and 59 s against a silent one. `timeout` (seconds; None for callers with
    a deadline of their own) replaces the 0.2 s; `protocol` is the version of RESP. With
    REDIS_SENTINELS, the client connects to the primary that the Sentinels name.
    """
    options: dict[str, Any] = {
        "db": settings.redis_db,
        "protocol": protocol,
        **_credentials(settings.redis_username, settings.redis_password),
        **_times(timeout),
    }
    tls = settings.redis_tls
    if not settings.redis_sentinels:
        return Redis(host=settings.redis_host, port=settings.redis_port, ssl=tls, **options)
    # Sentinels are asked in turn: the time-out keeps a silent one from delaying the next.
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        [host_and_port(address) for address in settings.redis_sentinels],
        sentinel_kwargs={"ssl": tls, **_times(TIMEOUT_SECONDS)},
    )
    primary: Redis = sentinel.master_for(
        settings.redis_sentinel_name, connection_pool_class=_SentinelPool, ssl=tls, **options
    )
    return primary


def connect_alarm(settings: Settings) -> Alarm:
    """Return what a relay waits for wake-ups with: a connection to the cache of its own."""
    return Alarm(connect_redis(settings, timeout=WAIT_SECONDS + TIMEOUT_SECONDS))


def connect_broker(settings: Settings) -> Redis:
    """Return a client of the broker, configured likewise; without BROKER_HOST it is the cache."""
    if settings.broker_host is None:
        return connect_redis(settings)
    return Redis(
        host=settings.broker_host,
        port=settings.broker_port,
        db=settings.broker_db,
        ssl=settings.broker_tls,
        **_credentials(settings.broker_username, settings.broker_password),
        **_times(TIMEOUT_SECONDS),
    )


async def report_eviction(settings: Settings) -> None:
    """Log an unsafe maxmemory-policy of the servers; skip a server that does not answer."""
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
                "This server may evict keys that must stay: set its maxmemory-policy",
                extra={"server": name, "policy": policy, "better": fine[-1]},
            )


class _SentinelPool(SentinelConnectionPool):
    """Closes the connections to the Sentinels, too: the library leaves them open."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def _credentials(username: str | None, password: SecretStr | None) -> dict[str, Any]:
    secret = password.get_secret_value() if password else None
    return {"username": username, "password": secret}


def _times(timeout: float | None) -> dict[str, Any]:
    return {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        # If enabled, a connection that the server has closed is noticed only at its next use.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
