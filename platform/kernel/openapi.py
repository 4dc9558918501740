"""What the OpenAPI document says that FastAPI cannot know by itself."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI

from kernel.routes import Route

SCHEME: Final = "bearer"
_SCHEME_OBJECT: Final = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
_REQUIREMENTS: Final[dict[str, list[dict[str, list[str]]]]] = {
    "required": [{SCHEME: []}],
    "optional": [{SCHEME: []}, {}],
    "ignored": [],
}


def describe(app: FastAPI, routes: Sequence[Route]) -> None:
    """Add to the document who may call what: the Edge decides it, so FastAPI does not see it."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = {SCHEME: _SCHEME_OBJECT}
            for route in routes:
                operation = schema["paths"].get(route.path, {}).get(route.method.lower())
                if operation is not None:
                    operation["security"] = _REQUIREMENTS[route.feature.caller]
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it
