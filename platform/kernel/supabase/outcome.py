"""Whether a request that failed may have been carried out all the same."""

from typing import Final

import aiohttp
import httpx

from kernel.errors import ApiError
from kernel.supabase.answers import json_object
from kernel.supabase.exchange import Request, Response

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Calls of Auth that may be repeated: a second session or a second logout harms nobody.
_REPEATABLE: Final = ("/auth/v1/token", "/auth/v1/logout")
_REPEATABLE_BY_KEY: Final = "idempotency-key"
# Errors before the request was sent.
_UNSENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, httpx.PoolTimeout)
# A proxy lost or gave up a server that had the request. 503, and Cloudflare's 521 to 523, say that
# there was none; a 500 comes from the server itself, which has rolled back.
_UNKNOWN: Final = frozenset({502, 504, 520, 524})
_NO_CONNECTION: Final = "PGRST00"  # PostgREST had no connection to the database


def marked(error: ApiError, request: Request, cause: Exception | Response) -> ApiError:
    """Return the error; note whether the request that it is about may have been carried out."""
    error.may_have_acted = _is_write(request) and (
        _was_sent(cause) if isinstance(cause, Exception) else _reached(cause)
    )
    return error


def _is_write(request: Request) -> bool:
    if request.method in _SAFE or _REPEATABLE_BY_KEY in request.headers:
        return False
    return not request.url.path.endswith(_REPEATABLE)


def _was_sent(error: Exception) -> bool:
    return not any(isinstance(one, _UNSENT) for one in (error, error.__cause__))


def _reached(response: Response) -> bool:
    if response.status_code not in _UNKNOWN:
        return False
    return not str(json_object(response).get("code")).startswith(_NO_CONNECTION)
