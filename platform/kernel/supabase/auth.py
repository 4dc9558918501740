"""Supabase Auth, without a session of its own."""

from typing import Any, Literal, cast
from uuid import UUID

from httpx import Response
from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage
from supabase_auth.errors import AuthApiError
from supabase_auth.helpers import parse_auth_response
from supabase_auth.types import AuthResponse, Session

from kernel.errors import Unauthenticated
from kernel.supabase.http import SupabaseHttp, bearer
from kernel.supabase.rest import AsCaller

SignOutScope = Literal["local", "others", "global"]
TokenKind = Literal["signup", "recovery", "email_change"]


class _Client(AsyncGoTrueClient):
    """A client for one call; it has no session, so what needs a user is told the token."""

    def __init__(self, http: SupabaseHttp, headers: dict[str, str]) -> None:
        super().__init__(
            url=f"{http.base}/auth/v1",
            headers=headers,
            http_client=http,
            storage=AsyncMemoryStorage(),
            auto_refresh_token=False,
            persist_session=False,
        )

    async def as_user(self, token: str, attributes: dict[str, str]) -> None:
        await self._request("PUT", "user", body=attributes, jwt=token)

    async def settings(self) -> Response:
        return await self._request("GET", "settings")

    async def redeem(self, token_hash: str, kind: TokenKind) -> AuthResponse:
        body = {"type": kind, "token_hash": token_hash}
        answer = await self._request("POST", "verify", body=body)
        if "access_token" not in answer.json():
            return AuthResponse(user=None, session=None)
        return parse_auth_response(answer)


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

    async def refresh(self, refresh_token: str) -> AuthResponse:
        """Go on with a session: new tokens, and the old refresh token is used up."""
        return await self._client().refresh_session(refresh_token)

    async def redeem(self, token_hash: str, kind: TokenKind) -> AuthResponse:
        """Redeem a token from a mail, once; begins a session for whom it was sent to.

        The session is None after the first of two confirmations, where Auth asks for both the old
        and the new address before it changes one.
        """
        return await self._client().redeem(token_hash, kind)

    async def change(self, token: str, **attributes: str) -> None:
        """Change `password` or `email` of the user of this access token.

        A new password ends the user's other sessions; a new address may wait for confirmation.
        """
        await self._client().as_user(token, attributes)

    async def confirms_addresses(self) -> bool:
        """Whether new addresses wait for confirmation; what Auth does not say counts as yes."""
        settings = (await self._client().settings()).json()
        return settings.get("mailer_autoconfirm") is not True

    async def sign_out(self, token: str, scope: SignOutScope) -> None:
        """End this session, the user's others, or all.

        One that has ended already is fine, but it cannot end any other: that is refused.
        """
        try:
            await self._client().admin.sign_out(token, scope)
        except AuthApiError as error:
            ended = scope == "local" and error.code == "session_not_found"
            if not ended and error.code != "user_not_found":
                raise

    async def session(self, begun: Session) -> dict[str, Any]:
        """Return a session's fields; its user comes from the database, as `me()` says.

        What Auth says of a user holds what that user wrote into the own metadata, unchecked.
        """
        me = await AsCaller(self._http, begun.access_token).rpc("me")
        if not me:  # deleted since
            raise Unauthenticated
        fields = ("access_token", "refresh_token", "expires_in", "expires_at")
        return {"user": me[0], **{name: getattr(begun, name) for name in fields}}

    def _client(self) -> _Client:
        return _Client(self._http, self._headers)


class AuthAdmin:
    """Supabase Auth with the secret key: for jobs, operators, and slices that act for an admin."""

    def __init__(self, http: SupabaseHttp) -> None:
        self._http = http

    async def recovery_token(self, email: str) -> str | None:
        """Return a new token to reset a password with, or None where nobody has this address.

        Tokens that were made earlier for the same user do not count any more. Sends no mail.
        """
        try:
            link = await self._client().admin.generate_link({"type": "recovery", "email": email})
        except AuthApiError as error:
            if error.code == "user_not_found":
                return None
            raise
        return link.properties.hashed_token

    async def set_role(self, user_id: UUID, role: str | None) -> None:
        """Set `app_metadata.role`; it counts from the user's next login or refresh on."""
        await self._client().admin.update_user_by_id(
            str(user_id), cast("Any", {"app_metadata": {"role": role}})
        )

    async def delete_user(self, user_id: UUID) -> bool:
        """Delete a user and all that is theirs; return whether there was one."""
        try:
            await self._client().admin.delete_user(str(user_id))
        except AuthApiError as error:
            if error.code == "user_not_found":
                return False
            raise
        return True

    def _client(self) -> _Client:
        return _Client(self._http, bearer(self._http.service_key))
