"""The service role's routes for other users' accounts."""

import re
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from devstack.gateway.auth import one_time, users
from devstack.gateway.auth.account import refuse_phone
from devstack.gateway.auth.body import JsonBody, read_body
from devstack.gateway.auth.caller import require_admin
from devstack.gateway.auth.errors import (
    AuthError,
    email_exists,
    json_response,
    unsupported,
    user_not_found,
    validation_failed,
)
from devstack.gateway.auth.service import Db, Service, now
from devstack.gateway.auth.service import update_user as change
from devstack.gateway.auth.shapes import show, shown

_MAX_NAME = 255
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
# Go's durations: 1h30m, 10s.
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_PART = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST = 2**63 / 1e9  # the longest duration of Go: 292 years


async def list_users(service: Service, request: Request) -> Response:
    """GET /admin/users?page=1&per_page=50&filter=: newest first, with total and links."""
    query = request.query_params
    page, size = _number(query.get("page") or "1"), _number(query.get("per_page") or "50")
    pattern = f"%{query.get('filter', '')}%"
    async with service.transaction() as db:
        await require_admin(service, db, request)
        total: int = await db.fetchval(
            "select count(*) from auth.users where coalesce(email, '') ilike $1", pattern
        )
        rows = await db.fetch(
            """
            select * from auth.users where coalesce(email, '') ilike $1
            order by created_at desc, id limit $2 offset $3
            """,
            *(pattern, size, (page - 1) * size),
        )
    last = max(1, ceil(total / size))
    links = [(page + 1, "next")] if page < last else []
    links.append((last, "last"))
    link = ", ".join(
        f'</admin/users?page={number}&per_page={size}>; rel="{name}"' for number, name in links
    )
    headers = {"x-total-count": str(total), "link": link}
    body = {"users": [shown(row) for row in rows], "aud": "authenticated"}
    return json_response(body, headers=headers)


async def get_user(service: Service, request: Request) -> Response:
    """GET /admin/users/{user_id}."""
    async with service.transaction() as db:
        await require_admin(service, db, request)
        return json_response(await show(db, _user_id(request.path_params["user_id"])))


async def create_user(service: Service, request: Request) -> Response:
    """POST /admin/users {email, password?, email_confirm?, user_metadata?, app_metadata?, …}."""
    body, hashed = await _admin_body(service, request, phone=True)
    phone = body.text("phone").removeprefix("+") or None
    if not body.text("email") and phone is None:
        raise validation_failed("Cannot create a user without either an email or phone")
    email = users.valid_email(body.text("email")) if body.text("email") else None
    metadata = body.mapping("user_metadata")
    wanted = _user_id(body.text("id")) if body.text("id") else None
    async with service.transaction() as db:
        user_id = await users.create(db, email, hashed, metadata, user_id=wanted, phone=phone)
        if email is not None:
            await users.identify(db, user_id, email, {})
        if phone and body.flag("phone_confirm"):
            await change(db, user_id, phone_confirmed_at=now())
        if email and body.flag("email_confirm"):
            await users.confirm(db, await users.get(db, user_id), proven=False)
        await _apply(db, await users.get(db, user_id), body)
        user = await show(db, user_id)
    user.pop("confirmed_at", None)  # GoTrue does not read generated values back
    return json_response(user)


async def update_user(service: Service, request: Request) -> Response:
    """PUT /admin/users/{user_id}: the fields of a new user, each optional."""
    user_id = _user_id(request.path_params["user_id"])
    body, hashed = await _admin_body(service, request)
    async with service.transaction() as db:
        user = await users.get(db, user_id)
        if body.flag("email_confirm"):
            await users.confirm(db, user, proven=False)
        if hashed is not None:
            await users.set_password(db, user_id, hashed)
        if body.text("email"):
            email = users.valid_email(body.text("email"))
            await users.set_email(db, user_id, email, proven=body.flag("email_confirm"))
        if changes := body.mapping("user_metadata"):
            user = await users.get(db, user_id)
            metadata = users.merged(user["raw_user_meta_data"], changes)
            await change(db, user_id, raw_user_meta_data=metadata)
        await _apply(db, await users.get(db, user_id), body)
        return json_response(await show(db, user_id))


async def _apply(db: Db, user: asyncpg.Record, body: JsonBody) -> None:
    changes: dict[str, Any] = {}
    if app_metadata := body.mapping("app_metadata"):
        changes["raw_app_meta_data"] = users.merged(user["raw_app_meta_data"], app_metadata)
    if role := body.text("role"):
        if len(role) > _MAX_NAME:
            raise validation_failed("role is too long")
        changes["role"] = role
    if duration := body.text("ban_duration"):
        changes["banned_until"] = None if duration == "none" else now() + _duration(duration)
    if changes:
        await change(db, user["id"], **changes)


async def delete_user(service: Service, request: Request) -> Response:
    """DELETE /admin/users/{user_id}: delete the row, and all that depends on it."""
    async with service.transaction() as db:
        await require_admin(service, db, request)
        if await request.body() and (await read_body(request)).flag("should_soft_delete"):
            raise unsupported("soft deletion")
        user_id = (await users.get(db, _user_id(request.path_params["user_id"])))["id"]
        await db.execute("delete from auth.users where id = $1", user_id)
    return json_response({})


async def generate_link(service: Service, request: Request) -> Response:
    """POST /admin/generate_link {type: signup, recovery or magiclink, email, …}: link and code."""
    body, hashed = await _admin_body(service, request)
    kind, email = body.text("type"), users.valid_email(body.text("email"))
    if kind not in {"signup", "recovery", "magiclink"}:
        raise unsupported(f'links of type "{kind[:_MAX_NAME]}"')
    async with service.transaction() as db:
        user = await users.find(db, email)
        if kind == "signup" and user is None:
            if hashed is None:
                raise validation_failed("Signup requires a valid password")
            # Not as /signup: the metadata are what the body has, without the identity's claims.
            user_id = await users.create(db, email, hashed, body.mapping("data"))
            await users.identify(db, user_id, email, {})
            user = await users.get(db, user_id)
        if user is None:
            raise user_not_found(message="User with this email not found")
        if kind == "signup" and user["email_confirmed_at"] is not None:
            raise email_exists()
        if kind == "signup" and (data := body.mapping("data")):
            metadata = users.merged(user["raw_user_meta_data"], data)
            await change(db, user["id"], raw_user_meta_data=metadata)
        token = await one_time.issue(service, db, user["id"], kind, email)
        redirect = service.redirect(request, body.text("redirect_to"))
        link = {
            "action_link": token.link(service, redirect),
            "email_otp": token.code,
            "hashed_token": token.hash,
            "verification_type": kind,
            "redirect_to": redirect,
        }
        return json_response({**await show(db, user["id"]), **link})


async def _admin_body(
    service: Service, request: Request, *, phone: bool = False
) -> tuple[JsonBody, str | None]:
    """Return body and hashed password of a request by the service role."""
    async with service.transaction() as db:
        await require_admin(service, db, request)
    body = await read_body(request)
    if not phone:
        refuse_phone(body)
    if not (password := body.text("password")):
        return body, None
    service.passwords.check_strength(password)
    return body, await service.passwords.hash(password)


def _duration(text: str) -> timedelta:
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if not _DURATION.fullmatch(text) or seconds > _LONGEST:
        raise validation_failed("invalid format for ban duration")
    return timedelta(seconds=seconds)


def _user_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise AuthError(404, "validation_failed", "user_id must be an UUID") from None


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise validation_failed("Bad Pagination Parameters: page and per_page are whole numbers")
    return int(text)
