"""The settings of the site, as the API returns them."""

from typing import Final

from pydantic import BaseModel, Field

from kernel.events import Event

SETTINGS_ID: Final = "global"
"""The id of the one row of `public.settings`."""


class SiteSettings(BaseModel):
    """The public settings of the site, and whether sign-ups are open."""

    site_name: str = Field(examples=["Ada's Notebook"])
    announcement: str | None = Field(
        description="null without an announcement", examples=["Closed on Sunday."]
    )
    signups_open: bool


class SettingsChanged(Event):
    """The settings were changed."""

    settings_id: str
