from features.shared.settings import SETTINGS_ID, SiteSettings
from kernel.supabase import AsCaller


async def get_settings(db: AsCaller) -> SiteSettings:
    """Return the settings."""
    found = await db.table("settings").select("*").eq("id", SETTINGS_ID).limit(1).execute()
    return SiteSettings.model_validate(found.data[0])
