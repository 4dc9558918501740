"""The format of a cached value in Redis: a header of fixed size, then the body.

The header holds a format mark, a checksum of everything after it (a truncated or foreign value is
ignored), the kind, the time when the value becomes old, the ETag, and the tag versions.
"""

import hashlib
import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

_MARK: Final = b"cached:1"
_HEADER: Final = struct.Struct("<8sIBdB34s")
_UNCHECKED: Final = 12  # the mark, and the checksum itself
VERSION_BYTES: Final = 16


class Kind(IntEnum):
    """The kind of a cached value."""

    BODY = 1
    MISSING = 2  # the body is that of the 404
    TOO_LARGE = 3  # the response is too large to store: do not wait for its loader


_KINDS: Final = {int(kind): kind for kind in Kind}  # a lookup takes a third of the time of Kind(…)


class Stored(NamedTuple):
    """A value; `old_at` is in seconds since 1970."""

    kind: Kind
    body: bytes
    etag: bytes
    old_at: float


def etag_of(body: bytes) -> bytes:
    """Return the strong ETag of a body (RFC 9110, 8.8.3): 128 bits of BLAKE2b, 34 bytes."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def pack(value: Stored, versions: tuple[bytes, ...]) -> bytes:
    """Return the bytes to store; each tag version has 16 bytes."""
    rest = (value.kind, value.old_at, len(versions), value.etag)
    tail = b"".join((*versions, value.body))
    check = zlib.crc32(_HEADER.pack(_MARK, 0, *rest)[_UNCHECKED:] + tail)
    return _HEADER.pack(_MARK, check, *rest) + tail


def unpack(data: bytes, versions: bytes) -> Stored | None:
    """Return the value if it was stored under exactly these tag versions (joined), else None."""
    end = _HEADER.size + len(versions)
    if len(data) < end:
        return None
    mark, check, number, old_at, count, etag = _HEADER.unpack_from(data)
    if mark != _MARK or zlib.crc32(data[_UNCHECKED:]) != check:
        return None
    kind = _KINDS.get(number)
    if (
        kind is None
        or count * VERSION_BYTES != len(versions)
        or data[_HEADER.size : end] != versions
    ):
        return None
    return Stored(kind, data[end:], etag, old_at)
