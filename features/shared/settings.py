"""The settings of the site, as the API shows them."""

from typing import Final

from pydantic import BaseModel, Field

from kernel.events import Event

SETTINGS_ID: Final = "global"
"""The id of the one row of `public.settings`."""


class SiteSettings(BaseModel):
    """What clients show of the site, and whether it takes new users."""

    site_name: str = Field(examples=["Ada's Notebook"])
    announcement: str | None = Field(
        description="null while there is nothing to announce", examples=["Closed on Sunday."]
    )
    signups_open: bool


class SettingsChanged(Event):
    """The settings were changed."""

    settings_id: str
