"""Auth's format of a user."""

from typing import Any
from uuid import UUID

import asyncpg

from devstack.gateway.auth.errors import user_not_found
from devstack.gateway.auth.service import Db

# Included only if set.
_TIMES = (
    "invited_at",
    "email_confirmed_at",
    "confirmation_sent_at",
    "confirmed_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "last_sign_in_at",
    "banned_until",
    "deleted_at",
)


async def show(db: Db, user_id: UUID) -> dict[str, Any]:
    """Return a user in Auth's format, with identities; raises AuthError (404)."""
    user = await db.fetchrow("select * from auth.users where id = $1", user_id)
    if user is None:
        raise user_not_found()
    identities = await db.fetch(
        """
        select id as identity_id, provider_id as id, user_id, identity_data, provider,
          last_sign_in_at, created_at, updated_at, email
        from auth.identities where user_id = $1 order by created_at
        """,
        user_id,
    )
    return {**shown(user), "identities": [dict(identity) for identity in identities]}


def shown(user: asyncpg.Record) -> dict[str, Any]:
    """Return a user in the format of the list of users: `identities` is null."""
    fields = {name: user[name] or "" for name in ("id", "aud", "role", "email", "phone")}
    fields |= {name: user[name] for name in ("created_at", "updated_at", "is_anonymous")}
    fields |= {name: user[name] for name in _TIMES if user[name] is not None}
    if user["email_change"]:
        fields["new_email"] = user["email_change"]
    return fields | {
        "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "identities": None,
    }
