"""The cached read of the site's settings, and the live topic."""

from features.shared.settings import SettingsChanged
from kernel import Topic
from kernel.cache import Cached, everyone, hours

SETTINGS = Cached("settings:global", ttl=hours(24), audience=everyone, drop_on=(SettingsChanged,))
TOPIC = Topic("settings", on=SettingsChanged, audience=everyone)
