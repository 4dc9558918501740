"""Files, as the API returns them; their bytes are objects in Supabase Storage."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from kernel.errors import NotFound
from kernel.events import Event

BUCKET: Final = "files"
"""The bucket of the objects; an object's name is the file's id."""

MAX_FILE_BYTES: Final = 524_288_000
"""The largest file; bucket and table have the same limit."""

ContentType = Literal[
    "application/json",
    "application/octet-stream",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/zip",
    "audio/mpeg",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/svg+xml",
    "image/webp",
    "text/csv",
    "text/html",
    "text/plain",
    "video/mp4",
]
"""The types that a file may have."""

STORED_AS_STATED: Final = frozenset(
    {
        "application/json", "application/pdf", "application/zip", "audio/mpeg", "image/gif",
        "image/jpeg", "image/png", "image/webp", "text/csv", "text/plain", "video/mp4",
    }
)  # fmt: skip
"""Types that browsers only show. A file of another type, as html and svg, could run a script: its
object has the type UNKNOWN, which browsers save, whatever the URL says."""

UNKNOWN: Final = "application/octet-stream"


class File(BaseModel):
    """A file: requested (pending), uploaded (checking), and then ready or rejected."""

    id: UUID
    name: str = Field(examples=["Notes.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    size: int = Field(examples=[48_128], description="bytes")
    sha256: str | None = Field(
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        description="as the request stated it; that of the content once the file is ready",
    )
    state: Literal["pending", "checking", "ready", "rejected"]
    reason: (
        Literal["size", "content_type", "sha256", "malware", "not_scanned", "missing"] | None
    ) = Field(description="why it was rejected; null otherwise")
    owner_id: UUID
    created_at: datetime


class FileNotFound(NotFound):
    """The caller has no such file."""

    code = "FILE_NOT_FOUND"
    message = "You have no such file."


class FileChanged(Event):
    """A file was requested, uploaded, checked or deleted."""

    user_id: UUID
    file_id: UUID


class FileUploaded(Event):
    """The object of a file was stored, so that the file can be checked."""

    file_id: UUID


class FileDeleted(Event):
    """A file was deleted, by its owner or with its owner, so that its object has no use."""

    file_id: UUID
