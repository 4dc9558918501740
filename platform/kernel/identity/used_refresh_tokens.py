"""Refresh tokens that were used: one that comes again may be stolen (S10)."""

import hashlib
from datetime import datetime
from uuid import UUID

from kernel.core.caller import Caller
from kernel.identity.audit import Audit
from kernel.identity.revocation import Revocations
from kernel.identity.seen_tokens import SeenTokens
from kernel.supabase import AsService


class UsedRefreshTokens:
    """Records each used token as a hash, and ends the session of a reused one."""

    def __init__(
        self, db: AsService, seen: SeenTokens, revocations: Revocations, audit: Audit
    ) -> None:
        self._db, self._seen, self._revocations, self._audit = db, seen, revocations, audit

    async def note(self, refresh_token: str, holder: Caller) -> datetime | None:
        """Record that Auth exchanged a token for the access token of `holder`.

        Return when the session started, None if it has ended: also now, because the token was used
        before, and its successors were, too.
        """
        noted = await self._db.rpc(
            "renew_session",
            session_id=str(holder.session_id),
            token_hash=_hash(refresh_token),
            expires_at=holder.expires_at,
            seen_until=await self._seen.until(holder.session_id),
        )
        if noted is None:
            return None
        if noted["reused"]:
            await self.end_session(refresh_token)
            return None
        return datetime.fromisoformat(noted["started_at"])

    async def end_session(self, refresh_token: str) -> None:
        """End the session of a token that two clients hold: its owner is one of them."""
        ended = await self._db.rpc("end_session_of_token", token_hash=_hash(refresh_token))
        if ended is None:
            return
        user_id = UUID(ended["user_id"])
        await self._revocations.publish(user_id)
        await self._audit("refresh_reused", user_id=user_id, session_id=ended["session_id"])


def _hash(refresh_token: str) -> str:
    """Return 128 bits of the SHA-256 of a token, as the database stores it."""
    return str(UUID(bytes=hashlib.sha256(refresh_token.encode()).digest()[:16]))
