"""Say whether the process runs, and whether it accepts requests."""

from fastapi import APIRouter

from kernel import Feature
from kernel.errors import Unavailable
from kernel.observe.readiness import Readiness
from kernel.supabase import Probe
from kernel.web.routing import Answer, Services

router = APIRouter()


@router.get("/alive")
async def alive() -> Answer[str]:
    """Respond without calling any other part."""
    return Answer("alive")


@router.get("/alive/ready")
async def ready(services: Services) -> Answer[str]:
    """Respond 503 until Supabase has responded once, and while the process drains."""
    state, supabase = await services.aget(Readiness, Probe)
    if not state.checked and not state.draining:
        state.checked = await supabase.up()
    if not state.ready:
        raise Unavailable
    return Answer("ready")


@router.get("/alive/supabase")
async def sees_supabase(services: Services) -> Answer[str]:
    """Call Supabase's own health checks."""
    return Answer("up" if await (await services.aget(Probe)).up() else "down")


feature = Feature(router=router, caller="ignored", limited=False)
