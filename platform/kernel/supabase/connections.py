"""The connections to Supabase: aiohttp's, below httpx."""

from typing import Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from httpx_aiohttp import AiohttpTransport

_REPEATABLE: Final = "GET"


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke before a response came; the server may or may not have acted."""


def connections() -> AiohttpTransport:
    """Return an httpx transport over aiohttp connections, created with the first request.

    The number of connections is unlimited here: the bulkheads limit it.
    """
    return AiohttpTransport(client=_session)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_repeat_reads_only,),
    )


async def _repeat_reads_only(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from repeating any request other than a GET.

    A server may close a pooled connection just when a request is sent. aiohttp then repeats the
    request once if its method is idempotent (RFC 9112, 9.3.1), such as PUT and DELETE. But the
    server may have executed the first one, and a second PUT of a user sends a second mail. aiohttp
    repeats only after these two errors, so another error prevents it.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == _REPEATABLE or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise ConnectionLost(str(error)) from error
