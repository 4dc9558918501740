"""Settings: read once from the environment, validated together, explained in .env.example."""

from kernel.config.own import OwnSettings
from kernel.config.settings import Settings, SettingsError, load_settings

__all__ = ["OwnSettings", "Settings", "SettingsError", "load_settings"]
