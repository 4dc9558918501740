"""The settings that a checkout has: the environment over `.env`."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from devstack.errors import StackError


def read_settings(root: Path) -> dict[str, str]:
    """Return the environment and, where it says nothing, what `.env` says."""
    written = dotenv_values(root / ".env")
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def refuse_production(settings: Mapping[str, str]) -> None:
    """Raise StackError where these are the settings of a production system."""
    if settings.get("APP_ENV", "").strip().lower() == "production":
        raise StackError(
            "APP_ENV is production, and the local stack is for development alone: take APP_ENV "
            "out of the environment and .env, or run the production processes (./app api)."
        )
