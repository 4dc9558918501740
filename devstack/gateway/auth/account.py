"""The routes of a user's own account: sign up, sign in, renew, read, change, sign out."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from devstack.gateway.auth import one_time, sessions, users
from devstack.gateway.auth.body import JsonBody, read_body
from devstack.gateway.auth.caller import authenticate
from devstack.gateway.auth.captcha import check_captcha
from devstack.gateway.auth.errors import (
    AuthError,
    email_exists,
    json_response,
    unsupported,
    validation_failed,
)
from devstack.gateway.auth.factors import has_factor
from devstack.gateway.auth.service import Db, Service, now, update_user
from devstack.gateway.auth.shapes import show


async def signup(service: Service, request: Request) -> Response:
    """POST /signup {email, password, data?}: a session, or the user before the confirmation."""
    body = await read_body(request)
    refuse_phone(body)
    check_captcha(service, request)
    if not body.text("email"):
        return await _begin_anonymous(service, request, body)
    if not service.config.email_provider:
        raise AuthError(400, "email_provider_disabled", "Email signups are disabled")
    password, data = body.text("password"), body.mapping("data")
    if not password:
        raise validation_failed("Signup requires a valid password")
    service.passwords.check_strength(password)
    email = users.valid_email(body.text("email"))
    # As GoTrue: only a new address is hashed, so the time reveals whether an address is taken.
    taken = await service.pool.fetchval("select true from auth.users where email = $1", email)
    hashed = None if taken else await service.passwords.hash(password)
    async with service.transaction() as db:
        # Of two concurrent sign-ups, the second finds the first.
        await db.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", email)
        user = await users.find(db, email)
        if user is None and hashed is None:  # deleted meanwhile
            hashed = await service.passwords.hash(password)
        if service.config.autoconfirm:
            if user is not None:
                raise AuthError(422, "user_already_exists", "User already registered")
            user = await users.sign_up(db, email, hashed, data)
            return await _begin_confirmed(service, db, user, request)
        if user is not None and user["email_confirmed_at"] is not None:
            return json_response(_made_up(email, data))
        refuse_pkce(body)
        # Another sign-up before the confirmation changes nothing: it may be another person.
        user = user or await users.sign_up(db, email, hashed, data)
        await one_time.send(service, db, user, "signup", service.redirect(request))
        return json_response(await show(db, user["id"]))


async def _begin_anonymous(service: Service, request: Request, body: JsonBody) -> Response:
    if not service.config.anonymous_users:
        message = "Anonymous sign-ins are disabled"
        raise AuthError(422, "anonymous_provider_disabled", message)
    async with service.transaction() as db:
        user_id = await users.create(db, None, None, body.mapping("data"))
        await update_user(db, user_id, is_anonymous=True)
        grant = await sessions.begin(db, user_id, service.client_of(request), "anonymous")
        session = await sessions.answer(service, db, grant)
    return json_response(session, headers=grant.headers)


async def _begin_confirmed(
    service: Service, db: Db, user: asyncpg.Record, request: Request
) -> Response:
    await users.confirm(db, user, proven=False)
    grant = await sessions.begin(db, user["id"], service.client_of(request), "password")
    session = await sessions.answer(service, db, grant)
    # GoTrue answers from memory here: without values that the database generates, and with one map
    # of claims for user and identity. The identity's row keeps email_verified = false.
    shown = session["user"]
    del shown["confirmed_at"]
    shown["identities"][0]["identity_data"] = shown["user_metadata"]
    return json_response(session, headers=grant.headers)


async def token(service: Service, request: Request) -> Response:
    """POST /token?grant_type=password or refresh_token: a session."""
    kind = request.query_params.get("grant_type", "")
    if kind == "password":
        return await _sign_in(service, request)
    if kind == "refresh_token":
        refresh_token = (await read_body(request)).text("refresh_token")
        async with service.transaction() as db:
            grant = await sessions.renew(service, db, refresh_token, service.client_of(request))
            if isinstance(grant, sessions.Grant):
                session = await sessions.answer(service, db, grant)
                return json_response(session, headers=grant.headers)
        raise grant
    if kind in {"id_token", "pkce", "web3"}:
        raise unsupported(f"the grant type {kind}")
    raise AuthError(400, "invalid_credentials", "unsupported_grant_type")


async def _sign_in(service: Service, request: Request) -> Response:
    body = await read_body(request)
    check_captcha(service, request)
    email, password = body.text("email").lower(), body.text("password")
    phone = body.text("phone").removeprefix("+")
    if bool(email) == bool(phone):
        raise validation_failed("One of email or phone must be provided")
    if email and not service.config.email_provider:
        raise AuthError(422, "email_provider_disabled", "Email logins are disabled")
    refused = AuthError(400, "invalid_credentials", "Invalid login credentials")
    # Hold no connection while bcrypt works.
    found = await service.pool.fetchrow(
        "select * from auth.users where case when $1 <> '' then email = $1 else phone = $2 end"
        " and not is_sso_user",
        *(email, phone),
    )
    if found and users.is_banned(found):
        raise AuthError(400, "user_banned", "User is banned")
    hashed = found["encrypted_password"] if found else None
    if not await service.passwords.matches(password, hashed) or found is None:
        raise refused
    async with service.transaction() as db:
        user = await users.get(db, found["id"])
        if user["encrypted_password"] != hashed:  # changed meanwhile
            raise refused
        if email and user["email_confirmed_at"] is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        grant = await sessions.begin(db, user["id"], service.client_of(request), "password")
        session = await sessions.answer(service, db, grant)
    return json_response({**session, "weak_password": None}, headers=grant.headers)


async def get_user(service: Service, request: Request) -> Response:
    """GET /user: the caller."""
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        return json_response(await show(db, caller.user_id))


async def put_user(service: Service, request: Request) -> Response:
    """PUT /user {email?, password?, data?}: change the caller; a new address waits for its mail."""
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        protected = await has_factor(db, caller.user_id) and not caller.is_aal2
    body = await read_body(request)
    refuse_phone(body)
    if protected and (body.text("password") or body.text("email")):
        message = "AAL2 session is required to update email or password when MFA is enabled."
        raise AuthError(401, "insufficient_aal", message)
    if body.text("password") and service.config.secure_password_change and caller.is_old:
        message = "Password update requires reauthentication"
        raise AuthError(400, "reauthentication_needed", message)
    hashed = await _new_password(service, caller.user_id, body)
    async with service.transaction() as db:
        user = await users.get(db, caller.user_id)
        if changes := body.mapping("data"):
            metadata = users.merged(user["raw_user_meta_data"], changes)
            await update_user(db, caller.user_id, raw_user_meta_data=metadata)
        if hashed is not None:
            await users.set_password(db, caller.user_id, hashed, keep=caller.session_id)
        if body.text("email"):
            email = users.valid_email(body.text("email"))
            if email != user["email"]:
                refuse_pkce(body)
                await _change_email(service, db, user, email, service.redirect(request))
        return json_response(await show(db, caller.user_id))


async def _new_password(service: Service, user_id: UUID, body: JsonBody) -> str | None:
    if not (password := body.text("password")):
        return None
    service.passwords.check_strength(password)
    query = "select encrypted_password from auth.users where id = $1"
    hashed = await service.pool.fetchval(query, user_id)
    if hashed and service.config.require_current_password:
        current = body.text("current_password")
        message = "Current password required when setting new password."
        if not current:
            raise AuthError(400, "current_password_required", message)
        if not await service.passwords.matches(current, hashed):
            raise AuthError(400, "current_password_invalid", message)
    if await service.passwords.matches(password, hashed):
        message = "New password should be different from the old password."
        raise AuthError(422, "same_password", message)
    return await service.passwords.hash(password)


async def _change_email(
    service: Service, db: Db, user: asyncpg.Record, email: str, redirect: str
) -> None:
    if await users.find(db, email):
        raise email_exists()
    await db.execute("update auth.users set email_change = $2 where id = $1", user["id"], email)
    await one_time.send(service, db, await users.get(db, user["id"]), "email_change", redirect)


async def logout(service: Service, request: Request) -> Response:
    """POST /logout?scope=global, local or others: ends sessions; 204."""
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        scope = request.query_params.get("scope") or "global"
        await sessions.end(db, caller.user_id, caller.session_id, scope)
    return Response(status_code=204)


def refuse_phone(body: JsonBody) -> None:
    """Raise AuthError (501) for a request with a telephone number."""
    if body.text("phone"):
        raise unsupported("phone numbers")


def refuse_pkce(body: JsonBody) -> None:
    """Raise AuthError (501) if a mailed link would have to answer a PKCE challenge."""
    if body.text("code_challenge"):
        raise unsupported("PKCE in mailed links: use flow_type=implicit")


def _made_up(email: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an invented user, so that the response does not reveal accounts."""
    times = dict.fromkeys(("created_at", "updated_at", "confirmation_sent_at"), now())
    provider = {"provider": "email", "providers": ["email"]}
    names = {"id": uuid4(), "aud": "authenticated", "role": "", "email": email, "phone": ""}
    metadata = {"app_metadata": provider, "user_metadata": data}
    return {**names, **times, **metadata, "identities": [], "is_anonymous": False}
