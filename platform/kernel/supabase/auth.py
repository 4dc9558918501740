"""Supabase Auth, without a session."""

from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

from httpx import Response
from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage
from supabase_auth.errors import AuthApiError
from supabase_auth.helpers import parse_auth_response
from supabase_auth.types import AuthResponse, Session

from kernel.errors import Unauthenticated
from kernel.supabase.http import SupabaseHttp, bearer
from kernel.supabase.passwords import email_in
from kernel.supabase.rest import AsCaller

SignOutScope = Literal["local", "others", "global"]
TokenKind = Literal["signup", "recovery"]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """A project's public Auth settings: are addresses confirmed by mail, are sign-ups open."""

    confirms_addresses: bool
    takes_signups: bool


class _Client(AsyncGoTrueClient):
    """A client for one call without a session: calls that need a user get the token explicitly."""

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
        return parse_auth_response(await self._request("POST", "verify", body=body))


class AuthApi:
    """Calls of Supabase Auth for one client.

    Each call has a client of its own, and discards the session that it gets: a shared client would
    remember the last user who signed in, and act as that user for every other caller.
    `client_address` and `user_agent` are passed on, so that Auth's limits, log and sessions see the
    real client. A hosted project accepts the address only where "IP address forwarding" is on, and
    only with a secret key of the form `sb_secret_…`: then that key is sent.

    Refusals raise `AuthRefusal`; its `code` gives the reason. A slice translates the codes of its
    use case (`with refusals({…})`); the kernel translates the rest.
    """

    def __init__(
        self, http: SupabaseHttp, *, client_address: str | None, user_agent: str = ""
    ) -> None:
        self._http = http
        trusted = http.service_key.startswith("sb_secret_")
        self._headers = {"apikey": http.service_key if trusted else http.key}
        self._headers["User-Agent"] = user_agent  # never that of our HTTP client
        if client_address is not None:
            self._headers["Sb-Forwarded-For"] = client_address

    def check_password(self, password: str, *, email: str) -> None:
        """Raise AuthWeakPasswordError for a new password that would be guessed first."""
        self._http.passwords.check(password, email=email)

    async def sign_up(self, email: str, password: str, data: dict[str, Any]) -> AuthResponse:
        """Create a user; `data` becomes the user's metadata.

        The response has no session while the address waits for its confirmation.
        """
        return await self._client().sign_up(
            {"email": email, "password": password, "options": {"data": data}}
        )

    async def sign_in(self, email: str, password: str) -> AuthResponse:
        """Start a session."""
        return await self._client().sign_in_with_password({"email": email, "password": password})

    async def refresh(self, refresh_token: str) -> AuthResponse:
        """Continue a session: get new tokens, and use the old refresh token up."""
        return await self._client().refresh_session(refresh_token)

    async def redeem(self, token_hash: str, kind: TokenKind) -> AuthResponse:
        """Redeem a one-time token of `AuthAdmin.one_time_token`; it starts a session.

        It confirms the address of a user that waits for confirmation. Call it right after the token
        is made.
        """
        return await self._client().redeem(token_hash, kind)

    async def set_password(self, token: str, password: str, *, current: str) -> None:
        """Change the password of this access token's user; the user's other sessions end.

        `current` is for projects that require it. If a project requires a recent login, a session
        older than a day is refused: `reauthentication_needed`.
        """
        self._http.passwords.check(password, email=email_in(token))
        attributes = {"password": password, "current_password": current}
        await self._client().as_user(token, attributes)

    async def settings(self) -> AuthSettings:
        """Return the public settings of Auth.

        A missing setting has the safe value: addresses need confirmation.
        """
        said = (await self._client().settings()).json()
        by_email = said.get("external", {}).get("email", True) is not False
        return AuthSettings(
            confirms_addresses=said.get("mailer_autoconfirm") is not True,
            takes_signups=by_email and said.get("disable_signup") is not True,
        )

    async def sign_out(self, token: str, scope: SignOutScope) -> None:
        """End this session, the user's other sessions, or all.

        A session that has already ended is accepted, but it cannot end other sessions: that is
        refused.
        """
        try:
            await self._client().admin.sign_out(token, scope)
        except AuthApiError as error:
            ended = scope == "local" and error.code == "session_not_found"
            if not ended and error.code != "user_not_found":
                raise

    async def session(self, begun: Session) -> dict[str, Any]:
        """Return a session's fields; the user comes from the database function `me()`.

        Auth's own user object contains metadata that the user wrote, unchecked.
        """
        me = await AsCaller(self._http, begun.access_token).rpc("me")
        if not me:  # deleted meanwhile
            raise Unauthenticated
        fields = ("access_token", "refresh_token", "expires_in", "expires_at")
        return {"user": me[0], **{name: getattr(begun, name) for name in fields}}

    def _client(self) -> _Client:
        return _Client(self._http, self._headers)


class AuthAdmin:
    """Supabase Auth with the secret key: for jobs, operators, and slices that act for an admin."""

    def __init__(self, http: SupabaseHttp) -> None:
        self._http = http

    async def sign_up(self, email: str, password: str, data: dict[str, Any]) -> None:
        """Create a user whose address waits for confirmation; Auth sends no mail.

        Auth's password rules and hooks apply. It makes a one-time token, which the SQL function
        `request_confirmation` removes. Raises AuthRefusal `email_exists` for a confirmed address.
        For an unconfirmed one, nothing visible changes.
        """
        await self._client().admin.generate_link(
            {"type": "signup", "email": email, "password": password, "options": {"data": data}}
        )

    async def one_time_token(self, email: str, kind: TokenKind) -> str:
        """Return a one-time token of an existing user, for `AuthApi.redeem`; no mail is sent.

        Attackers can guess it at Auth's own API: redeem it immediately, and never reveal it.
        """
        link = await self._client().admin.generate_link(
            cast("Any", {"type": kind, "email": email, "password": ""})
        )
        return link.properties.hashed_token

    async def change(
        self, user_id: UUID, *, known_as: str | None = None, **attributes: str | bool
    ) -> None:
        """Change `email` or `password` of a user; `email_confirm` marks the address as confirmed.

        `known_as` is the user's address: as a password it is refused, like others that are guessed
        first, by AuthWeakPasswordError.

        A new password ends all sessions of the user, and Auth's own one-time tokens.
        """
        if isinstance(password := attributes.get("password"), str):
            self._http.passwords.check(password, email=known_as)
        await self._client().admin.update_user_by_id(str(user_id), cast("Any", attributes))

    async def set_role(self, user_id: UUID, role: str | None) -> None:
        """Set `app_metadata.role`; it applies from the user's next login or refresh."""
        await self._client().admin.update_user_by_id(
            str(user_id), cast("Any", {"app_metadata": {"role": role}})
        )

    async def delete_user(self, user_id: UUID) -> bool:
        """Delete a user and the user's data; return whether the user existed."""
        try:
            await self._client().admin.delete_user(str(user_id))
        except AuthApiError as error:
            if error.code == "user_not_found":
                return False
            raise
        return True

    def _client(self) -> _Client:
        return _Client(self._http, bearer(self._http.service_key))
