from fastapi import APIRouter

from features.shared.sessions import Session
from kernel.web import Answer, Services, raises

from . import handler
from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

router = APIRouter(tags=["auth"])


@router.post("/auth/login", responses=raises(InvalidCredentials, EmailNotConfirmed))
async def login(credentials: Credentials, services: Services) -> Answer[Session]:
    """Start a session.

    An unknown address and a wrong password have the same response.
    """
    return Answer(await services.call(handler.login, credentials=credentials))
