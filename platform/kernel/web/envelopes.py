"""The envelopes of every response body: one value, a page of values, an error."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

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
