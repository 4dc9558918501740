import asyncio
import hashlib
import os
import random
from datetime import datetime
from typing import Final

from kernel.config.settings import Settings
from kernel.jobs import every, job, seconds
from kernel.jobs.runs import Run
from kernel.supabase import AsService, SupabaseHttp

from ..shared.asked import SoakMailAsked, SoakSumAsked, SoakWelcomeAsked

_LONGEST_WAIT: Final = 0.2
_ROUNDS: Final = 20_000


@job(on=SoakMailAsked, timeout=seconds(20), backoff=seconds(0.2), backoff_cap=seconds(2))
async def mail(number: int, db: AsService, run: Run) -> None:
    """Wait as for a mail server, then have one effect."""
    await _act(db, run, f"mail/{number}")


@job(
    on=SoakSumAsked,
    queue="cpu",
    timeout=seconds(20),
    backoff=seconds(0.2),
    backoff_cap=seconds(2),
)
def compute(number: int, settings: Settings, run: Run) -> None:
    """Compute in the main thread, then have one effect."""
    hashlib.pbkdf2_hmac("sha256", b"soak", str(number).encode(), _ROUNDS)
    asyncio.run(_compute(number, settings, run))


@job(
    on=SoakWelcomeAsked,
    once_per="number",
    timeout=seconds(20),
    backoff=seconds(0.2),
    backoff_cap=seconds(2),
)
async def welcome(number: int, db: AsService, run: Run) -> None:
    """Have one effect for a number, for however many events."""
    await _act(db, run, f"welcome/{number}")


@job(schedule=every(seconds(2)), timeout=seconds(20), backoff=seconds(0.2), backoff_cap=seconds(2))
async def tick(slot: datetime, db: AsService, run: Run) -> None:
    """Have one effect for each slot."""
    await _act(db, run, f"tick/{slot.isoformat()}")


async def _compute(number: int, settings: Settings, run: Run) -> None:
    async with SupabaseHttp(settings) as http:
        await _act(AsService(http), run, f"compute/{number}")


async def _act(db: AsService, run: Run, subject: str) -> None:
    """Record the start, wait, and call the effect with the run's id as its idempotency key."""
    await db.rpc(
        "soak_start", subject=subject, key=str(run.id), attempt=run.attempt, pid=os.getpid()
    )
    await asyncio.sleep(random.uniform(0, _LONGEST_WAIT))  # noqa: S311 - no secret
    await db.rpc("soak_effect", subject=subject, key=str(run.id))
