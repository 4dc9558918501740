"""The settings of a checkout: the environment, then `.env`."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from devstack.errors import StackError


def read_settings(root: Path) -> dict[str, str]:
    """Return the environment's settings and, for missing ones, those of `.env`."""
    written = dotenv_values(root / ".env")
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def refuse_production(settings: Mapping[str, str]) -> None:
    """Raise StackError if these are the settings of a production system."""
    if settings.get("APP_ENV", "").strip().lower() == "production":
        raise StackError(
            "APP_ENV is production, but the local stack is only for development: remove APP_ENV "
            "from the environment and .env, or run the production processes (./app api)."
        )
