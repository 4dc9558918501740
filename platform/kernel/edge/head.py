"""What the Edge reads of a request's head, in one pass."""

import random
import re
from collections.abc import Iterable
from typing import Final

from kernel.tokens import InvalidToken

_NAMES: Final = frozenset({b"authorization", b"x-request-id", b"if-none-match", b"content-length"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")


class Head:
    """Request id, credentials, conditions and length; `headers` are raw, with lower-case names."""

    __slots__ = ("_authorizations", "if_none_match", "length", "request_id")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._authorizations: list[bytes] = []
        self.request_id = ""
        self.if_none_match: bytes | None = None
        self.length = 0
        for name, value in headers:
            if name not in _NAMES:
                continue
            if name == b"authorization":
                self._authorizations.append(value)
            elif name == b"content-length":
                self.length = int(value) if value.isdigit() else 0
            elif name == b"if-none-match":
                self.if_none_match = (
                    value if self.if_none_match is None else self.if_none_match + b"," + value
                )
            elif not self.request_id and _REQUEST_ID.fullmatch(value):
                self.request_id = value.decode("ascii")
        if not self.request_id:
            self.request_id = f"{random.getrandbits(128):032x}"

    def token(self) -> str | None:
        """Return the bearer token, None where nothing was sent. Raises InvalidToken."""
        if not self._authorizations:
            return None
        scheme, _, token = self._authorizations[0].partition(b" ")
        if len(self._authorizations) > 1 or scheme.lower() != b"bearer":
            raise InvalidToken
        return token.strip().decode("latin-1")

    def has(self, etag: bytes) -> bool:
        """Whether the client has the answer with this strong ETag (RFC 9110, 13.1.2)."""
        sent = self.if_none_match
        if sent is None:
            return False
        if sent in (etag, b"*"):
            return True
        return any(one.strip().removeprefix(b"W/") == etag for one in sent.split(b","))
