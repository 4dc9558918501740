"""The connection to Redis or Valkey."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kernel.settings import Settings

TIMEOUT_SECONDS = 0.2


def connect_redis(settings: Settings) -> Redis:
    """Return a client of the cache server; it connects at its first command.

    It gives up after 0.2 s and never retries: with the library's defaults one GET took 3.5 s
    against a refused port and 59 s against a silent one.
    """
    password = settings.redis_password
    return Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        db=settings.redis_db,
        username=settings.redis_username,
        password=password.get_secret_value() if password else None,
        ssl=settings.redis_tls,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
