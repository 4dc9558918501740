"""The captcha that a project may require: this gateway has no provider, so none is ever solved."""

from contextlib import suppress

from starlette.requests import Request

from devstack.gateway.auth.errors import AuthError
from devstack.gateway.auth.service import Service
from devstack.gateway.claims import KeyRefused, bearer_token, check_api_key


def check_captcha(service: Service, request: Request) -> None:
    """Raise AuthError (400) where captchas are on, unless the token is of the service role."""
    if not service.config.captcha:
        return
    with suppress(KeyRefused):
        if check_api_key(service.config, {"apikey": _token(request)}, {}) == "service_role":
            return
    message = "captcha protection: request disallowed (no captcha_token found)"
    raise AuthError(400, "captcha_failed", message)


def _token(request: Request) -> str:
    """Return the bearer token, or the key that a hosted project's gateway makes one from."""
    return bearer_token(request.headers) or request.headers.get("apikey", "")
