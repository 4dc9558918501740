"""Inserts that a client may repeat: the database keeps the first one's row by the request's key."""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from postgrest import APIError, APIResponse
from postgrest._async.request_builder import (
    AsyncRequestBuilder,
    AsyncSelectRequestBuilder,
    ReqConfig,
)

from kernel.errors import ApiError

log = logging.getLogger(__name__)

_USED = "PT409"
_MESSAGE = "IDEMPOTENCY_KEY_USED"  # raised by the trigger idempotency.claim
_PROTECTED: Final[set[str]] = set()  # tables that this process has seen keep a key


class IdempotencyKeyReused(ApiError):
    """The caller has used this Idempotency-Key for another request in the last 24 hours."""

    status = 422
    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key belongs to another request: use a new key for a new request."


@dataclass(slots=True)
class IdempotencyKey:
    """The key that a client sent: `fingerprint` is its request's, `replayed` says it was known."""

    slice: str
    key: str
    fingerprint: str
    replayed: bool = field(default=False, compare=False)

    @property
    def headers(self) -> dict[str, str]:
        """What the database reads."""
        return {
            "Idempotency-Key": self.key,
            "X-Idempotency-Slice": self.slice,
            "X-Idempotency-Fingerprint": self.fingerprint,
        }

    def stored(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Return the row of the first request. Raises IdempotencyKeyReused if it was another."""
        if kept["fingerprint"] != self.fingerprint:
            message = "This key was used for another request."
            raise IdempotencyKeyReused(
                fields=[{"field": "header.Idempotency-Key", "message": message}]
            )
        self.replayed = True
        row: dict[str, Any] = kept["row"]
        return row


class RepeatableTable(AsyncRequestBuilder):
    """A table whose `insert` returns the row of the first request with the same key."""

    key: IdempotencyKey
    replay: Callable[[], Awaitable[Any]]

    @classmethod
    def of(
        cls, table: AsyncRequestBuilder, key: IdempotencyKey, replay: Callable[[], Awaitable[Any]]
    ) -> "RepeatableTable":
        """Return the same table; `replay` asks the database for what the key has stored."""
        found = cls(table.session, table.path, table.headers, table.auth, table.retry_enabled)
        found.key, found.replay = key, replay
        return found

    def insert(self, *args: Any, **options: Any) -> AsyncSelectRequestBuilder:
        """Insert a row, once."""
        return _RepeatableInsert(super().insert(*args, **options).request, self)


class _RepeatableInsert(AsyncSelectRequestBuilder):
    def __init__(self, request: ReqConfig, table: RepeatableTable) -> None:
        super().__init__(request)
        self._table = table

    async def execute(self) -> APIResponse:
        try:
            answer = await super().execute()
        except APIError as error:
            if (error.code, error.message) != (_USED, _MESSAGE):
                raise
            kept = await self._table.replay()
            if kept is None:  # it expired in this moment
                raise
            return APIResponse(data=[self._table.key.stored(kept)], count=None)
        await self._check_protected()
        return answer

    async def _check_protected(self) -> None:
        """Log an error if the table has kept no key: then a repeated request writes twice.

        This asks the database once for each table and process.
        """
        table = self._table.path.name
        if table in _PROTECTED:
            return
        with contextlib.suppress(ApiError, APIError):  # the row is stored: look the next time
            kept = await self._table.replay()
            if kept is not None and kept["fingerprint"] == self._table.key.fingerprint:
                _PROTECTED.add(table)
                return
            log.error(
                "A table keeps no Idempotency-Key, so that a repeated request writes twice: add to "
                "a migration select idempotency.protect('public.%s');",
                table,
                extra={"slice": self._table.key.slice},
            )
