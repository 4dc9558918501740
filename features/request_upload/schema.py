from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictInt

from features.shared.files import MAX_FILE_BYTES, ContentType, File
from kernel.errors import Conflict
from kernel.web import Body, Line, invalid

_SEPARATORS: Final = frozenset("/\\")


def _no_path(name: str) -> str:
    if _SEPARATORS & set(name):
        raise invalid("A name has no / and no \\: it is the name of a file, not a path.")
    return name


class NewFile(Body):
    """What will be uploaded. A check compares it with the content."""

    name: Annotated[
        Line, Field(min_length=1, max_length=200, examples=["Notes.pdf"]), AfterValidator(_no_path)
    ]
    content_type: ContentType = Field(examples=["application/pdf"])
    size: StrictInt = Field(ge=1, le=MAX_FILE_BYTES, examples=[48_128], description="bytes")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="of the content, in lower case; if it differs, the file is rejected",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )


class ResumableUpload(BaseModel):
    """Where to upload by TUS 1.0, for large files: what is sent stays sent.

    `headers` go with each request, `metadata` is for `Upload-Metadata`.
    """

    url: str = Field(examples=["https://your-project.supabase.co/storage/v1/upload/resumable/sign"])
    headers: dict[str, str] = Field(examples=[{"x-signature": "the-token"}])
    metadata: dict[str, str] = Field(
        examples=[
            {
                "bucketName": "files",
                "objectName": "6f1c1f0e-1c53-4a3c-8f56-0f6a1f5b8f0e",
                "contentType": "application/pdf",
            }
        ]
    )


class Upload(BaseModel):
    """Where to send the bytes, once: `method` to `url` with `headers`, or in parts."""

    file: File
    method: Literal["PUT"] = "PUT"
    url: str = Field(
        examples=["https://your-project.supabase.co/storage/v1/object/upload/sign/files/…?token=…"]
    )
    headers: dict[str, str] = Field(examples=[{"content-type": "application/pdf"}])
    resumable: ResumableUpload
    expires_at: datetime = Field(description="until then the upload must begin")


class UploadOver(Conflict):
    """A repeated request finds its file uploaded or deleted."""

    code = "UPLOAD_OVER"
    message = "This file was uploaded or deleted already: ask again with a new Idempotency-Key."
