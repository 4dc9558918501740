"""Cursors: a place in a list, signed, so that clients can only send back what they were given.

A cursor is base64url (RFC 4648, 5) of 36 bytes: a version, the direction, the time in microseconds
since 1970, the id, and 10 bytes of an HMAC (RFC 2104). These are always 48 characters, and each
place has one spelling. The HMAC also covers the list and its filters: a cursor of another list is
invalid. It does not authorize anything: row security decides what a page shows.
"""

import hashlib
import hmac
import json
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kernel.core.derived_key import derived_key

PAGE_SIZE: Final = "page_size"
"""The parameter that is no filter: a client may change it from one page to the next."""

_LENGTH: Final = 48
_SPELLING: Final = re.compile(rf"[A-Za-z0-9_-]{{{_LENGTH}}}")
_VERSION: Final = 1
_PLACE: Final = struct.Struct(">BBq16s")
_MAC_BYTES: Final = 10
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


class Cursor(str):
    """The type of a cursor as a parameter, and in a response; `Cursors.open` verifies it."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            **handler(schema),
            "pattern": f"^{_SPELLING.pattern}$",
            "minLength": _LENGTH,
            "maxLength": _LENGTH,
            "examples": ["AQAABkTtX5gAAGuLpYkLTlSWkBcqXf0yP7m3nD1sVwJ8hQ4t"],
        }


class Place(NamedTuple):
    """A place in a list whose values come newest first: by time and id, both descending.

    A page begins beside it and goes on to older values or, with `backward`, to newer ones. `time`
    is in microseconds since 1970: a float would lose some of them.
    """

    time: int
    id: UUID
    backward: bool = False

    def turned(self) -> Self:
        """Return the place for the opposite direction, whose page begins with this place itself.

        For a page without values: the value at this place was the last one of the page before.
        """
        older, newer = self.id == _FIRST_ID, self.id == _LAST_ID
        if self.backward:
            time, number = self.time + newer, 0 if newer else self.id.int + 1
        else:
            time, number = self.time - older, _LAST_ID.int if older else self.id.int - 1
        return self._replace(time=time, id=UUID(int=number), backward=not self.backward)


class ListCursors:
    """The cursors of one list."""

    def __init__(self, name: str, keys: tuple[bytes, ...]) -> None:
        self._name, self._keys = name, keys

    @property
    def fingerprint(self) -> str:
        """What differs if the key does; it does not reveal the key."""
        return hashlib.sha256(b"fingerprint" + self._keys[0]).hexdigest()

    def write(self, place: Place, filters: Mapping[str, Any]) -> Cursor:
        """Return the cursor of a place in the list with these filters."""
        data = _PLACE.pack(_VERSION, place.backward, place.time, place.id.bytes)
        mac = self._mac(self._keys[0], data, filters)
        return Cursor(urlsafe_b64encode(data + mac).decode())

    def read(self, cursor: str, filters: Mapping[str, Any]) -> Place:
        """Return the place. Raises ValueError for what `write` did not return for these filters."""
        if not _SPELLING.fullmatch(cursor):
            raise ValueError("not a cursor")
        signed = urlsafe_b64decode(cursor)
        data, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, self._mac(key, data, filters)) for key in self._keys):
            raise ValueError("not a cursor of this list")
        version, backward, time, number = _PLACE.unpack(data)
        if version != _VERSION:
            raise ValueError("a cursor of another version")
        return Place(time, UUID(bytes=number), bool(backward))

    def _mac(self, key: bytes, data: bytes, filters: Mapping[str, Any]) -> bytes:
        scope = json.dumps([self._name, filters], sort_keys=True, default=str)
        return hmac.digest(key, data + scope.encode(), hashlib.sha256)[:_MAC_BYTES]


class CursorKeys:
    """The keys of all cursors, derived from secrets: the first one signs, all of them verify."""

    def __init__(self, *secrets: str) -> None:
        self._keys = tuple(derived_key(one, "cursors") for one in secrets)

    def of(self, name: str) -> ListCursors:
        """Return the cursors of the list of this name."""
        return ListCursors(name, self._keys)
