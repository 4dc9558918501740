"""Fresh authentication: to change credentials or delete an account, a caller proves who they are.

A stolen access token is not enough for these changes. A slice asks with one call, before it changes
anything:

    async def update_user(fresh: FreshLogin, *, changes: UserChanges) -> User:
        await fresh.require(changes.current_password)
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr
from supabase_auth.errors import AuthApiError, AuthError

from kernel.core.caller import Caller
from kernel.errors import ApiError, Forbidden, Unauthenticated
from kernel.identity.account_limit import AccountLimit
from kernel.identity.audit import Audit
from kernel.supabase import AsService, AuthApi

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 600
# The code of Supabase Auth for a wrong password.
_WRONG: Final = "invalid_credentials"


class ReauthenticationRequired(Forbidden):
    """Neither the right current password nor a login of the last ten minutes.

    `details.ways` lists what helps: `current_password`, if the account has one and an e-mail
    address, and `login`.
    """

    code = "REAUTHENTICATION_REQUIRED"
    message = "Send your current password, or log in again, and repeat this within ten minutes."


class WrongPassword(ReauthenticationRequired):
    """The current password that was sent is wrong."""

    message = "The current password is wrong."


class FreshLogin:
    """Proof that the caller owns the account, and not only an access token.

    Wrong passwords count to one limit of the account over all slices, RATE_LIMIT_REAUTHENTICATION.
    It is separate from the login's limit: strangers cannot use it up. A thief of an access token
    uses it up only for networks that the owner has not used before.
    """

    def __init__(
        self,
        auth: AuthApi,
        db: AsService,
        caller: Caller,
        audit: Audit,
        *,
        attempts: AccountLimit,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._auth, self._db, self._caller, self._audit = auth, db, caller, audit
        self._attempts, self._clock = attempts, clock

    async def require(self, current_password: SecretStr | None) -> None:
        """Return if the caller's login is younger than ten minutes, or the password is right.

        An anonymous user has only the session as proof, so it is enough. Raises
        ReauthenticationRequired, TooManyRequests or Unauthenticated.
        """
        if current_password is not None:
            async with self.session(current_password):
                return
        if self._clock() - self._caller.logged_in_at < FRESH_SECONDS:
            return
        account = await self._account()
        if account["is_anonymous"] and not account["has_password"]:
            return
        await self._audit("reauthentication_required", user_id=self._user_id)
        raise ReauthenticationRequired(ways=_ways(account))

    @contextlib.asynccontextmanager
    async def session(self, current_password: SecretStr) -> AsyncIterator[str]:
        """Check the password by opening a session, Auth's only way; yield its access token.

        The session ends with the block. Raises WrongPassword, TooManyRequests or Unauthenticated.
        """
        account = await self._account()
        email, password = account["email"], current_password.get_secret_value()
        if email is None or not account["has_password"]:
            raise WrongPassword(ways=_ways(account))
        attempt = await self._attempts.reserve(email)
        try:
            begun = (await self._auth.sign_in(email, password)).session
        except AuthApiError as error:
            if error.code != _WRONG:
                await self._attempts.refund(attempt)
                raise
            await self._audit(
                "login_failed", user_id=self._user_id, reason="wrong current password"
            )
            raise WrongPassword(ways=_ways(account)) from None
        except ApiError:
            await self._attempts.refund(attempt)  # Auth did not check the password
            raise
        await self._attempts.succeed(attempt)
        if begun is None:
            raise WrongPassword(ways=_ways(account))
        try:
            yield begun.access_token
        finally:
            await self._end(begun.access_token)

    @property
    def _user_id(self) -> UUID:
        if self._caller.user_id is None:
            raise Unauthenticated
        return self._caller.user_id

    async def _account(self) -> dict[str, Any]:
        found: dict[str, Any] | None = await self._db.rpc(
            "credentials_of", user_id=str(self._user_id)
        )
        if found is None:  # deleted meanwhile
            raise Unauthenticated
        return found

    async def _end(self, token: str) -> None:
        try:
            await self._auth.sign_out(token, "local")
        except (ApiError, AuthError):
            # No one has its tokens, and its maximum age ends it.
            log.exception("The session that proved a password was not ended")


def _ways(account: dict[str, Any]) -> list[str]:
    provable = account["has_password"] and account["email"] is not None
    return ["current_password", "login"] if provable else ["login"]
