from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.config import OwnSettings
from kernel.errors import NotFound, Permanent


class ExportSettings(OwnSettings):
    """EXPORT_MAX_MEGABYTES, and EXPORT_DAILY_USERS as a JSON list of ids."""

    export_max_megabytes: int = Field(default=200, ge=1, le=10_000)
    export_daily_users: tuple[UUID, ...] = ()


class ExportNotFound(NotFound):
    """The caller has no export with this id, or it has expired."""

    code = "EXPORT_NOT_FOUND"
    message = "You have no such export. It may have expired: ask for another one."


class ExportNotReady(NotFound):
    """The archive is not ready, so there is nothing to download."""

    code = "EXPORT_NOT_READY"
    message = "The export is not ready. Read its status first."


class ExportTooLarge(Permanent):
    """The data are larger than EXPORT_MAX_MEGABYTES: a retry would fail the same way."""


class Export(BaseModel):
    """How far an export is. A ready one has a URL, and the time when it is deleted."""

    id: UUID
    status: Literal["queued", "running", "ready", "failed"]
    download_url: str | None = Field(
        default=None,
        examples=["/api/v1/users/me/exports/6f1c1f0e-1c53-4a3c-8f56-0f6a1f5b8f0e/download"],
    )
    expires_at: datetime | None = None
