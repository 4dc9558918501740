from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

State = Literal["queued", "running", "succeeded", "failed"]


class Paging(BaseModel):
    """Which page; a page past the end is empty."""

    page: int = Field(default=1, ge=1, le=1_000_000_000, description="counts from 1")
    page_size: int = Field(default=20, ge=1, le=100, description="runs on a page")
    state: State | None = Field(default=None, description="only runs in this state")


class JobRun(BaseModel):
    """A run: one execution of a job for one event or slot."""

    id: UUID
    job: str = Field(examples=["signup.send_welcome_email"])
    state: State
    attempts: int
    error: str | None = Field(
        description="of the last attempt", examples=["MailUnavailable: connect: refused"]
    )
    request_id: str | None = Field(examples=["0123456789abcdef0123456789abcdef"])
    queued_at: datetime = Field(description="when it was queued first")
    started_at: datetime | None = Field(description="when its last attempt began")
    finished_at: datetime | None
    duration_ms: int | None = Field(description="of its last attempt")
    replay_at: datetime | None = Field(description="when a failed run is performed again by itself")
