"""Supabase Auth, without a session of its own."""

from typing import Any

from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage
from supabase_auth.types import AuthResponse, Session

from kernel.errors import Unauthenticated
from kernel.supabase.http import SupabaseHttp
from kernel.supabase.rest import AsCaller


class AuthApi:
    """Calls of Supabase Auth on behalf of one client.

    Each call has a client of its own that forgets the session it gets: one that were shared would
    remember the last user who signed in, and act as that user for everyone else.
    `client_address` is passed on, so that Auth's own limits and its log see who really calls.

    Refusals raise `supabase_auth.errors.AuthApiError`; its `code` says why. A slice translates
    those that belong to its use case; the kernel answers for the rest.
    """

    def __init__(self, http: SupabaseHttp, *, client_address: str | None) -> None:
        self._http = http
        self._headers = {"apikey": http.key}
        if client_address is not None:
            self._headers["Sb-Forwarded-For"] = client_address

    async def sign_up(self, email: str, password: str, data: dict[str, Any]) -> AuthResponse:
        """Create a user; `data` becomes the user's metadata.

        The session of the answer is None while the address waits for its confirmation.
        """
        return await self._client().sign_up(
            {"email": email, "password": password, "options": {"data": data}}
        )

    async def sign_in(self, email: str, password: str) -> AuthResponse:
        """Begin a session."""
        return await self._client().sign_in_with_password({"email": email, "password": password})

    async def session(self, begun: Session) -> dict[str, Any]:
        """Return a session's fields; its user comes from the database, as `me()` says.

        What Auth says of a user holds what that user wrote into the own metadata, unchecked.
        """
        me = await AsCaller(self._http, begun.access_token).rpc("me")
        if not me:  # deleted since
            raise Unauthenticated
        fields = ("access_token", "refresh_token", "expires_in", "expires_at")
        return {"user": me[0], **{name: getattr(begun, name) for name in fields}}

    def _client(self) -> AsyncGoTrueClient:
        return AsyncGoTrueClient(
            url=f"{self._http.base}/auth/v1",
            headers=self._headers,
            http_client=self._http,
            storage=AsyncMemoryStorage(),
            auto_refresh_token=False,
            persist_session=False,
        )
