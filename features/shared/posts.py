"""Posts, as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from kernel.errors import NotFound


class Post(BaseModel):
    """A post; one that is not published is a draft, which exists for its author alone."""

    id: UUID
    title: str
    content: str
    published: bool
    author_id: UUID
    created_at: datetime
    updated_at: datetime


class PostNotFound(NotFound):
    """There is no such post, or it is somebody else's draft."""

    code = "POST_NOT_FOUND"
    message = "This post does not exist."
