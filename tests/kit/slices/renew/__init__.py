"""Renew a session."""

from fastapi import APIRouter
from pydantic import SecretStr

from kernel import Feature
from kernel.supabase import AuthApi
from kernel.web.fields import Body
from kernel.web.routing import Answer, Services

router = APIRouter()


class Renewal(Body):
    """The session to renew."""

    refresh_token: SecretStr


@router.post("/renew")
async def renew(renewal: Renewal, services: Services) -> Answer[bool]:
    """Use a refresh token, which is valid once."""
    renewed = await (await services.aget(AuthApi)).refresh(renewal.refresh_token.get_secret_value())
    return Answer(renewed.session is not None)


feature = Feature(router=router, caller="ignored")
