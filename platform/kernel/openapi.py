"""What the OpenAPI document says that FastAPI cannot know by itself."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI

from kernel.routes import Route

INTRODUCTION: Final = (
    "Calls with a lock need an access token. Sign up or log in, copy the `access_token` of the "
    "answer, and paste it under **Authorize**."
)
SCHEME: Final = "bearer"
_SCHEME_OBJECT: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The `access_token` that a login answers.",
}
_REQUIREMENTS: Final[dict[str, list[dict[str, list[str]]]]] = {
    "required": [{SCHEME: []}],
    "optional": [{SCHEME: []}, {}],
    "ignored": [],
}
_NOT_MODIFIED: Final = {"description": "If-None-Match names the ETag of the answer."}


def describe(app: FastAPI, routes: Sequence[Route]) -> None:
    """Add to the document what the Edge decides, and FastAPI does not see.

    That is who may call what, and which answers are not sent again to who has them.
    """
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
                    if route.cache is not None:
                        operation["responses"].setdefault("304", _NOT_MODIFIED)
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it
