"""Responses, with status and headers that SQL functions and triggers set."""

from typing import Final

import orjson
from starlette.responses import Response

from devstack.gateway.rest.database import Result
from devstack.gateway.rest.errors import RestError
from devstack.gateway.rest.request import Media

_STATUSES: Final = range(200, 600)


def answer(
    status: int,
    result: Result,
    headers: dict[str, str],
    media: Media | None = None,
    body: str = "",
) -> Response:
    """Return a response; without `media` it has no body.

    The settings response.status and response.headers override the arguments. Raises RestError (500
    PGRST111, PGRST112) if SQL left them in a form that PostgREST does not accept.
    """
    if result.status:
        if not result.status.isdecimal() or int(result.status) not in _STATUSES:
            message = "response.status guc must be a valid status code"
            raise RestError(500, "PGRST112", message)
        status = int(result.status)
    if media is not None:
        headers = headers | {"content-type": media.content_type}
    headers = headers | _set_headers(result.headers)
    return Response(body if media is not None else b"", status, headers)


def _set_headers(setting: str) -> dict[str, str]:
    """Read `[{"name": "value"}, …]`."""
    try:
        listed = orjson.loads(setting or "[]")
        pairs = [next(iter(entry.items())) for entry in listed if len(entry) == 1]
        valid = isinstance(listed, list) and len(pairs) == len(listed)
        headers = {name.lower(): value for name, value in pairs}
        valid = valid and all((n + v).isascii() and (n + v).isprintable() for n, v in pairs)
    except (ValueError, TypeError, AttributeError):
        valid, headers = False, {}
    if not valid:
        message = (
            "response.headers guc must be a JSON array composed of objects "
            "with a single key and a string value"
        )
        raise RestError(500, "PGRST111", message)
    return headers
