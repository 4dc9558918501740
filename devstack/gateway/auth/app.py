"""The routes of Supabase Auth as an ASGI application."""

import logging
from collections.abc import Awaitable, Callable
from typing import Self, TypeAlias

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from devstack.gateway.auth import account, admin, factors, verification
from devstack.gateway.auth.errors import (
    AuthError,
    as_response,
    json_response,
    unsupported,
    validation_failed,
)
from devstack.gateway.auth.passwords import Passwords
from devstack.gateway.auth.service import Service
from devstack.gateway.auth.tokens import AccessTokens
from devstack.gateway.claims import KeyRefused, check_api_key
from devstack.gateway.config import GatewayConfig

_log = logging.getLogger(__name__)

_PROVIDERS = (
    "anonymous_users", "apple", "azure", "bitbucket", "discord", "facebook", "snapchat", "figma",
    "fly", "github", "gitlab", "google", "keycloak", "kakao", "linkedin", "linkedin_oidc", "notion",
    "slack", "slack_oidc", "spotify", "twitch", "twitter", "workos", "email", "phone", "zoom",
)  # fmt: skip

Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]


async def _health(service: Service, _: Request) -> Response:
    await service.pool.fetchval("select 1")
    description = "GoTrue is a user registration and authentication API"
    return json_response({"version": "", "name": "GoTrue", "description": description})


async def _settings(service: Service, _: Request) -> Response:
    config = service.config
    on = {"email": config.email_provider, "anonymous_users": config.anonymous_users}
    return json_response(
        {
            "external": {name: on.get(name, False) for name in _PROVIDERS},
            "disable_signup": False,
            "mailer_autoconfirm": config.autoconfirm,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


async def _jwks(service: Service, _: Request) -> Response:
    return json_response(service.tokens.jwks, headers={"cache-control": "public, max-age=600"})


async def _openid(service: Service, _: Request) -> Response:
    issuer = service.config.jwt_issuer or ""
    jwks = issuer.rstrip("/") + "/.well-known/jwks.json"
    headers = {"cache-control": "public, max-age=600"}
    return json_response({"issuer": issuer, "jwks_uri": jwks}, headers=headers)


_OPEN: dict[tuple[str, str], Handler] = {
    ("GET", "/health"): _health,
    ("GET", "/.well-known/jwks.json"): _jwks,
    ("GET", "/.well-known/openid-configuration"): _openid,
    ("GET", "/verify"): verification.follow_link,
}
_KEYED: dict[tuple[str, str], Handler] = {
    ("GET", "/settings"): _settings,
    ("POST", "/signup"): account.signup,
    ("POST", "/token"): account.token,
    ("GET", "/user"): account.get_user,
    ("PUT", "/user"): account.put_user,
    ("POST", "/logout"): account.logout,
    ("POST", "/recover"): verification.recover,
    ("POST", "/resend"): verification.resend,
    ("POST", "/verify"): verification.verify,
    ("POST", "/factors"): factors.enroll,
    ("POST", "/factors/{factor_id}/challenge"): factors.challenge,
    ("POST", "/factors/{factor_id}/verify"): factors.verify,
    ("GET", "/admin/users"): admin.list_users,
    ("POST", "/admin/users"): admin.create_user,
    ("GET", "/admin/users/{user_id}"): admin.get_user,
    ("PUT", "/admin/users/{user_id}"): admin.update_user,
    ("DELETE", "/admin/users/{user_id}"): admin.delete_user,
    ("POST", "/admin/generate_link"): admin.generate_link,
}
# GoTrue has these; here each answers with a sentence. The first matching part of the path decides.
_UNSUPPORTED = {
    "otp": "passwordless sign-in",
    "magiclink": "passwordless sign-in",
    "invite": "invitations",
    "reauthenticate": "reauthentication",
    "authorize": "sign-in by OAuth providers",
    "callback": "sign-in by OAuth providers",
    "identities": "linking identities",
    "factors": "multi-factor authentication",
    "sso": "single sign-on",
    "oauth": "the OAuth server",
    "audit": "the audit log",
    "passkeys": "passkeys",
}


class AuthServer:
    """Supabase Auth at one path: an ASGI application, and the context that it runs in."""

    def __init__(self, config: GatewayConfig) -> None:
        self._service = Service(
            config=config,
            tokens=AccessTokens(config),
            passwords=Passwords(rounds=config.bcrypt_rounds, min_length=config.password_min_length),
        )
        routes = [self._route(*key, handler, keyed=False) for key, handler in _OPEN.items()]
        routes += [self._route(*key, handler, keyed=True) for key, handler in _KEYED.items()]
        self._app = Starlette(routes=routes, exception_handlers={404: _not_found})
        self._app.router.redirect_slashes = False

    async def __aenter__(self) -> Self:
        await self._service.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._service.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def _route(self, method: str, path: str, handler: Handler, *, keyed: bool) -> Route:
        service = self._service

        async def endpoint(request: Request) -> Response:
            if request.method == "HEAD":  # a mail scanner must not use up a link
                return Response(status_code=405)
            try:
                if keyed:
                    check_api_key(service.config, request.headers, request.query_params)
                return await handler(service, request)
            except KeyRefused as refused:
                return json_response(refused.body, status=401)
            except AuthError as error:
                return as_response(error, request)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                return as_response(_of_database(error), request)

        return Route(path, endpoint, methods=[method])


def _of_database(error: Exception) -> AuthError:
    if isinstance(error, asyncpg.DataError):
        return validation_failed("The request holds a value that the database cannot store")
    _log.error("the database refused: %r", error)
    message = "Unexpected failure, please check server logs for more information"
    return AuthError(500, "unexpected_failure", message)


async def _not_found(request: Request, _: Exception) -> Response:
    for part in request.url.path.split("/"):
        if part in _UNSUPPORTED:
            return as_response(unsupported(_UNSUPPORTED[part]), request)
    return PlainTextResponse("404 page not found\n", status_code=404)
