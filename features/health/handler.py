import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.observe import Pings, Readiness
from kernel.supabase import Agreement, Probe

from .schema import Health, NotReady


async def health(redis: Redis, supabase: Probe, outside: Pings) -> Health:
    """Return which services answer now."""
    redis_up, supabase_up, others = await asyncio.gather(
        _answers(redis), supabase.up(), outside.up()
    )
    return Health(
        status="healthy" if redis_up and supabase_up and all(others.values()) else "degraded",
        redis="up" if redis_up else "down",
        supabase="up" if supabase_up else "down",
        adapters={name: "up" if up else "down" for name, up in others.items()} or None,
    )


async def readiness(state: Readiness, supabase: Probe, agreement: Agreement) -> None:
    """Return if this process accepts requests; Redis is not checked, because it is optional.

    At first the settings must fit the project, too: the log says what does not.

    Raises NotReady.
    """
    if not state.checked and not state.draining:
        state.checked = await agreement.reached() and await supabase.up()
    if not state.ready:
        raise NotReady


async def _answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (RedisError, OSError):
        return False
