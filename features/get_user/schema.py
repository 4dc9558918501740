from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class Profile(BaseModel):
    """What every user may know of another."""

    id: UUID
    display_name: str | None
    created_at: datetime
