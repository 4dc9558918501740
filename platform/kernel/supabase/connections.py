"""The connections to Supabase: aiohttp's, below httpx."""

from typing import Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from httpx_aiohttp import AiohttpTransport

_REPEATABLE: Final = "GET"


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke before an answer came; whether the request was done nobody knows."""


def connections() -> AiohttpTransport:
    """Return httpx's transport over connections of aiohttp, made with the first request.

    Their number has no limit here: the bulkheads are the limit.
    """
    return AiohttpTransport(client=_session)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_repeat_reads_only,),
    )


async def _repeat_reads_only(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from sending anything but a GET a second time.

    A server may close a pooled connection just when a request goes out. aiohttp then repeats the
    request once where its method is idempotent (RFC 9112, 9.3.1), and PUT and DELETE are: but the
    first may have been done, and a second PUT of a user sends a second mail. aiohttp repeats on
    these two errors alone, so another error ends it.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == _REPEATABLE or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise ConnectionLost(str(error)) from error
