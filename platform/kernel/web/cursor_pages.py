"""Pages by cursor: they neither repeat nor skip values while others are inserted or deleted.

See docs/how-to/cursor-pages.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders

from kernel.core.cursors import PAGE_SIZE, Cursor, ListCursors, Place
from kernel.errors import ValidationFailed

T = TypeVar("T")
Item = TypeVar("Item", bound=BaseModel)


class InvalidCursor(ValidationFailed):
    """The cursor is not one of this list: of another list, of other filters, or invented."""

    code = "INVALID_CURSOR"
    message = "This is not a cursor of this list: begin again without one."
    field = "query.cursor"
    field_message = None


class CursorPaging(BaseModel):
    """The query of a list with pages by cursor; a subclass adds filters, which cursors include."""

    cursor: Cursor | None = Field(
        default=None,
        description="`next` or `prev` of a page of this list; without it, the first page",
    )
    page_size: int = Field(default=20, ge=1, le=100, description="values on a page")


class CursorPage(BaseModel, Generic[T]):
    """`{"success": true, "data": [], "next", "prev", "page_size"}`, newest first.

    `next` is the cursor of the page with older values, `prev` of that with newer ones; null where
    there is none.
    """

    success: Literal[True] = True
    data: list[T]
    next: Cursor | None
    prev: Cursor | None
    page_size: int = Field(examples=[20])


LINKS: Final[dict[str, Any]] = {
    "headers": {
        "Link": {
            "description": "The `first`, `prev` and `next` page (RFC 8288), where there is one.",
            "required": True,
            "schema": {"type": "string"},
        }
    }
}
"""What OpenAPI says of a page's response: `responses={**raises(InvalidCursor), 200: LINKS}`."""


class PagePlan:
    """One page: where it begins, for the SQL function, and the page from the rows that it finds."""

    def __init__(
        self,
        cursors: "Cursors",
        paging: CursorPaging,
        filters: Mapping[str, object],
        place: Place | None,
    ) -> None:
        self._cursors, self._paging, self._filters = cursors, paging, filters
        self._place = place

    @property
    def arguments(self) -> dict[str, Any]:
        """The SQL function's `from_time`, `from_id`, `backward` and `page_size`."""
        place = self._place
        return {
            "from_time": place.time if place else None,
            "from_id": str(place.id) if place else None,
            "backward": place.backward if place else False,
            "page_size": self._paging.page_size,
        }

    def page(self, rows: Iterable[Mapping[str, Any]], kind: type[Item]) -> CursorPage[Item]:
        """Return the page, and set the response's Link header.

        The rows are those of the SQL function, at most one more than the page has. Each has an `id`
        and a `position`, its time in microseconds since 1970.
        """
        size, place = self._paging.page_size, self._place
        found = sorted(rows, key=lambda row: (row["position"], row["id"]), reverse=True)
        goes_on = len(found) > size
        backward = place is not None and place.backward
        shown = found[-size:] if backward else found[:size]
        older = newer = None
        if shown:
            newest, oldest = _place_of(shown[0]), _place_of(shown[-1])
            older = oldest if goes_on or backward else None
            newer = newest._replace(backward=True) if place and (goes_on or not backward) else None
        elif place is not None:  # all values on this side were deleted: the way back is left
            older, newer = (place.turned(), None) if backward else (None, place.turned())
        page = CursorPage[Item](
            data=[kind.model_validate(row) for row in shown],
            next=self._cursor(older),
            prev=self._cursor(newer),
            page_size=size,
        )
        self._cursors.headers["link"] = self._links(first="", prev=page.prev, next=page.next)
        return page

    def _cursor(self, place: Place | None) -> Cursor | None:
        return self._cursors.of_list.write(place, self._filters) if place is not None else None

    def _links(self, **pages: str | None) -> str:
        own = self._paging.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"cursor"}
        )
        queries = {
            relation: urlencode(own | ({"cursor": cursor} if cursor else {}), doseq=True)
            for relation, cursor in pages.items()
            if cursor is not None
        }
        path = self._cursors.path
        return ", ".join(f'<{path}?{query}>; rel="{name}"' for name, query in queries.items())


def _place_of(row: Mapping[str, Any]) -> Place:
    return Place(row["position"], UUID(row["id"]))


class Cursors:
    """The cursors of the slice's list: a handler asks for this service.

    plan = cursors.open(paging)
    rows = await db.rpc("browse_notes", **plan.arguments)
    return plan.page(rows, Note)
    """

    def __init__(self, of_list: ListCursors, path: str, headers: MutableHeaders) -> None:
        self.of_list, self.path, self.headers = of_list, quote(path), headers

    def open(self, paging: CursorPaging, **in_path: object) -> PagePlan:
        """Return what the page needs. Raises InvalidCursor.

        A cursor is valid with the filters that it was made for: the other fields of `paging`, and
        the parameters of the path, which `in_path` has: `cursors.open(paging, user_id=user_id)`.
        """
        filters = paging.model_dump(by_alias=True, exclude={"cursor", PAGE_SIZE}) | in_path
        place = None
        if paging.cursor is not None:
            try:
                place = self.of_list.read(paging.cursor, filters)
            except ValueError:
                raise InvalidCursor from None
        return PagePlan(self, paging, filters, place)
