import asyncio
import json
import os
import signal
import time
from typing import Any
from uuid import UUID

from features.shared.posts import Post, PostPublished
from kernel.jobs import Permanent, every, job, minutes, seconds
from kernel.jobs.runs import Run
from kernel.settings import Settings
from kernel.supabase import AsService, SupabaseHttp


@job(
    on=PostPublished,
    once_per="post_id",
    timeout=minutes(1),
    backoff=seconds(0.1),
    backoff_cap=seconds(0.5),
)
async def act(post_id: UUID, db: AsService, run: Run) -> None:
    """Begin, wait, fail or die as the post's content says, and leave one effect."""
    wish = await _wish(db, post_id)
    if wish is None or wish.get("blocking"):
        return
    await _note(db, post_id, "start", run)
    await asyncio.sleep(wish.get("sleep", 0))
    if wish.get("kill", 0) >= run.attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    if wish.get("fail", 0) >= run.attempt:
        raise RuntimeError("as the post wishes")
    if wish.get("permanent"):
        raise Permanent("as the post wishes")
    await _note(db, post_id, "effect", run)


@job(
    on=PostPublished,
    once_per="post_id",
    timeout=seconds(1),
    retries=1,
    backoff=seconds(0.1),
    queue="cpu",
)
def act_blocking(post_id: UUID, settings: Settings, run: Run) -> None:
    """The same without an event loop: it works in the main thread, until its time limit."""
    wish = asyncio.run(_begin_blocking(post_id, settings, run))
    if wish:
        time.sleep(wish.get("sleep", 0))
        asyncio.run(_end_blocking(post_id, settings, run))


@job(schedule=every(seconds(5)), retries=0)
async def tick(db: AsService, slot: Any, run: Run) -> None:
    """Leave one effect for each slot."""
    await db.table("effects").insert({"kind": "tick", "subject": str(slot)}).execute()


async def _begin_blocking(post_id: UUID, settings: Settings, run: Run) -> dict[str, Any] | None:
    async with SupabaseHttp(settings) as http:
        wish = await _wish(AsService(http), post_id)
        if wish is None or not wish.get("blocking"):
            return None
        await _note(AsService(http), post_id, "start", run)
        return wish


async def _end_blocking(post_id: UUID, settings: Settings, run: Run) -> None:
    async with SupabaseHttp(settings) as http:
        await _note(AsService(http), post_id, "effect", run)


async def _wish(db: AsService, post_id: UUID) -> dict[str, Any] | None:
    found = await db.table("posts").select("*").eq("id", str(post_id)).execute()
    content = Post.model_validate(found.data[0]).content if found.data else ""
    return dict(json.loads(content)) if content.startswith("{") else None


async def _note(db: AsService, post_id: UUID, kind: str, run: Run) -> None:
    row = {"kind": kind, "subject": str(post_id), "attempt": run.attempt, "pid": os.getpid()}
    await db.table("effects").insert(row).execute()
