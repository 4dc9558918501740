from uuid import UUID

from fastapi import APIRouter, Response

from features.shared.files import FileNotFound
from kernel.web import Answer, Services, raises

from . import handler
from .schema import Download, FileNotReady

router = APIRouter(tags=["files"])


@router.get("/files/{file_id}/download", responses=raises(FileNotFound, FileNotReady))
async def download_file(file_id: UUID, response: Response, services: Services) -> Answer[Download]:
    """Get a URL for the download of an own file that is ready, valid for ten minutes.

    Browsers save what it responds with, under the file's name, and never show it.
    """
    download = await services.call(handler.download_file, file_id=file_id)
    response.headers["Cache-Control"] = "private, no-store"
    return Answer(download)
