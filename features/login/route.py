from fastapi import APIRouter

from features.shared.sessions import Session
from kernel.identity import AccountLimit, Audit, LoginNotices, SessionStore, TokenVerifier
from kernel.supabase import AuthApi
from kernel.web import Answer, Services, raises

from . import handler
from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

router = APIRouter(tags=["auth"])


@router.post("/auth/login", responses=raises(InvalidCredentials, EmailNotConfirmed))
async def login(credentials: Credentials, services: Services) -> Answer[Session]:
    """Start a session.

    An unknown address and a wrong password have the same response.
    """
    parts = await services.aget(AuthApi, AccountLimit, TokenVerifier, SessionStore)
    audit, notices = await services.aget(Audit, LoginNotices)
    session = await handler.login(*parts, audit=audit, notices=notices, credentials=credentials)
    return Answer(session)
