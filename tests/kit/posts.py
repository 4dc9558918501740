"""Posts, inserted through PostgREST as their author."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from kit.own_database import OwnDatabase
from kit.people import Person
from kit.system import System


@dataclass(frozen=True, kw_only=True)
class StoredPost:
    """A post as it is stored."""

    id: UUID
    title: str
    content: str
    published: bool
    author_id: UUID


NewPost = Callable[..., Awaitable[StoredPost]]


@pytest.fixture
def new_post(supabase: httpx.AsyncClient, drop_reads: Callable[[], None]) -> NewPost:
    """Makes posts: `await new_post(author, published=True, title="…")`."""

    async def insert(by: Person, **fields: Any) -> StoredPost:
        body = {"title": "A post", "content": "Its content.", "published": True} | fields
        headers = {"Authorization": f"Bearer {by.token}", "Prefer": "return=representation"}
        answer = await supabase.post("/rest/v1/posts", json=body, headers=headers)
        row = answer.raise_for_status().json()[0]
        drop_reads()
        return StoredPost(
            id=UUID(row["id"]),
            title=row["title"],
            content=row["content"],
            published=row["published"],
            author_id=UUID(row["author_id"]),
        )

    return insert


@pytest.fixture
def read_post(supabase: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any] | None]]:
    """Reads a post past the API, as a person sees it: `await read_post(id, stranger)`."""

    async def read(post_id: object, by: Person | None = None) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {by.token}"} if by else {}
        found = await supabase.get(f"/rest/v1/posts?id=eq.{post_id}", headers=headers)
        rows: list[dict[str, Any]] = found.raise_for_status().json()
        return rows[0] if rows else None

    return read


@pytest.fixture
def list_posts(supabase: httpx.AsyncClient) -> Callable[..., Awaitable[set[str]]]:
    """Returns the ids on the first page that everyone sees: `await list_posts(stranger)`."""

    async def read(by: Person | None = None) -> set[str]:
        headers = {"Authorization": f"Bearer {by.token}"} if by else {}
        body = {"page": 1, "page_size": 100, "published_only": True}
        found = await supabase.post("/rest/v1/rpc/list_posts", json=body, headers=headers)
        return {post["id"] for post in found.raise_for_status().json()["posts"]}

    return read


@pytest.fixture
async def post(author: Person, new_post: NewPost) -> StoredPost:
    """A published post of the author."""
    return await new_post(author)


@pytest.fixture
async def draft(author: Person, new_post: NewPost) -> StoredPost:
    """A draft of the author."""
    return await new_post(author, published=False)


async def store_post(own: OwnDatabase, author: UUID, *, published: bool = True) -> UUID:
    """Store a post, without any API."""
    found = await own.sql.fetchval(
        "insert into public.posts (title, content, published, author_id) "
        "values ('A post', '', $1, $2) returning id",
        published,
        author,
    )
    return UUID(str(found))


async def store_published(system: System, author: UUID) -> UUID:
    """Store a published post in a system, without any API."""
    rows = await system.fetch(
        "insert into public.posts (title, content, published, author_id) "
        "values ('A post', '', true, $1) returning id",
        author,
    )
    return UUID(str(rows[0]["id"]))
