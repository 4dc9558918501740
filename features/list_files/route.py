from typing import Annotated

from fastapi import APIRouter, Query

from features.shared.files import File
from kernel.web import LINKS, CursorPage, CursorPaging, InvalidCursor, Services, raises

from . import handler

router = APIRouter(tags=["files"])


@router.get("/files", responses={**raises(InvalidCursor), 200: LINKS})
async def list_files(
    paging: Annotated[CursorPaging, Query()], services: Services
) -> CursorPage[File]:
    """Read a page of the own files, newest first, whatever their state."""
    return await services.call(handler.list_files, paging=paging)
