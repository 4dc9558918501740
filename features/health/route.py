from fastapi import APIRouter, Response

from kernel.web import Answer, Services, raises

from . import handler
from .schema import Alive, Health, NotReady, Ready

router = APIRouter(tags=["health"], prefix="/health")


@router.get("", response_model_exclude_none=True)
async def health(response: Response, services: Services) -> Answer[Health]:
    """Report which services work; always 200, so that people can read it during a failure."""
    response.headers["Cache-Control"] = "no-store"
    return Answer(await services.call(handler.health))


@router.get("/readiness", responses=raises(NotReady))
async def readiness(response: Response, services: Services) -> Answer[Ready]:
    """Report whether this process accepts requests.

    503 before the first successful check and while the process drains; also while keys or the
    JWT secret are another project's: the log says which. A later failure of Redis or
    Supabase does not change it: it would take all replicas out of service at once.
    """
    response.headers["Cache-Control"] = "no-store"
    await services.call(handler.readiness)
    return Answer(Ready())


@router.get("/liveness")
async def liveness(response: Response) -> Answer[Alive]:
    """Report that the process runs; it checks no service."""
    response.headers["Cache-Control"] = "no-store"
    return Answer(Alive())
