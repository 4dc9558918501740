"""Keep reads that load as slowly as a test wishes, and count their loads in the database."""

import asyncio
import json
import os
from uuid import UUID

from fastapi import APIRouter

from features.shared.posts import Post, PostChanged, PostNotFound
from kernel import Feature
from kernel.cache import Cached, everyone, minutes, seconds
from kernel.http import Answer, Services
from kernel.supabase import AsService

LONG = Cached("long-post:{post_id}", ttl=minutes(9), audience=everyone, drop_on=(PostChanged,))
SHORT = Cached(
    "short-post:{post_id}",
    ttl=seconds(2),
    stale=seconds(4),
    audience=everyone,
    drop_on=(PostChanged,),
)

router = APIRouter(tags=["tests"])


@router.get("/long-posts/{post_id}")
@LONG.serves
async def long_post(post_id: UUID, services: Services) -> Answer[str]:
    """Answer a post's title: it does not grow old within a test."""
    return Answer(await _load(await services.aget(AsService), post_id))


@router.get("/short-posts/{post_id}")
@SHORT.serves
async def short_post(post_id: UUID, services: Services) -> Answer[str]:
    """Answer a post's title: it is old after 2 s, and gone after another 4."""
    return Answer(await _load(await services.aget(AsService), post_id))


async def _load(db: AsService, post_id: UUID) -> str:
    found = await db.table("posts").select("*").eq("id", str(post_id)).execute()
    if not found.data:
        raise PostNotFound(post_id=post_id)
    post = Post.model_validate(found.data[0])
    row = {"kind": "load", "subject": str(post_id), "pid": os.getpid()}
    await db.table("effects").insert(row).execute()
    wish = json.loads(post.content)
    # A process that is to be killed in its load is told to take longer than all others.
    await asyncio.sleep(float(os.environ.get("LOAD_SECONDS") or wish.get("load", 0)))
    return post.title


feature = Feature(router=router, caller="ignored")
