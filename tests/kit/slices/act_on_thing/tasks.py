import asyncio
import json
import os
import signal
import time
from typing import Any
from uuid import UUID

from kernel.config.settings import Settings
from kernel.jobs import Permanent, daily, every, job, minutes, seconds
from kernel.jobs.runs import Run
from kernel.supabase import AsService, SupabaseHttp

from ..shared.things import Thing, ThingPublished


@job(
    on=ThingPublished,
    once_per="thing_id",
    timeout=minutes(1),
    backoff=seconds(0.1),
    backoff_cap=seconds(0.5),
)
async def act(thing_id: UUID, db: AsService, run: Run) -> None:
    """Begin, then wait, fail or die as the thing's content says, and record one effect."""
    wish = await _wish(db, thing_id)
    if wish is None or wish.get("blocking"):
        return
    await _note(db, thing_id, "start", run)
    await asyncio.sleep(wish.get("sleep", 0))
    if wish.get("block", 0) >= run.attempt:
        time.sleep(60)  # noqa: ASYNC251 - it blocks the loop: that is the fault
    if wish.get("kill", 0) >= run.attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    if wish.get("kill_group", 0) >= run.attempt:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the worker with all its processes
    if wish.get("fail", 0) >= run.attempt:
        raise RuntimeError("as the thing wishes")
    if wish.get("permanent"):
        raise Permanent("as the thing wishes")
    if not (wish.get("once") and await _has_effect(db, thing_id)):
        await _note(db, thing_id, "effect", run)


@job(
    on=ThingPublished,
    once_per="thing_id",
    timeout=seconds(1),
    retries=1,
    backoff=seconds(0.1),
    queue="cpu",
)
def act_blocking(thing_id: UUID, settings: Settings, run: Run) -> None:
    """The same as a blocking job: it runs in the main thread, until its time limit."""
    wish = asyncio.run(_begin_blocking(thing_id, settings, run))
    if wish:
        time.sleep(wish.get("sleep", 0))
        asyncio.run(_end_blocking(thing_id, settings, run))


@job(schedule=every(seconds(5)), retries=0)
async def tick(db: AsService, slot: Any, run: Run) -> None:
    """Record one effect for each slot."""
    await db.table("effects").insert({"kind": "tick", "subject": str(slot)}).execute()


@job(schedule=daily("02:00"), timeout=minutes(9))
async def sweep() -> None:
    """Take long: the broker must not redeliver a message sooner."""


async def _begin_blocking(thing_id: UUID, settings: Settings, run: Run) -> dict[str, Any] | None:
    async with SupabaseHttp(settings) as http:
        wish = await _wish(AsService(http), thing_id)
        if wish is None or not wish.get("blocking"):
            return None
        await _note(AsService(http), thing_id, "start", run)
        return wish


async def _end_blocking(thing_id: UUID, settings: Settings, run: Run) -> None:
    async with SupabaseHttp(settings) as http:
        await _note(AsService(http), thing_id, "effect", run)


async def _wish(db: AsService, thing_id: UUID) -> dict[str, Any] | None:
    found = await db.table("things").select("*").eq("id", str(thing_id)).execute()
    content = Thing.model_validate(found.data[0]).content if found.data else ""
    return dict(json.loads(content)) if content.startswith("{") else None


async def _has_effect(db: AsService, thing_id: UUID) -> bool:
    table = db.table("effects").select("id").eq("kind", "effect").eq("subject", str(thing_id))
    return bool((await table.execute()).data)


async def _note(db: AsService, thing_id: UUID, kind: str, run: Run) -> None:
    row = {"kind": kind, "subject": str(thing_id), "attempt": run.attempt, "pid": os.getpid()}
    await db.table("effects").insert(row).execute()
