"""Begin a session at Supabase Auth; failed attempts are limited for each account."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kernel import Feature, Limit
from kernel.errors import Unauthenticated, Unavailable
from kernel.identity import LoginNotices
from kernel.identity.account_limit import AccountLimit
from kernel.supabase import AuthApi, refusals
from kernel.web.fields import Body, Email, Password
from kernel.web.routing import Answer, Services

router = APIRouter()


class Credentials(Body):
    """The credentials of a login."""

    email: Email
    password: Password


@router.post("/enter")
async def enter(known: Credentials, services: Services) -> Answer[dict[str, Any]]:
    """Begin a session."""
    auth, attempts, notices = await services.aget(AuthApi, AccountLimit, LoginNotices)
    attempt = await attempts.reserve(known.email)
    try:
        with refusals({"invalid_credentials": Unauthenticated}):
            begun = await auth.sign_in(known.email, known.password.get_secret_value())
    except Unavailable:
        await attempts.refund(attempt)
        raise
    await attempts.succeed(attempt)
    assert begun.session is not None
    assert begun.user is not None
    await notices.note(UUID(begun.user.id))
    return Answer(await auth.session(begun.session))


LIMITS = (Limit("10/minute"), Limit("20/15 minutes", per="account"))
feature = Feature(router=router, caller="ignored", limits=LIMITS)
