from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class Profile(BaseModel):
    """The part of a user that every user may see."""

    id: UUID
    display_name: str | None = Field(examples=["Ada Lovelace"])
    created_at: datetime
