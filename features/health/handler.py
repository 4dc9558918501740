import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.errors import ApiError
from kernel.readiness import Readiness
from kernel.supabase import AsService, AuthApi

from .schema import Health, NotReady


async def health(redis: Redis, auth: AuthApi, db: AsService) -> Health:
    """Return which parts answer at this moment."""
    redis_up, supabase_up = await asyncio.gather(_redis(redis), _supabase(auth, db))
    return Health(
        status="healthy" if redis_up and supabase_up else "degraded",
        redis="up" if redis_up else "down",
        supabase="up" if supabase_up else "down",
    )


async def readiness(state: Readiness, auth: AuthApi, db: AsService) -> None:
    """Return once this process may take requests; Redis is not asked, nothing depends on it.

    Raises NotReady.
    """
    if not state.checked and not state.draining:
        state.checked = await _supabase(auth, db)
    if not state.ready:
        raise NotReady


async def _redis(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (RedisError, OSError):
        return False


async def _supabase(auth: AuthApi, db: AsService) -> bool:
    """Ask Auth, and the database through PostgREST."""
    try:
        await asyncio.gather(auth.health(), db.rpc("alive"))
    except ApiError:
        return False
    return True
