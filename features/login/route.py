from fastapi import APIRouter

from features.shared.sessions import Session
from kernel.http import Answer, Services, raises
from kernel.limits import AccountLimit
from kernel.supabase import AuthApi

from . import handler
from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

router = APIRouter(tags=["auth"])


@router.post("/auth/login", responses=raises(InvalidCredentials, EmailNotConfirmed))
async def login(credentials: Credentials, services: Services) -> Answer[Session]:
    """Begin a session.

    An unknown address and a wrong password have the same answer.
    """
    return Answer(await handler.login(*await services.aget(AuthApi, AccountLimit), credentials))
