from typing import Annotated

from fastapi import APIRouter, Query

from kernel.web import Page, Services

from . import handler
from .schema import JobRun, Paging

router = APIRouter(tags=["operations"])


@router.get("/runs")
async def list_runs(paging: Annotated[Paging, Query()], services: Services) -> Page[JobRun]:
    """Read a page of runs of jobs, the last queued first.

    Of each state the newest 10,000 are listed and counted.
    """
    return await services.call(handler.list_runs, paging=paging)
