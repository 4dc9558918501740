from typing import Annotated

from fastapi import APIRouter, Query

from kernel.web import Page, Services

from . import handler
from .schema import DeadLetter, Paging

router = APIRouter(tags=["operations"])


@router.get("/dead-letters")
async def list_dead_letters(
    paging: Annotated[Paging, Query()], services: Services
) -> Page[DeadLetter]:
    """Read a page of dead letters, the last failed first.

    They are the jobs that failed after their last attempt, and the messages of the broker that no
    worker can read. The newest 10,000 in a state are listed and counted.
    """
    return await services.call(handler.list_dead_letters, paging=paging)
