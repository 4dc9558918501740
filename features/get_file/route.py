from uuid import UUID

from fastapi import APIRouter

from features.shared.files import File, FileNotFound
from kernel.web import Answer, Services, raises

from . import handler
from .cache import FILE

router = APIRouter(tags=["files"])


@router.get("/files/{file_id}", responses=raises(FileNotFound))
@FILE.serves
async def get_file(file_id: UUID, services: Services) -> Answer[File]:
    """Read an own file: `pending` until it is uploaded, then `checking`, `ready` or `rejected`."""
    return Answer(await services.call(handler.get_file, file_id=file_id))
