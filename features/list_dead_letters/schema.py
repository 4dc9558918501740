from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

State = Literal["waiting", "replayed", "discarded"]


class Paging(BaseModel):
    """Which page; a page past the end is empty."""

    page: int = Field(default=1, ge=1, le=1_000_000_000, description="counts from 1")
    page_size: int = Field(default=20, ge=1, le=100, description="dead letters on a page")
    state: State = Field(default="waiting", description="`waiting` for somebody to look at it")


class DeadLetter(BaseModel):
    """A run of a job that failed, or a message that no worker can read."""

    id: UUID = Field(description="the id of the run")
    job: str | None = Field(
        description="null: the message cannot be read", examples=["signup.send_welcome_email"]
    )
    topic: str | None = Field(
        description="the event; null if it is archived", examples=["user_confirmed"]
    )
    arguments: dict[str, Any] | None = Field(
        description="the ids in the event",
        examples=[{"user_id": "6f1c1f0e-1c53-4a3c-8f56-0f6a1f5b8f0e"}],
    )
    error: str = Field(examples=["MailRefused: 550 no such mailbox"])
    attempts: int
    request_id: str | None = Field(examples=["0123456789abcdef0123456789abcdef"])
    first_at: datetime = Field(description="when the run was queued first")
    last_at: datetime = Field(description="when it failed last")
    state: State
    settled_at: datetime | None = Field(description="when it was replayed or discarded")
    replay_at: datetime | None = Field(
        description="when it is performed again by itself, if its cause may pass by itself"
    )
