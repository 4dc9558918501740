from fastapi import APIRouter

from features.shared.settings import SiteSettings
from kernel.web import Answer, Services

from . import handler
from .cache import SETTINGS

router = APIRouter(tags=["settings"])


@router.get("/settings")
@SETTINGS.serves
async def get_settings(services: Services) -> Answer[SiteSettings]:
    """Read the settings of the site."""
    return Answer(await services.call(handler.get_settings))
