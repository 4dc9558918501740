"""What is wrong with an uploaded file."""

import codecs
from dataclasses import dataclass
from typing import Final

from features.shared.files import STORED_AS_STATED, UNKNOWN, File

FIRST_BYTES: Final = 4096
"""How many bytes the check of the type needs, if there are as many."""

_ZIP: Final = ((0, b"PK\x03\x04"),)
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
# Any of these alternatives: bytes at a place, all of them.
_SIGNATURES: Final[dict[str, tuple[tuple[tuple[int, bytes], ...], ...]]] = {
    "application/pdf": (((0, b"%PDF-"),),),
    "application/zip": (_ZIP, ((0, b"PK\x05\x06"),)),  # the second one is an empty archive
    "audio/mpeg": tuple(((0, one),) for one in (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")),
    "image/gif": (((0, b"GIF87a"),), ((0, b"GIF89a"),)),
    "image/jpeg": (((0, b"\xff\xd8\xff"),),),
    "image/png": (((0, b"\x89PNG\r\n\x1a\n"),),),
    "image/webp": (((0, b"RIFF"), (8, b"WEBP")),),
    "video/mp4": (((4, b"ftyp"),),),
}
_TEXTS: Final = frozenset({"application/json", "image/svg+xml"})


@dataclass(frozen=True, kw_only=True)
class Content:
    """What was read of an object: the type that Storage states, bytes, first bytes, checksum."""

    stored_as: str
    size: int
    first: bytes
    sha256: str
    malware: str | None


def fault(file: File, content: Content) -> str | None:
    """Return the first reason to reject the file, or None."""
    stored_as = file.content_type if file.content_type in STORED_AS_STATED else UNKNOWN
    reasons = {
        "size": content.size != file.size,
        "content_type": content.stored_as != stored_as
        or not _looks_like(file.content_type, content.first),
        "sha256": file.sha256 not in {None, content.sha256},
        "malware": content.malware is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _looks_like(content_type: str, first: bytes) -> bool:
    """Return whether content that begins with these bytes may be of a type.

    Texts are UTF-8 without NUL. Types without signature may be anything: they are stored as bytes.
    """
    if content_type.startswith("text/") or content_type in _TEXTS:
        return _is_text(first)
    signatures = _SIGNATURES.get(content_type)
    if content_type.startswith(_OFFICE):
        signatures = (_ZIP,)
    if signatures is None:
        return True
    return any(
        all(first[place : place + len(part)] == part for place, part in one) for one in signatures
    )


def _is_text(first: bytes) -> bool:
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
