"""One request to Storage: its caller, its body, and transactions with the caller's role."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from starlette.requests import Request

from devstack.gateway.config import GatewayConfig
from devstack.gateway.storage.disk import Disk
from devstack.gateway.storage.errors import invalid_request, too_large
from devstack.gateway.storage.resumable import Resumables

Db: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

# What a signed URL runs as, and the server itself: policies do not apply to it.
_SUPERUSER: Final = {"role": "service_role"}
_ACQUIRE_SECONDS: Final = 10
_MAX_JSON: Final = 1024 * 1024
# set_config('role', …, true) is SET LOCAL ROLE with a parameter.
_SCOPE: Final = (
    "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), "
    "set_config('request.headers', $3, true), set_config('request.method', $4, true), "
    "set_config('request.path', $5, true), set_config('storage.operation', $6, true), "
    "set_config('storage.allow_delete_query', 'true', true)"
)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request, and what its answer needs.

    `operation` is the name that policies can ask for; `claims` are None without a valid token.
    """

    config: GatewayConfig
    pool: "asyncpg.Pool[asyncpg.Record]"
    disk: Disk
    resumables: Resumables
    request: Request
    operation: str
    claims: dict[str, Any] | None

    @property
    def bucket(self) -> str:
        """The bucket in the path."""
        return str(self.request.path_params["bucket"])

    @property
    def name(self) -> str:
        """The object's name in the path."""
        return str(self.request.path_params["name"])

    @property
    def owner(self) -> str | None:
        """The user of the token, who owns what is uploaded; None for keys."""
        return (self.claims or {}).get("sub")

    @asynccontextmanager
    async def transaction(
        self, *, superuser: bool = False, undo: bool = False
    ) -> AsyncIterator[Db]:
        """One transaction as the caller, or as superuser; `undo` only tries, and rolls back."""
        claims = _SUPERUSER if superuser else self.claims or {"role": "anon"}
        request = self.request
        headers = {name: value for name, value in request.headers.items() if name != "cookie"}
        async with self.pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(
                    _SCOPE,
                    *(claims["role"], json.dumps(claims), json.dumps(headers)),
                    *(request.method, request.url.path, self.operation),
                )
                yield connection
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback() if undo else transaction.commit())

    async def json(self) -> "JsonBody":
        """Return the body; raises StorageError (400) if it is no JSON object of at most 1 MiB."""
        raw = b""
        async for chunk in self.request.stream():
            raw += chunk
            if len(raw) > _MAX_JSON:
                raise too_large("request body")
        try:
            fields = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError:
            raise invalid_request("Body is not valid JSON", error="Error") from None
        if not isinstance(fields, dict):
            raise invalid_request("body must be object", error="Error")
        return JsonBody(fields)


class JsonBody:
    """A JSON object, read field by field; None is a missing field.

    Every accessor raises StorageError (400) if the field has another type.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def required(self, name: str) -> str:
        """Return a string field that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid_request(f"body must have required property '{name}'", error="Error")
        return value

    def text(self, name: str) -> str | None:
        """Return a string field."""
        value: str | None = self._typed(name, str, "string")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean field."""
        value: bool | None = self._typed(name, bool, "boolean")
        return value

    def texts(self, name: str) -> list[str] | None:
        """Return a field that is a list of strings."""
        values: list[Any] | None = self._typed(name, list, "array")
        if values is not None and not all(isinstance(value, str) for value in values):
            raise invalid_request(f"body/{name} must be an array of strings", error="Error")
        return values

    def mapping(self, name: str) -> "JsonBody":
        """Return an object field; an empty one if it is missing."""
        return JsonBody(self._typed(name, dict, "object") or {})

    def number(self, name: str, *, minimum: int) -> int | None:
        """Return an integer field, which may be written as a string, as clients do."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid_request(f"body/{name} must be integer", error="Error")
        if value < minimum:
            raise invalid_request(f"body/{name} must be >= {minimum}", error="Error")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Return a string field that has one of the allowed values."""
        value = self.text(name)
        if value is not None and value not in allowed:
            message = f"body/{name} must be equal to one of the allowed values"
            raise invalid_request(message, error="Error")
        return value

    def _typed(self, name: str, kind: type, said: str) -> Any:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, kind):
            raise invalid_request(f"body/{name} must be {said}", error="Error")
        return value
