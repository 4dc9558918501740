"""Tables and functions through PostgREST, as the caller or as the service."""

from typing import Any, cast

from postgrest import AsyncPostgrestClient
from postgrest._async.request_builder import AsyncRequestBuilder

from kernel.supabase.http import SupabaseHttp, bearer


class _Rest:
    def __init__(self, http: SupabaseHttp, headers: dict[str, str]) -> None:
        self._client = AsyncPostgrestClient(
            f"{http.base}/rest/v1", headers=headers, http_client=http, retry_enabled=False
        )

    def table(self, name: str) -> AsyncRequestBuilder:
        """Begin a query of a table or view: `.select("*").eq("id", …).limit(1).execute()`."""
        return self._client.from_(name)

    async def rpc(self, name: str, **arguments: object) -> Any:
        """Call an SQL function and return what it returns, rows as a list of dicts."""
        answer = await self._client.rpc(name, cast("dict[str, str]", arguments)).execute()
        return answer.data


class AsCaller(_Rest):
    """The database as the caller sees it: row security decides about every row.

    Without a token the caller is `anon`.
    """

    def __init__(self, http: SupabaseHttp, token: str | None) -> None:
        headers = {"apikey": http.key}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        super().__init__(http, headers)


class AsService(_Rest):
    """The database past row security, with the secret key: for jobs and the platform."""

    def __init__(self, http: SupabaseHttp) -> None:
        super().__init__(http, bearer(http.service_key))
