"""The routes of Supabase Storage as an ASGI application."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeAlias

import asyncpg
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from devstack.gateway.claims import TokenRefused, bearer_token, caller_claims
from devstack.gateway.config import GatewayConfig
from devstack.gateway.jsonb import speak_json
from devstack.gateway.storage import buckets, downloads, objects, tus, uploads
from devstack.gateway.storage.disk import Disk
from devstack.gateway.storage.errors import (
    StorageError,
    access_denied,
    as_response,
    from_postgres,
    invalid_request,
    unsupported,
)
from devstack.gateway.storage.exchange import Exchange
from devstack.gateway.storage.resumable import Resumables

_log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Exchange], Awaitable[Response]]
Table: TypeAlias = list[tuple[str, str, Handler, str]]

_OBJECT = "{bucket}/{name:path}"
# Method, path, handler, and the operation that policies can ask for. The first match decides, so
# HEAD is before GET, and a fixed word before a bucket.

# A token is checked, if there is one; the handler decides what is open without.
_OPEN: Table = [
    ("HEAD", f"/object/public/{_OBJECT}", downloads.head_public, "storage.object.info_public"),
    ("GET", f"/object/public/{_OBJECT}", downloads.get_public, "storage.object.get_public"),
    ("GET", f"/object/info/public/{_OBJECT}", downloads.info_public, "storage.object.info_public"),
    ("GET", f"/object/sign/{_OBJECT}", downloads.get_signed, "storage.object.get_signed"),
    (
        "PUT",
        f"/object/upload/sign/{_OBJECT}",
        uploads.upload_signed,
        "storage.object.upload_signed",
    ),
]
_WITH_TOKEN: Table = [
    ("GET", "/bucket", buckets.list_buckets, "storage.bucket.list"),
    ("POST", "/bucket", buckets.create, "storage.bucket.create"),
    ("GET", "/bucket/{bucket}", buckets.get, "storage.bucket.get"),
    ("PUT", "/bucket/{bucket}", buckets.update, "storage.bucket.update"),
    ("DELETE", "/bucket/{bucket}", buckets.delete, "storage.bucket.delete"),
    ("POST", "/bucket/{bucket}/empty", buckets.empty, "storage.bucket.empty"),
    (
        "POST",
        f"/object/upload/sign/{_OBJECT}",
        uploads.sign_upload,
        "storage.object.sign_upload_url",
    ),
    ("POST", "/object/sign/{bucket}", downloads.sign_many, "storage.object.sign_many"),
    ("POST", f"/object/sign/{_OBJECT}", downloads.sign_one, "storage.object.sign"),
    ("POST", "/object/list/{bucket}", objects.list_folder, "storage.object.list"),
    ("POST", "/object/list-v2/{bucket}", objects.list_v2, "storage.object.list_v2"),
    ("POST", "/object/move", objects.move, "storage.object.move"),
    ("POST", "/object/copy", objects.copy, "storage.object.copy"),
    ("HEAD", f"/object/authenticated/{_OBJECT}", downloads.head, "object.head_authenticated_info"),
    ("GET", f"/object/authenticated/{_OBJECT}", downloads.get, "storage.object.get_authenticated"),
    (
        "GET",
        f"/object/info/authenticated/{_OBJECT}",
        downloads.info,
        "object.get_authenticated_info",
    ),
    ("DELETE", "/object/{bucket}", objects.remove_many, "storage.object.delete_many"),
    ("DELETE", f"/object/{_OBJECT}", objects.remove, "storage.object.delete"),
    ("POST", f"/object/{_OBJECT}", uploads.create, "storage.object.upload"),
    ("PUT", f"/object/{_OBJECT}", uploads.replace, "storage.object.upload_update"),
]
_OPEN_LAST: Table = [
    ("GET", f"/object/info/{_OBJECT}", downloads.info, "object.get_authenticated_info"),
    ("HEAD", f"/object/{_OBJECT}", downloads.head, "object.head_authenticated_info"),
    ("GET", f"/object/{_OBJECT}", downloads.get, "storage.object.get_authenticated"),
]
_RESUMABLE = "/upload/resumable"
_TUS: Table = [
    ("POST", "", tus.create, "storage.tus.upload.create"),
    ("HEAD", "/{id}", tus.head, "storage.tus.upload.get"),
    ("PATCH", "/{id}", tus.patch, "storage.tus.upload.part"),
    ("DELETE", "/{id}", tus.terminate, "storage.tus.upload.delete"),
]
_TUS_OPTIONS: Table = [
    ("OPTIONS", path, tus.options, "storage.tus.options")
    for path in (_RESUMABLE, f"{_RESUMABLE}/{{id:path}}")
]
# With the token of a signed upload, in a header of its own; before `{id}`, which `sign` could be.
_TUS_SIGNED: Table = [
    (method, f"{_RESUMABLE}/sign{path}", handler, f"{operation}_signed")
    for method, path, handler, operation in _TUS
]
_TUS_AS_CALLER: Table = [
    (method, f"{_RESUMABLE}{path}", handler, operation) for method, path, handler, operation in _TUS
]
# The real server has these; here each answers with a sentence, by the first part of the path.
_UNSUPPORTED = {
    "render": "image transformations",
    "s3": "the S3 protocol",
    "iceberg": "analytics buckets",
    "vector": "vector buckets",
    "cdn": "a CDN",
}


class StorageServer:
    """Supabase Storage at one path: an ASGI application, and the context that it runs in."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config, self._disk = config, Disk(config.storage_folder)
        self._resumables = Resumables(self._disk)
        opened = ((_TUS_OPTIONS, False), (_TUS_SIGNED, False), (_OPEN, False))
        tables = (*opened, (_TUS_AS_CALLER, True), (_WITH_TOKEN, True), (_OPEN_LAST, False))
        routes = [self._route(*row, keyed=keyed) for table, keyed in tables for row in table]
        self._app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})
        self._app.router.redirect_slashes = False

    async def __aenter__(self) -> Self:
        await self._disk.open()
        await self._resumables.open()
        self._pool = await asyncpg.create_pool(
            self._config.database_url,
            user="supabase_storage_admin",
            password="postgres",  # noqa: S106 - the local stack's, as its bootstrap sets it
            min_size=1,
            max_size=self._config.db_pool_size,
            init=speak_json,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        await self._disk.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def _route(
        self, method: str, path: str, handler: Handler, operation: str, *, keyed: bool
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                exchange = Exchange(
                    config=self._config,
                    pool=self._pool,
                    disk=self._disk,
                    resumables=self._resumables,
                    request=request,
                    operation=operation,
                    claims=self._claims(request, keyed=keyed),
                )
                return await handler(exchange)
            except StorageError as error:
                return as_response(error)
            except asyncpg.PostgresError as error:
                return as_response(from_postgres(error))
            except ClientDisconnect:
                return Response(status_code=499)
            except (asyncpg.InterfaceError, OSError) as error:
                _log.error("storage failed: %r", error)
                return as_response(
                    StorageError(500, "InternalError", "Internal Server Error", http=500)
                )

        return Route(path, endpoint, methods=[method])

    def _claims(self, request: Request, *, keyed: bool) -> dict[str, Any] | None:
        # The hosted gateway makes a token from a key without one.
        token = bearer_token(request.headers) or request.headers.get("apikey")
        if token is None:
            if keyed:
                message = "headers must have required property 'authorization'"
                raise invalid_request(message, error="Error")
            return None
        try:
            return caller_claims(self._config, token)
        except TokenRefused as refused:
            if keyed:
                raise access_denied(refused.message) from None
            return None


async def _not_found(request: Request, _: Exception) -> Response:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    feature = _UNSUPPORTED.get(path.strip("/").split("/")[0])
    if feature:
        return as_response(unsupported(feature))
    message = f"Route {request.method}:{path} not found"
    return as_response(StorageError(404, "InvalidRequest", message, error="Not Found", http=404))
