from fastapi import APIRouter

from features.shared.settings import SiteSettings
from kernel.cache import Announce
from kernel.identity import Audit
from kernel.supabase import AsCaller
from kernel.web import Answer, Services

from . import handler
from .schema import SettingsChanges

router = APIRouter(tags=["settings"])


@router.put("/settings")
async def update_settings(changes: SettingsChanges, services: Services) -> Answer[SiteSettings]:
    """Change some or all settings; omitted fields stay unchanged.

    While `signups_open` is false sign-ups are refused.
    """
    parts = await services.aget(AsCaller, Announce, Audit)
    return Answer(await handler.update_settings(*parts, changes))
