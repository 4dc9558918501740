from features.shared.settings import SETTINGS_ID, SettingsChanged, SiteSettings
from kernel.cache import Announce
from kernel.errors import PreconditionFailed
from kernel.identity import Audit
from kernel.supabase import AsCaller
from kernel.web import Precondition

from .schema import SettingsChanges


async def update_settings(
    db: AsCaller,
    announce: Announce,
    audit: Audit,
    condition: Precondition,
    *,
    changes: SettingsChanges,
) -> SiteSettings:
    """Change the settings and return all of them; row security admits only admins.

    Raises PreconditionFailed.
    """
    change = db.table("settings").update(changes.sent).eq("id", SETTINGS_ID)
    changed = await condition.on(change, *SiteSettings.model_fields)
    if not changed:
        raise PreconditionFailed
    await announce(SettingsChanged(settings_id=SETTINGS_ID))
    await audit("settings_changed", fields=", ".join(sorted(changes.sent)))
    return SiteSettings.model_validate(changed[0])
