from fastapi import APIRouter

from features.shared.settings import SiteSettings
from kernel.web import Answer, Services

from . import handler
from .schema import SettingsChanges

router = APIRouter(tags=["settings"])


@router.put("/settings")
async def update_settings(changes: SettingsChanges, services: Services) -> Answer[SiteSettings]:
    """Change some or all settings; omitted fields stay unchanged.

    While `signups_open` is false sign-ups are refused.
    """
    return Answer(await services.call(handler.update_settings, changes=changes))
