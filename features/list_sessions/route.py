from typing import Annotated

from fastapi import APIRouter, Query

from kernel.web import Page, Services

from . import handler
from .schema import OwnSession, Paging

router = APIRouter(tags=["users"])


@router.get("/users/me/sessions")
async def list_sessions(paging: Annotated[Paging, Query()], services: Services) -> Page[OwnSession]:
    """Read a page of the own sessions, the last used first.

    Address and device are those of the last login or refresh; either may be unknown.
    """
    return await services.call(handler.list_sessions, paging=paging)
