"""Read and write the benchmark's posts, which the application does not use."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel

from kernel import Feature
from kernel.cache import Announce, Cached, everyone, minutes
from kernel.errors import NotFound
from kernel.events import Event
from kernel.supabase import AsCaller
from kernel.web import Answer, Services


class BenchPost(BaseModel):
    """A post with the format and size of an application's."""

    id: UUID
    title: str
    content: str
    published: bool
    author_id: UUID
    created_at: datetime
    updated_at: datetime


class NewBenchPost(BaseModel):
    """The content of a new post."""

    title: str
    content: str
    published: bool


class BenchPostChanged(Event):
    """A post of the benchmark was written."""

    post_id: UUID


POST = Cached(
    "bench:{post_id}", ttl=minutes(30), audience=everyone, drop_on=(BenchPostChanged,)
)  # fmt: skip

router = APIRouter()


@router.get("/bench/posts/{post_id}")
@POST.serves
async def read(post_id: UUID, services: Services) -> Answer[BenchPost]:
    """Read one post."""
    db = await services.aget(AsCaller)
    found = await db.table("bench_posts").select("*").eq("id", str(post_id)).limit(1).execute()
    if not found.data:
        raise NotFound
    return Answer(BenchPost.model_validate(found.data[0]))


@router.post("/bench/posts", status_code=status.HTTP_201_CREATED)
async def write(new: NewBenchPost, services: Services) -> Answer[BenchPost]:
    """Write one post, as the caller."""
    db, announce = await services.aget(AsCaller, Announce)
    created = await db.table("bench_posts").insert(new.model_dump()).execute()
    post = BenchPost.model_validate(created.data[0])
    await announce(BenchPostChanged(post_id=post.id))
    return Answer(post)


feature = Feature(router=router, caller="optional")
