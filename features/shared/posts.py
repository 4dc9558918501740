"""Posts, as the API returns them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import NotFound
from kernel.events import Event


class Post(BaseModel):
    """A post; an unpublished one is a draft, which only its author can see."""

    id: UUID
    title: str = Field(examples=["Notes on the Analytical Engine"])
    content: str = Field(examples=["It weaves algebraic patterns."])
    published: bool
    author_id: UUID
    created_at: datetime
    updated_at: datetime


class ListedPost(Post):
    """A post on a page: of a long content its first 2,000 characters."""

    content_truncated: bool = Field(
        default=False,
        exclude_if=lambda truncated: not truncated,
        description="true where the post goes on: read it alone",
    )


class PostNotFound(NotFound):
    """There is no such post, or it is another user's draft."""

    code = "POST_NOT_FOUND"
    message = "This post does not exist."


class PostChanged(Event):
    """A post was written, changed or deleted."""

    post_id: UUID


class PostPublished(Event):
    """A post was published for the first time."""

    post_id: UUID
    author_id: UUID
