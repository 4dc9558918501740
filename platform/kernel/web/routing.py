"""Helpers for routes: the prefix of paths, the envelopes, and the list of errors."""

from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from kernel.errors import ApiError
from kernel.web.services import Services

T = TypeVar("T")


class Answer(BaseModel, Generic[T]):
    """`{"success": true, "data": …}`."""

    success: Literal[True] = True
    data: T

    def __init__(self, data: T, **fields: Any) -> None:
        super().__init__(data=data, **fields)


class Page(BaseModel, Generic[T]):
    """`{"success": true, "data": [], "page", "page_size", "total", "has_next"}`.

    `page` counts from 1; `total` is the number of values on all pages together.
    """

    success: Literal[True] = True
    data: list[T]
    page: int = Field(examples=[1])
    page_size: int = Field(examples=[20])
    total: int = Field(examples=[42])
    has_next: bool

    @classmethod
    def of(cls, data: list[T], *, page: int, page_size: int, total: int) -> "Page[T]":
        """Return the page; `has_next` is computed."""
        has_next = page * page_size < total
        return cls(data=data, page=page, page_size=page_size, total=total, has_next=has_next)


class ErrorBody(BaseModel):
    """`code` is stable and for programs, `message` for people; `details` holds the request id."""

    code: str
    message: str
    details: dict[str, Any]


class Failure(BaseModel):
    """`{"success": false, "error": {"code", "message", "details"}}`."""

    success: Literal[False] = False
    error: ErrorBody


PREFIX: Final = "/api/v1"
LOCATION: Final[dict[str, Any]] = {
    "headers": {
        "Location": {
            "description": "The URL of what was created.",
            "required": True,
            "schema": {"type": "string", "format": "uri-reference"},
        }
    }
}
"""What OpenAPI says of a 201: `responses={**raises(…), 201: LOCATION}`."""

__all__ = ["LOCATION", "PREFIX", "Answer", "Page", "Services", "raises"]


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
