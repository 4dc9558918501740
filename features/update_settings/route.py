from fastapi import APIRouter

from features.shared.settings import SiteSettings
from kernel.web import Answer, Services

from . import handler
from .schema import SettingsChanges

router = APIRouter(tags=["settings"])


@router.put("/settings")
async def update_settings(changes: SettingsChanges, services: Services) -> Answer[SiteSettings]:
    """Change some of the settings, or all; what is left out stays.

    While `signups_open` is false nobody can sign up.
    """
    return Answer(await services.call(handler.update_settings, changes=changes))
