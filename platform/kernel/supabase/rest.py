"""Tables and functions through PostgREST, as the caller or as the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, cast
from uuid import UUID

import httpx
from postgrest._async.request_builder import AsyncRequestBuilder, AsyncRPCFilterRequestBuilder
from postgrest.base_request_builder import RequestConfig
from yarl import URL

from kernel.core.languages import language_tag
from kernel.core.request_id import request_id
from kernel.supabase.exchange import TableResponse
from kernel.supabase.http import SupabaseHttp, bearer
from kernel.supabase.idempotency import IdempotencyKey, RepeatableTable


@dataclass(frozen=True, slots=True)
class Account:
    """A user, for jobs: mail address and display name.

    `email` is None for anonymous users, and for those with only a telephone number.
    `proven` says that somebody opened a link that was mailed to this address. Where nobody did, the
    address may be a bystander's: it gets no words of users, and `display_name` is None.
    `language` is the one that the user's metadata name as `locale`, like `de`, or None.
    """

    id: UUID
    email: str | None
    display_name: str | None
    proven: bool
    language: str | None = None


_STANDING: Final = {
    "accept": "application/json",
    "accept-profile": "public",
    "content-profile": "public",
}
_NONE: Final = httpx.Headers()


@lru_cache(maxsize=1024)
def _path(*parts: str) -> URL:
    return URL.build(path="/".join(parts))


class _Sender:
    """What the client library takes for its HTTP client: it builds a request, this sends it.

    The library's own way through httpx costs more than twice as much. The headers that say who
    calls are added here.
    """

    auth: Final = None

    def __init__(self, http: SupabaseHttp, headers: Mapping[str, str]) -> None:
        self._http, self._headers = http, headers

    async def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None,
        params: httpx.QueryParams,
        headers: httpx.Headers,
        auth: None,  # noqa: ARG002 - the library passes it
    ) -> TableResponse:
        own = {**self._headers, **headers}
        return await self._http.ask(method, path, str(params), own, content)


class _Rest:
    def __init__(self, http: SupabaseHttp, headers: Mapping[str, str]) -> None:
        own = _STANDING | {name.lower(): value for name, value in headers.items()}
        if current := request_id.get():
            own["x-request-id"] = current  # the outbox stores it with the event
        self._sender = cast("httpx.AsyncClient", _Sender(http, own))

    def table(self, name: str) -> AsyncRequestBuilder:
        """Start a query of a table or view: `.select("*").eq("id", …).limit(1).execute()`."""
        return AsyncRequestBuilder(self._sender, _path(name), _NONE, None, retry_enabled=False)

    async def rpc(self, name: str, **arguments: object) -> Any:
        """Call an SQL function and return its result, rows as a list of dicts."""
        request = RequestConfig(
            self._sender,
            path=_path("rpc", name),
            http_method="POST",
            headers=httpx.Headers(),
            params=httpx.QueryParams(),
            auth=None,
            json=cast("dict[str, str]", arguments),
            retry_enabled=False,
        )
        answer = await AsyncRPCFilterRequestBuilder(request).execute()
        return answer.data


class AsCaller(_Rest):
    """The database with the caller's rights: row security applies to every row.

    Without a token the caller is `anon`.
    """

    def __init__(
        self, http: SupabaseHttp, token: str | None, key: IdempotencyKey | None = None
    ) -> None:
        headers = {"apikey": http.key, "X-Quotas": http.quotas}  # quotas.most reads it
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if key is not None:
            headers |= key.headers
        super().__init__(http, headers)
        self._key = key

    def table(self, name: str) -> AsyncRequestBuilder:
        """Start a query, as above.

        If the request has an Idempotency-Key that was used before, `insert` stores nothing and
        returns the row of the first request. Raises IdempotencyKeyReused if that was another one.
        """
        table = super().table(name)
        if self._key is None:
            return table
        return RepeatableTable.of(table, self._key, partial(self.rpc, "replayed_row"))


class AsService(_Rest):
    """The database without row security, with the secret key: for jobs and the platform."""

    def __init__(self, http: SupabaseHttp) -> None:
        super().__init__(http, bearer(http.service_key))

    async def user(self, user_id: UUID) -> Account | None:
        """Return a user, or None if the user does not exist."""
        rows = await self.rpc("account", user_id=str(user_id))
        if not rows:
            return None
        row = rows[0]
        proven: bool = row["proven"]
        name = row["display_name"] if proven else None
        # A database before the migration has no language.
        return Account(user_id, row["email"], name, proven, language_tag(row.get("language")))
