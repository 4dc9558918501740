"""/rest/v1: from a request to its one statement, and from the result to the response."""

from typing import Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from devstack.gateway.claims import (
    KeyRefused,
    TokenRefused,
    bearer_token,
    caller_claims,
    check_api_key,
)
from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest.database import Context, Database
from devstack.gateway.rest.errors import RestError, from_token, unsupported
from devstack.gateway.rest.exchange import Exchange, call, read, write
from devstack.gateway.rest.request import Preferences, negotiate

_PROFILES = ("accept-profile", "content-profile")


class RestApi:
    """The tables and functions of the schema public, as in PostgREST 13.

    An ASGI application for Mount("/rest/v1"), and an async context manager that opens and closes
    its connections. Unsupported requests are answered with 501 and a sentence.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._database = Database(config)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._database.__aexit__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except KeyRefused as refused:
            response = JSONResponse(refused.body, 401)
        except TokenRefused as refused:
            response = from_token(refused).response()
        except RestError as refused:
            response = refused.response()
        except ClientDisconnect:
            return
        if request.method == "HEAD":
            response.body = b""
            del response.headers["content-length"]
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        context = self._context(request, path)
        for profile in _PROFILES:
            schema = request.headers.get(profile, "public")
            if schema != "public":
                hint = "Only the following schemas are exposed: public"
                raise RestError(406, "PGRST106", f"Invalid schema: {schema}", hint=hint)
        exchange = Exchange(
            self._database,
            context,
            request.scope["query_string"],
            await request.body(),
            request.headers,
            self._config.max_rows,
            Preferences(request.headers.getlist("prefer")),
            negotiate(request.headers.get("accept")),
        )
        segments = path.strip("/").split("/")
        try:
            return await self._dispatch(exchange, segments)
        except RestError as error:
            # The name may be newer than the cached schema.
            if not error.unknown_name or not await self._database.refresh():
                raise
        return await self._dispatch(exchange, segments)

    def _context(self, request: Request, path: str) -> Context:
        role = check_api_key(self._config, request.headers, request.query_params)
        token = bearer_token(request.headers)
        claims = {"role": role} if token is None else caller_claims(self._config, token)
        return Context(
            role=claims["role"],
            claims=claims,
            method=request.method,
            path=path,
            headers={k: v for k, v in request.headers.items() if k != "cookie"},
            cookies=request.cookies,
        )

    async def _dispatch(self, exchange: Exchange, segments: list[str]) -> Response:
        match exchange.context.method, segments:
            case "OPTIONS", _:
                return self._options(segments)
            case "GET" | "HEAD", [""]:
                return self._description()
            case "GET" | "HEAD", [table]:
                return await read(exchange, table)
            case "POST" | "PATCH" | "DELETE", [table] if table:
                return await write(exchange, table)
            case "GET" | "HEAD" | "POST", ["rpc", function]:
                return await call(exchange, function)
            case "PUT", [table] if table:
                raise unsupported("PUT; send POST with Prefer: resolution=merge-duplicates")
            case method, ["rpc", _]:
                raise RestError(405, "PGRST101", f"Cannot use the {method} method on RPC")
            case method, [_]:
                raise RestError(405, "PGRST117", f"Unsupported HTTP method: {method}")
        raise RestError(404, "PGRST125", "Invalid path specified in request URL")

    def _options(self, segments: list[str]) -> Response:
        methods = "OPTIONS,GET,HEAD,POST"
        if len(segments) == 1 and segments[0]:
            self._database.schema.table(segments[0])
            methods += ",PATCH,DELETE"
        return Response(headers={"allow": methods})

    def _description(self) -> Response:
        """List the tables and functions; PostgREST's OpenAPI document has much more."""
        schema = self._database.schema
        functions = (f"rpc/{function.name}" for function in schema.functions)
        paths: dict[str, object] = {f"/{name}": {} for name in (*schema.tables, *functions)}
        info = {"title": "public, by the local gateway", "version": "1"}
        return JSONResponse({"swagger": "2.0", "info": info, "paths": paths})
