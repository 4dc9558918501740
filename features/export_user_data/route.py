from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response, status
from fastapi.responses import StreamingResponse

from kernel.errors import QuotaExceeded, TooManyRequests
from kernel.web import PREFIX, Answer, Services, raises

from . import handler
from .schema import Export, ExportNotFound, ExportNotReady

router = APIRouter(tags=["users"])

_ASK_AGAIN_SECONDS: Final = 5
_ZIP: Final = "application/zip"


@router.post(
    "/users/me/export",
    status_code=status.HTTP_202_ACCEPTED,
    responses=raises(TooManyRequests, QuotaExceeded),
)
async def request_export(response: Response, services: Services) -> Answer[Export]:
    """Ask for an archive of your own data; the `Location` header has the URL of its status.

    While an export is under way, this returns that one. A new export replaces an older one.
    """
    export = await services.call(handler.request_export)
    response.headers["Location"] = f"{PREFIX}/users/me/exports/{export.id}"
    response.headers["Retry-After"] = str(_ASK_AGAIN_SECONDS)
    return Answer(export)


@router.get(
    "/users/me/exports/{export_id}",
    responses={
        **raises(ExportNotFound),
        202: {"model": Answer[Export], "description": "It is not ready; ask again later."},
    },
)
async def get_export(export_id: UUID, response: Response, services: Services) -> Answer[Export]:
    """Read how far an export is: 202 while it is under way, then 200."""
    export = await services.call(handler.get_export, export_id=export_id)
    if export.status in {"queued", "running"}:
        response.status_code = status.HTTP_202_ACCEPTED
        response.headers["Retry-After"] = str(_ASK_AGAIN_SECONDS)
    return Answer(export)


@router.get(
    "/users/me/exports/{export_id}/download",
    response_class=StreamingResponse,
    responses={
        **raises(ExportNotFound, ExportNotReady),
        200: {
            "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The zip archive.",
        },
    },
)
async def download_export(export_id: UUID, services: Services) -> StreamingResponse:
    """Download the archive of a ready export."""
    archive = await services.call(handler.open_export, export_id=export_id)
    return StreamingResponse(
        archive.pieces,
        media_type=_ZIP,
        headers={
            "Content-Disposition": f'attachment; filename="export-{export_id}.zip"',
            "Content-Length": str(archive.size),
            "Cache-Control": "private, no-store",
        },
    )
