"""The headers of every response: security headers, and CORS if configured."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from kernel.cache.stored import RenderedResponse
from kernel.errors import PreflightRefused

Block = tuple[tuple[bytes, bytes], ...]

_CSP: Final = b"content-security-policy"
_SECURITY: Final[Block] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
# An API response is not a page: a browser that shows it anyway must not run or frame anything.
_NO_PAGE: Final[Block] = (
    (_CSP, b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_VARY: Final = (b"vary", b"Origin")
_OF_PAGES: Final = frozenset(name for name, _ in _NO_PAGE)
_REFUSED: Final = 400
_EXPOSED: Final = (
    "X-Request-ID",
    "Location",
    "Retry-After",
    "ETag",
    "X-Cache",
    "RateLimit-Policy",
    "RateLimit",
    "Idempotency-Replayed",
)


class StandingHeaders:
    """Precomputed blocks of headers; `https` adds Strict-Transport-Security.

    Pages of the origins may call the API from a browser; `*` allows any origin, an empty set none.
    """

    def __init__(self, *, https: bool = False, origins: Sequence[str] = ()) -> None:
        self.https = https
        self._plain: Block = (*_SECURITY, *_NO_PAGE, *((_HSTS,) if https else ()))
        self._cors: CORSMiddleware | None = None
        self._by_origin: dict[bytes, Block] = {}
        self._other = self._plain
        if origins:
            # Only its responses to preflight requests are used.
            self._cors = CORSMiddleware(
                _nobody,
                allow_origins=origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=_EXPOSED,
            )
            exposed = (b"access-control-expose-headers", ", ".join(_EXPOSED).encode())
            self._plain = (*self._plain, _VARY)
            self._other = (*self._plain, exposed)
            if "*" in origins:
                self._other = (*self._other, (b"access-control-allow-origin", b"*"))
            for origin in map(str.encode, origins):
                allowed = (b"access-control-allow-origin", origin)
                self._by_origin[origin] = (*self._plain, exposed, allowed)

    def of(self, origin: bytes | None) -> Block:
        """Return the block for the response to a request with this Origin header."""
        return self._plain if origin is None else self._by_origin.get(origin, self._other)

    def preflight(self, scope: Scope, origin: bytes | None) -> RenderedResponse | None:
        """Return the response to a preflight request, None for others. Raises PreflightRefused."""
        if self._cors is None or origin is None:
            return None
        headers = Headers(scope=scope)
        if "access-control-request-method" not in headers:
            return None
        answer = self._cors.preflight_response(headers)
        if answer.status_code == _REFUSED:
            raise PreflightRefused
        # `of` adds the others.
        own = [one for one in answer.raw_headers if one[0] not in {b"vary", *_OF_PAGES}]
        own = [one for one in own if one[0] != b"access-control-allow-origin"]
        return RenderedResponse(answer.status_code, own, bytes(answer.body))


def added(sent: Sequence[tuple[bytes, bytes]], block: Block) -> Block:
    """Return the headers of a block that the route did not set itself.

    A route that sets a Content-Security-Policy also decides about framing.
    """
    own = {name for name, _ in sent} - {b"vary"}
    if own.isdisjoint(name for name, _ in block):
        return block
    if _CSP in own:
        own |= _OF_PAGES
    return tuple(one for one in block if one[0] not in own)


async def _nobody(_: Scope, __: Receive, ___: Send) -> None:
    raise AssertionError("only preflight requests are passed on")
