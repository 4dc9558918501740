"""The cached read of the site's settings."""

from features.shared.settings import SettingsChanged
from kernel.cache import Cached, everyone, hours

SETTINGS = Cached("settings:global", ttl=hours(24), audience=everyone, drop_on=(SettingsChanged,))
