from fastapi import APIRouter, Response

from kernel.web import Answer, Services, raises

from . import handler
from .schema import Alive, Health, NotReady, Ready

router = APIRouter(tags=["health"], prefix="/health")


@router.get("", response_model_exclude_none=True)
async def health(response: Response, services: Services) -> Answer[Health]:
    """Say which parts work; always 200, so that people can read it in a fault."""
    response.headers["Cache-Control"] = "no-store"
    return Answer(await services.call(handler.health))


@router.get("/readiness", responses=raises(NotReady))
async def readiness(response: Response, services: Services) -> Answer[Ready]:
    """Say whether requests may be sent here.

    503 before the first successful check and while the process drains. A later fault of Redis or
    Supabase keeps it at 200: it would hit every replica at once, and take all out of service.
    """
    response.headers["Cache-Control"] = "no-store"
    await services.call(handler.readiness)
    return Answer(Ready())


@router.get("/liveness")
async def liveness(response: Response) -> Answer[Alive]:
    """Say that the process runs; asks nobody."""
    response.headers["Cache-Control"] = "no-store"
    return Answer(Alive())
