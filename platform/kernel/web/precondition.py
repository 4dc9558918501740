"""Conditional writes: If-Match, If-None-Match and If-Unmodified-Since (RFC 9110, 13)."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, Self

import orjson

from kernel.cache.stored import etag_of
from kernel.errors import PreconditionFailed
from kernel.web.call import Call

_OK = 200


class _Query(Protocol):
    def eq(self, column: str, value: Any) -> Self: ...
    def is_(self, column: str, value: Any) -> Self: ...
    async def execute(self) -> Any: ...


class Precondition:
    """The conditions that the client states for this write; a service of conditional slices.

    They are compared with what a GET of the same path answers this caller now: a resource that has
    no GET has no ETag, and meets no If-Match.
    """

    def __init__(self, call: Call) -> None:
        self._current, self._judged = call.current, False
        self._holds, self._data = True, dict[str, Any]()
        sent = [(name, value.decode("latin-1").strip()) for name, value in call.headers]
        self._match = _tags(sent, b"if-match")
        self._none_match = _tags(sent, b"if-none-match")
        # A date counts only without If-Match, and is ignored if it is none (13.1.4, 13.2.2).
        dates = [value for name, value in sent if name == b"if-unmodified-since"]
        self._since = _date(dates[0]) if len(dates) == 1 and self._match is None else None
        self.stated = (self._match, self._none_match, self._since) != (None, None, None)
        """Whether there are any."""

    async def require(self) -> None:
        """Raise PreconditionFailed unless they hold: for a write that no query does."""
        if self.stated and not await self._hold():
            raise PreconditionFailed

    async def on(self, query: _Query, *columns: str) -> list[dict[str, Any]]:
        """Run a change of one row, and return the changed rows: none if the conditions fail.

        The columns, by the names that they have in the response, tell one version of the row from
        all others, such as `updated_at`: the change finds only the version that was compared. So
        check and write are one statement.
        """
        if self.stated:
            if not await self._hold():
                return []
            for column in columns if self._data else ():
                value = self._data[column]
                query = query.is_(column, "null") if value is None else query.eq(column, value)
        rows: list[dict[str, Any]] = (await query.execute()).data
        return rows

    async def _hold(self) -> bool:
        if not self._judged:
            self._judged, self._holds = True, await self._judge()
        return self._holds

    async def _judge(self) -> bool:
        found = await self._current() if self._current is not None else None
        if found is None or found.status != _OK:
            return self._match is None
        own = [value for name, value in found.headers if name == b"etag"]
        etag = (own[0] if own else etag_of(found.body)).decode("latin-1")
        self._data = orjson.loads(found.body)["data"]
        if self._match is not None and not {"*", etag} & self._match:
            return False
        if self._since is not None and "updated_at" in self._data:
            changed = datetime.fromisoformat(self._data["updated_at"])
            if changed.replace(microsecond=0) > self._since:
                return False
        weak = {one.removeprefix("W/") for one in self._none_match or ()}
        return not {"*", etag} & weak


def _tags(sent: list[tuple[bytes, str]], header: bytes) -> frozenset[str] | None:
    lines = [value for name, value in sent if name == header]
    return frozenset(one.strip() for line in lines for one in line.split(",")) if lines else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
