"""What lies in Redis under the key of a cached read: a header of fixed size, then the body.

The header holds a mark of the format, a check sum of all that follows (a value that is cut off or
of another make is none), the kind, the time when it is old, the ETag, and the stamps.
"""

import hashlib
import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

_MARK: Final = b"cached:1"
_HEADER: Final = struct.Struct("<8sIBdB34s")
_UNCHECKED: Final = 12  # the mark, and the check sum itself
STAMP_BYTES: Final = 16


class Kind(IntEnum):
    """What a value says of the read."""

    BODY = 1
    MISSING = 2  # the body is that of the 404
    TOO_LARGE = 3  # it is not stored: do not wait for who loads it


_KINDS: Final = {int(kind): kind for kind in Kind}  # a look-up takes a third of Kind(…)


class Stored(NamedTuple):
    """A value; `old_at` is in seconds since 1970."""

    kind: Kind
    body: bytes
    etag: bytes
    old_at: float


def etag_of(body: bytes) -> bytes:
    """Return the strong ETag of a body (RFC 9110, 8.8.3): 128 bits of BLAKE2b, 34 bytes."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def pack(value: Stored, stamps: tuple[bytes, ...]) -> bytes:
    """Return the bytes to store; each stamp has 16 bytes."""
    rest = (value.kind, value.old_at, len(stamps), value.etag)
    tail = b"".join((*stamps, value.body))
    check = zlib.crc32(_HEADER.pack(_MARK, 0, *rest)[_UNCHECKED:] + tail)
    return _HEADER.pack(_MARK, check, *rest) + tail


def unpack(data: bytes, stamps: bytes) -> Stored | None:
    """Return the value, where it was stored under just these stamps (joined), else None."""
    end = _HEADER.size + len(stamps)
    if len(data) < end:
        return None
    mark, check, number, old_at, count, etag = _HEADER.unpack_from(data)
    if mark != _MARK or zlib.crc32(data[_UNCHECKED:]) != check:
        return None
    kind = _KINDS.get(number)
    if kind is None or count * STAMP_BYTES != len(stamps) or data[_HEADER.size : end] != stamps:
        return None
    return Stored(kind, data[end:], etag, old_at)
