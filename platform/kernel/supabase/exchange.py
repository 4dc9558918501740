"""A request and its response, as the guards before Supabase see them.

Auth's are those of httpx. PostgREST's are the small ones of this module: they have what its client
library reads of httpx's, and cost less to make.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

_FIRST_ERROR: Final = 400
_FIRST_REDIRECT: Final = 300
_FIRST_SUCCESS: Final = 200
_SERVER_ERROR: Final = 500


class _Place(Protocol):
    @property
    def path(self) -> str: ...


class Request(Protocol):
    """What the guards read of a request."""

    @property
    def method(self) -> str:
        """In capitals."""
        ...

    @property
    def url(self) -> _Place:
        """Its `path` is decoded."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""
        ...


class Response(Protocol):
    """What the guards read of a response."""

    @property
    def request(self) -> Request:
        """The request that it answers."""
        ...

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""
        ...

    @property
    def content(self) -> bytes:
        """The whole body."""
        ...

    @property
    def text(self) -> str:
        """The body, decoded."""
        ...


class Place(NamedTuple):
    """Where a request goes."""

    path: str


class TableRequest(NamedTuple):
    """A request to PostgREST; `headers` have names in lower case."""

    method: str
    url: Place
    headers: dict[str, str]


class TableResponse:
    """A response of PostgREST, read to its end."""

    __slots__ = ("content", "headers", "reason_phrase", "request", "status_code")

    def __init__(
        self,
        request: TableRequest,
        status: int,
        reason: str | None,
        headers: Mapping[str, str],
        content: bytes,
    ) -> None:
        self.request, self.status_code, self.reason_phrase = request, status, reason or ""
        self.headers, self.content = headers, content

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 2xx."""
        return _FIRST_SUCCESS <= self.status_code < _FIRST_REDIRECT

    @property
    def text(self) -> str:
        """The body; PostgREST writes UTF-8, a proxy may not."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the decoded body. Raises ValueError."""
        return json.loads(self.content)


def failed(response: Response) -> bool:
    """Return whether the server itself failed: 5xx."""
    return response.status_code >= _SERVER_ERROR


def refused(response: Response) -> bool:
    """Return whether the server refused the request: 4xx."""
    return _FIRST_ERROR <= response.status_code < _SERVER_ERROR
