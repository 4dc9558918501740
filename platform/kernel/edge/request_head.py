"""The request headers that the Edge needs, read in one pass."""

import random
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from kernel.errors import UnsupportedMediaType
from kernel.identity.tokens import InvalidToken

_NAMES: Final = frozenset(
    {
        b"accept",
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"if-match",
        b"if-none-match",
        b"origin",
        b"transfer-encoding",
        b"x-forwarded-proto",
        b"x-request-id",
    }
)
_JSON_TYPE: Final = re.compile(rb"application/(?:[\w.+-]{1,100}\+)?json\s*(?:;|$)", re.IGNORECASE)
_NO_QUALITY: Final = re.compile(rb"q=0(?:\.0{0,3})?")
_LONGEST_NUMBER: Final = 18  # digits: int() refuses thousands of them, and 10^18 bytes are enough
_TOO_LONG: Final = 10**_LONGEST_NUMBER
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")


class RequestHead:
    """Request id, credentials, conditions and length; `headers` are raw, with lower-case names.

    `request_id` is ours; `sent_id` is what the caller sent as X-Request-ID, None without one.
    `host` is empty if the header is missing or repeated; `origin` is the Origin header.
    """

    __slots__ = (
        "_authorizations",
        "_chunked",
        "accept",
        "content_type",
        "host",
        "if_match",
        "if_none_match",
        "length",
        "origin",
        "plain",
        "request_id",
        "sent_id",
    )

    def __init__(  # noqa: C901, PLR0912 - one pass; a call for each header would cost
        self, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self._authorizations: list[bytes] = []
        self.request_id = f"{random.getrandbits(128):032x}"
        self.sent_id: str | None = None
        self.host = b""
        self.accept: bytes | None = None
        self.content_type = b""
        self._chunked = self.plain = False
        self.if_match: bytes | None = None
        self.if_none_match: bytes | None = None
        self.length = 0
        self.origin: bytes | None = None
        hosts, conditions = 0, []
        for name, value in headers:
            if name not in _NAMES:
                continue
            if name == b"host":
                self.host, hosts = value, hosts + 1
            elif name == b"accept":
                self.accept = value if self.accept is None else self.accept + b"," + value
            elif name == b"authorization":
                self._authorizations.append(value)
            elif name == b"content-length":
                self.length = _number(value)
            elif name == b"if-none-match":
                conditions.append(value)
            elif name == b"if-match":
                self.if_match = value if self.if_match is None else self.if_match + b"," + value
            elif name == b"content-type":
                self.content_type = value
            elif name == b"x-forwarded-proto":
                self.plain = value.strip().lower() == b"http"
            elif name == b"transfer-encoding":
                self._chunked = True
            elif name == b"origin":
                self.origin = value
            elif self.sent_id is None and _REQUEST_ID.fullmatch(value):
                self.sent_id = value.decode("ascii")
        if hosts > 1:
            self.host = b""
        if conditions:
            self.if_none_match = conditions[0] if len(conditions) == 1 else b",".join(conditions)

    def token(self) -> str | None:
        """Return the bearer token, None if there is none. Raises InvalidToken."""
        if not self._authorizations:
            return None
        scheme, _, token = self._authorizations[0].partition(b" ")
        if len(self._authorizations) > 1 or scheme.lower() != b"bearer":
            raise InvalidToken
        return token.strip().decode("latin-1")

    def has(self, etag: bytes) -> bool:
        """Whether the client has the response with this strong ETag (RFC 9110, 13.1.2)."""
        sent = self.if_none_match
        if sent is None:
            return False
        if sent in (etag, b"*"):
            return True
        return any(one.strip().removeprefix(b"W/") == etag for one in sent.split(b","))

    def takes_json(self) -> bool:
        """Whether the Accept header, if there is one, allows JSON (RFC 9110, 12.5.1)."""
        return self.accept is None or _takes_json(self.accept)

    def refuse_other_bodies(self) -> None:
        """Raise UnsupportedMediaType for a body that is not JSON by its Content-Type."""
        if (self.length or self._chunked) and not _JSON_TYPE.match(self.content_type):
            raise UnsupportedMediaType

    def matches(self, etag: bytes) -> bool:
        """Whether If-Match names this strong ETag (RFC 9110, 13.1.1)."""
        return any(one.strip() in {b"*", etag} for one in (self.if_match or b"").split(b","))


@lru_cache(256)
def _takes_json(accept: bytes) -> bool:
    ranges = dict[bytes, bool]()
    for one in accept.lower().split(b","):
        name, _, parameters = one.partition(b";")
        refused = any(_NO_QUALITY.fullmatch(part.strip()) for part in parameters.split(b";"))
        ranges[name.strip()] = not refused
    for name in (b"application/json", b"application/*", b"*/*"):
        if name in ranges:
            return ranges[name]
    return not any(ranges)  # an empty header allows everything


def _number(text: bytes) -> int:
    if not text.isdigit():
        return 0
    return int(text) if len(text) <= _LONGEST_NUMBER else _TOO_LONG
