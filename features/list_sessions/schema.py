from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class Paging(BaseModel):
    """Which page; a page past the end is empty."""

    page: int = Field(default=1, ge=1, le=1_000_000_000, description="counts from 1")
    page_size: int = Field(default=20, ge=1, le=100, description="sessions on a page")


class OwnSession(BaseModel):
    """A session of the caller, as the last login or refresh left it."""

    id: UUID
    created_at: datetime
    last_used_at: datetime = Field(description="the last login or refresh")
    address: str | None = Field(examples=["203.0.113.7"])
    device: str | None = Field(
        description="what the client calls itself (User-Agent), at most 200 characters",
        examples=["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
    )
    current: bool = Field(description="whether it is the session of this request")
