from typing import Annotated

from fastapi import APIRouter, Query

from kernel.web import Page, Services

from ..shared.notes import Note
from . import handler
from .cache import PAGE
from .schema import Paging

router = APIRouter(tags=["notes"])


@router.get("/notes")
@PAGE.serves
async def list_notes(paging: Annotated[Paging, Query()], services: Services) -> Page[Note]:
    """Read a page of your own notes, newest first."""
    return await services.call(handler.list_notes, paging=paging)
