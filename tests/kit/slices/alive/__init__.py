"""Say that the process runs, and whether it takes requests."""

from fastapi import APIRouter

from kernel import Feature
from kernel.errors import Unavailable
from kernel.observe.readiness import Readiness
from kernel.supabase import Probe
from kernel.web.routing import Answer, Services

router = APIRouter()


@router.get("/alive")
async def alive() -> Answer[str]:
    """Ask nobody."""
    return Answer("alive")


@router.get("/alive/ready")
async def ready(services: Services) -> Answer[str]:
    """Answer 503 before Supabase has answered once, and while the process drains."""
    state, supabase = await services.aget(Readiness, Probe)
    if not state.checked and not state.draining:
        state.checked = await supabase.up()
    if not state.ready:
        raise Unavailable
    return Answer("ready")


@router.get("/alive/supabase")
async def sees_supabase(services: Services) -> Answer[str]:
    """Ask Supabase's own health checks."""
    return Answer("up" if await (await services.aget(Probe)).up() else "down")


feature = Feature(router=router, caller="ignored", limited=False)
