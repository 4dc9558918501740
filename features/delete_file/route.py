from uuid import UUID

from fastapi import APIRouter, status

from features.shared.files import FileNotFound
from kernel.web import Services, raises

from . import handler

router = APIRouter(tags=["files"])


@router.delete(
    "/files/{file_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(FileNotFound),
)
async def delete_file(file_id: UUID, services: Services) -> None:
    """Delete an own file permanently, also one that is not uploaded or not ready.

    A download URL that was given out works until the object is removed, a moment later.
    """
    await services.call(handler.delete_file, file_id=file_id)
