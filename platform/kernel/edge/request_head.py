"""The request headers that the Edge needs, read in one pass."""

import random
import re
from collections.abc import Iterable
from typing import Final

from kernel.identity.tokens import InvalidToken

_NAMES: Final = frozenset(
    {
        b"authorization",
        b"content-length",
        b"host",
        b"if-match",
        b"if-none-match",
        b"origin",
        b"x-request-id",
    }
)
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
        "host",
        "if_match",
        "if_none_match",
        "length",
        "origin",
        "request_id",
        "sent_id",
    )

    def __init__(  # noqa: C901 - one pass; a call for each header would cost
        self, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self._authorizations: list[bytes] = []
        self.request_id = f"{random.getrandbits(128):032x}"
        self.sent_id: str | None = None
        self.host = b""
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
            elif name == b"authorization":
                self._authorizations.append(value)
            elif name == b"content-length":
                self.length = _number(value)
            elif name == b"if-none-match":
                conditions.append(value)
            elif name == b"if-match":
                self.if_match = (
                    value if self.if_match is None else b"%b,%b" % (self.if_match, value)
                )
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

    def matches(self, etag: bytes) -> bool:
        """Whether If-Match names this strong ETag (RFC 9110, 13.1.1)."""
        return any(one.strip() in {b"*", etag} for one in (self.if_match or b"").split(b","))


def _number(text: bytes) -> int:
    if not text.isdigit():
        return 0
    return int(text) if len(text) <= _LONGEST_NUMBER else _TOO_LONG
