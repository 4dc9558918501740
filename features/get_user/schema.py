from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class Profile(BaseModel):
    """What every user may know of another."""

    id: UUID
    display_name: str | None = Field(examples=["Ada Lovelace"])
    created_at: datetime
