from fastapi import APIRouter, Response, status

from kernel.errors import QuotaExceeded, TooManyRequests
from kernel.web import LOCATION, PREFIX, Answer, Services, raises

from . import handler
from .schema import NewFile, Upload, UploadOver

router = APIRouter(tags=["files"])


@router.post(
    "/files",
    status_code=status.HTTP_201_CREATED,
    responses={**raises(TooManyRequests, QuotaExceeded, UploadOver), 201: LOCATION},
)
async def request_upload(new: NewFile, response: Response, services: Services) -> Answer[Upload]:
    """Ask to upload a file: the response says where its bytes go, which is not this API.

    Then read the file: it is `checking` and soon `ready`, or `rejected` with a reason. The
    `Location` header has its URL.
    """
    upload = await services.call(handler.request_upload, new=new)
    response.headers["Location"] = f"{PREFIX}/files/{upload.file.id}"
    return Answer(upload)
