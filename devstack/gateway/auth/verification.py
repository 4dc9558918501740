"""Verification of an address: recover, resend, verify."""

from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from devstack.gateway.auth import one_time, sessions
from devstack.gateway.auth.account import refuse_phone, refuse_pkce
from devstack.gateway.auth.body import read_body
from devstack.gateway.auth.errors import AuthError, json_response, unsupported, validation_failed
from devstack.gateway.auth.service import Service
from devstack.gateway.auth.users import find, valid_email

_ONE_OF_TWO = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
# RFC 6749 §4.1.2.1, as GoTrue maps statuses to it.
_OAUTH_ERRORS = {400: "invalid_request", 401: "unauthorized_client", 403: "access_denied"}


async def recover(service: Service, request: Request) -> Response:
    """POST /recover {email}: mail a link; an unknown address has the same response."""
    body = await read_body(request)
    if not body.text("email"):
        raise validation_failed("Password recovery requires an email")
    email = valid_email(body.text("email"))
    async with service.transaction() as db:
        user = await find(db, email)
        if user is not None:
            refuse_pkce(body)
            await one_time.send(service, db, user, "recovery", service.redirect(request))
    return json_response({})


async def resend(service: Service, request: Request) -> Response:
    """POST /resend {type: signup or email_change, email}: mail again what is still pending."""
    body = await read_body(request)
    refuse_phone(body)
    kind = body.text("type")
    if kind in {"sms", "phone_change"}:
        raise unsupported("phone numbers")
    if kind not in {"signup", "email_change"}:
        message = "Missing one of these types: signup, sms, email_change, phone_change"
        raise validation_failed(message)
    if not body.text("email"):
        raise validation_failed("Type provided requires an email address")
    email = valid_email(body.text("email"))
    async with service.transaction() as db:
        user = await find(db, email)
        is_open = {
            "signup": user is not None and user["email_confirmed_at"] is None,
            "email_change": user is not None and bool(user["email_change"]),
        }
        if user is not None and is_open[kind]:
            refuse_pkce(body)
            await one_time.send(service, db, user, kind, service.redirect(request))
    return json_response({})


async def verify(service: Service, request: Request) -> Response:
    """POST /verify {type, token_hash} or {type, email, token}: a session."""
    body = await read_body(request)
    refuse_phone(body)
    kind, code, hashed = body.text("type"), body.text("token"), body.text("token_hash")
    if not kind:
        raise validation_failed("Verify requires a verification type")
    if bool(code) == bool(hashed):
        raise validation_failed("Verify requires either a token or a token hash")
    if code:
        if not body.text("email"):
            message = "Only an email address or phone number should be provided on verify"
            raise validation_failed(message)
        hashed = one_time.hash_of(valid_email(body.text("email")), code)
    elif body.text("email"):
        raise validation_failed("Only the token_hash and type should be provided")
    opened = await _open_session(service, request, kind, hashed)
    if opened is None:
        return json_response({"code": "200", "msg": _ONE_OF_TWO})
    grant, session = opened
    return json_response(session, headers=grant.headers)


async def follow_link(service: Service, request: Request) -> Response:
    """GET /verify?token=…&type=…&redirect_to=…: redirect to the site, session in the fragment."""
    kind, hashed = request.query_params.get("type", ""), request.query_params.get("token", "")
    if not kind:
        raise validation_failed("Verify requires a verification type")
    if not hashed:
        raise validation_failed("Verify requires a token or a token hash")
    target = service.redirect(request)
    try:
        opened = await _open_session(service, request, kind, hashed)
    except AuthError as error:
        fragment = {
            "error": _OAUTH_ERRORS.get(error.status, "server_error"),
            "error_code": error.code,
            "error_description": error.message,
            "sb": "",
        }
        return _see_other(f"{target}#{urlencode(fragment)}", {})
    if opened is None:
        return _see_other(f"{target}#{urlencode({'message': _ONE_OF_TWO, 'sb': ''})}", {})
    grant, session = opened
    del session["user"]
    fragment = dict(sorted({**session, "sb": "", "type": kind}.items()))
    return _see_other(f"{target}#{urlencode(fragment)}", grant.headers)


async def _open_session(
    service: Service, request: Request, kind: str, hashed: str
) -> tuple[sessions.Grant, dict[str, Any]] | None:
    async with service.transaction() as db:
        user_id = await one_time.redeem(service, db, kind, hashed)
        if user_id is None:
            return None
        grant = await sessions.begin(db, user_id, service.client_of(request), "otp")
        return grant, await sessions.answer(service, db, grant)


def _see_other(url: str, headers: dict[str, str]) -> Response:
    location = quote(url, safe=":/?#[]@!$&'()*+,;=%-._~")
    return Response(
        f'<a href="{escape(location)}">See Other</a>.\n\n',
        status_code=303,
        headers={**headers, "location": location},
        media_type="text/html",
    )
