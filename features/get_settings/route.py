from fastapi import APIRouter

from features.shared.settings import SiteSettings
from kernel.supabase import AsCaller
from kernel.web import Answer, Services

from . import handler
from .cache import SETTINGS

router = APIRouter(tags=["settings"])


@router.get("/settings")
@SETTINGS.serves
async def get_settings(services: Services) -> Answer[SiteSettings]:
    """Read the settings of the site."""
    return Answer(await handler.get_settings(await services.aget(AsCaller)))
