"""Create an account at Supabase Auth."""

from typing import Any

from fastapi import APIRouter, status

from kernel import Feature, Limit
from kernel.supabase import AuthApi
from kernel.web.fields import Body, Email, NewPassword
from kernel.web.routing import Answer, Services

router = APIRouter()


class Newcomer(Body):
    """The details of a new account."""

    email: Email
    password: NewPassword


@router.post("/join", status_code=status.HTTP_201_CREATED)
async def join(new: Newcomer, services: Services) -> Answer[dict[str, Any]]:
    """Create the account and begin its first session."""
    auth = await services.aget(AuthApi)
    created = await auth.sign_up(new.email, new.password.get_secret_value(), {})
    assert created.session is not None
    return Answer(await auth.session(created.session))


feature = Feature(router=router, caller="ignored", limits=(Limit("5/minute"),))
