"""Small applications of slices that a test writes itself."""

from typing import Any

from fastapi import APIRouter

from kernel import Feature
from kernel.config.settings import Settings
from kernel.web.routing import Answer


def feature(name: str = "call", **options: Any) -> Feature:
    """Return a slice with one call, GET /<name>; anyone may call unless `options` say otherwise."""
    router = APIRouter()

    @router.get(f"/{name}")
    async def call() -> Answer[str]:
        return Answer("done")

    return Feature(router=router, **{"caller": "ignored", **options})


def changed(settings: Settings, **changes: Any) -> Settings:
    """Return the settings with these changes, which are validated like environment variables."""
    return Settings.model_validate(settings.model_dump() | changes)
