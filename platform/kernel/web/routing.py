"""Helpers for routes: the prefix of paths, the envelopes, and the list of errors."""

from typing import Any, Final

from kernel.errors import ApiError
from kernel.web.envelopes import Answer, Failure, Page
from kernel.web.services import Services

PREFIX: Final = "/api/v1"

__all__ = ["PREFIX", "Answer", "Page", "Services", "raises"]


def raises(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for OpenAPI from a route's errors: `responses=raises(PostNotFound)`."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = responses.setdefault(
            error.status,
            {
                "model": Failure,
                "description": "",
                "content": {"application/json": {"examples": {}}},
            },
        )
        known["description"] = " ".join(filter(None, [known["description"], error.message]))
        known["content"]["application/json"]["examples"][error.code] = {
            "value": {
                "success": False,
                "error": {
                    "code": error.code,
                    "message": error.message,
                    "details": {"request_id": "0f8fad5bd9cb469fa16570867728950e"},
                },
            }
        }
    return responses
