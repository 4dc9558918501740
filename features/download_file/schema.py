from datetime import datetime

from pydantic import BaseModel, Field

from kernel.errors import Conflict


class Download(BaseModel):
    """Where to download a file: whoever has the URL can read the file until `expires_at`."""

    url: str = Field(
        examples=["https://your-project.supabase.co/storage/v1/object/sign/files/…?token=…"]
    )
    expires_at: datetime


class FileNotReady(Conflict):
    """The file was not uploaded or checked yet, or it was rejected."""

    code = "FILE_NOT_READY"
    message = "This file is not ready: read its state first."
