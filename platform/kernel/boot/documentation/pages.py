"""The routes: `GET /` links to the documentation, /docs is Swagger UI, with local files.

Swagger UI's own two files come from the package fastapi-offline (MIT; Swagger UI itself is
Apache-2.0), so that the page needs no other server.
"""

from functools import lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from kernel.cache.stored import etag_of
from kernel.web.routing import PREFIX

ROOT: Final = "/"
DOCS: Final = "/docs"
OPENAPI: Final = "/openapi.json"

_OURS: Final = Path(__file__).parent
_SWAGGER_UI: Final = Path(str(files("fastapi_offline"))) / "static"
_FILES: Final = {
    f"{DOCS}/swagger-ui.css": (_SWAGGER_UI / "swagger-ui.css", "text/css"),
    f"{DOCS}/swagger-ui.js": (_SWAGGER_UI / "swagger-ui-bundle.js", "text/javascript"),
    f"{DOCS}/start.css": (_OURS / "start.css", "text/css"),
    f"{DOCS}/start.js": (_OURS / "start.js", "text/javascript"),
}
# Nothing inline, nothing from other hosts; Swagger UI's icons are data: URLs in its style sheet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Revalidated each time with 304, so that an upgrade of the package is visible immediately.
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_pages(app: FastAPI, *, documented: bool) -> frozenset[str]:
    """Add `/` and, if the documentation is enabled, /docs; return all paths at the root.

    The paths include the OpenAPI document's, which is FastAPI's own route.
    """
    links = {"documentation": DOCS, "openapi": OPENAPI} if documented else {}
    body = {"success": True, "data": {"name": app.title, "api": PREFIX, **links}}

    async def root(_: Request) -> Response:
        return JSONResponse(body, headers={"Cache-Control": "no-cache"})

    app.add_route(ROOT, root, include_in_schema=False)
    if not documented:
        return frozenset({ROOT})
    page = Template((_OURS / "index.html").read_text(encoding="utf-8"))
    html = page.substitute(title=escape(app.title)).encode()

    async def docs(_: Request) -> Response:
        return Response(html, media_type="text/html", headers=_HEADERS)

    async def file(request: Request) -> Response:
        path, kind = _FILES[request.url.path]
        content, etag = _read(path)
        return Response(content, media_type=kind, headers={**_HEADERS, "ETag": etag})

    app.add_route(DOCS, docs, include_in_schema=False)
    for path in _FILES:
        app.add_route(path, file, include_in_schema=False)
    return frozenset({ROOT, DOCS, OPENAPI, *_FILES})


@lru_cache
def _read(path: Path) -> tuple[bytes, str]:
    """Return a file and its ETag; cached, because one of 1.5 MB should be hashed only once."""
    content = path.read_bytes()
    return content, etag_of(content).decode()
