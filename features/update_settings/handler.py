from features.shared.settings import SETTINGS_ID, SettingsChanged, SiteSettings
from kernel.cache import Announce
from kernel.identity import Audit
from kernel.supabase import AsCaller

from .schema import SettingsChanges


async def update_settings(
    db: AsCaller, announce: Announce, audit: Audit, *, changes: SettingsChanges
) -> SiteSettings:
    """Change the settings and return all of them; row security admits only admins."""
    change = db.table("settings").update(changes.sent)
    changed = await change.eq("id", SETTINGS_ID).execute()
    await announce(SettingsChanged(settings_id=SETTINGS_ID))
    await audit("settings_changed", fields=", ".join(sorted(changes.sent)))
    return SiteSettings.model_validate(changed.data[0])
