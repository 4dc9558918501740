"""A second factor: TOTP codes (RFC 6238) raise a session to aal2."""

import base64
import hmac
import secrets
import time
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from devstack.gateway.auth import sessions
from devstack.gateway.auth.body import read_body
from devstack.gateway.auth.caller import TokenUser, authenticate
from devstack.gateway.auth.errors import AuthError, json_response, unsupported
from devstack.gateway.auth.service import Db, Service, insert, now

_STEP: Final = 30  # seconds
_DIGITS: Final = 6
_CHALLENGE: Final = timedelta(minutes=5)


async def enroll(service: Service, request: Request) -> Response:
    """POST /factors {factor_type: totp, friendly_name?}: a factor that waits for its first code."""
    body = await read_body(request)
    if (kind := body.text("factor_type")) != "totp":
        raise unsupported(f"factors of type {kind[:20]}")
    secret, name = base64.b32encode(secrets.token_bytes(20)).decode(), body.text("friendly_name")
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        if await has_factor(db, caller.user_id) and not caller.is_aal2:
            raise AuthError(403, "insufficient_aal", "AAL2 required to enroll a new factor")
        factor_id = uuid4()
        await insert(
            db,
            "mfa_factors",
            id=factor_id,
            user_id=caller.user_id,
            friendly_name=name or None,
            factor_type="totp",
            status="unverified",
            secret=secret,
            created_at=now(),
            updated_at=now(),
        )
    uri = f"otpauth://totp/{quote(service.config.site_url)}?secret={secret}"
    totp = {"qr_code": "", "secret": secret, "uri": uri}
    shown = {"id": factor_id, "type": "totp", "friendly_name": name, "totp": totp}
    return json_response(shown)


async def challenge(service: Service, request: Request) -> Response:
    """POST /factors/{id}/challenge: a challenge, which takes one code."""
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        factor = await _factor(db, caller, request)
        challenge_id, time_ = uuid4(), now()
        await insert(
            db, "mfa_challenges", id=challenge_id, factor_id=factor["id"], created_at=time_
        )
    expires_at = int((time_ + _CHALLENGE).timestamp())
    return json_response({"id": challenge_id, "type": "totp", "expires_at": expires_at})


async def verify(service: Service, request: Request) -> Response:
    """POST /factors/{id}/verify {challenge_id, code}: the session with new tokens, now aal2."""
    body = await read_body(request)
    async with service.transaction() as db:
        caller = await authenticate(service, db, request)
        factor = await _factor(db, caller, request)
        found = await db.fetchval(
            "delete from auth.mfa_challenges where id::text = $1 and factor_id = $2"
            " and created_at > $3 returning id",
            *(body.text("challenge_id"), factor["id"], now() - _CHALLENGE),
        )
        if found is None:
            message = "MFA factor with the provided challenge ID not found"
            raise AuthError(422, "mfa_factor_not_found", message)
        if not _matches(factor["secret"], body.text("code")):
            raise AuthError(422, "mfa_verification_failed", "Invalid TOTP code entered")
        query = "update auth.mfa_factors set status = 'verified', updated_at = $2 where id = $1"
        await db.execute(query, factor["id"], now())
        grant = await sessions.raise_level(
            db, caller.user_id, caller.session_id, factor["id"], service.client_of(request)
        )
        session: dict[str, Any] = await sessions.answer(service, db, grant)
    return json_response(session, headers=grant.headers)


async def has_factor(db: Db, user_id: UUID) -> bool:
    """Return whether a user has a verified factor."""
    query = (
        "select exists (select from auth.mfa_factors where user_id = $1 and status = 'verified')"
    )
    found: bool = await db.fetchval(query, user_id)
    return found


def code(secret: str, at: float) -> str:
    """Return the code of a secret at a time, in seconds since 1970."""
    counter = int(at // _STEP).to_bytes(8, "big")
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    start = digest[-1] & 0xF
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def _matches(secret: str, given: str) -> bool:
    here = time.time()
    return given in {code(secret, here + shift) for shift in (-_STEP, 0, _STEP)}


async def _factor(db: Db, caller: TokenUser, request: Request) -> asyncpg.Record:
    query = "select * from auth.mfa_factors where id::text = $1 and user_id = $2 for update"
    factor = await db.fetchrow(query, request.path_params["factor_id"], caller.user_id)
    if factor is None:
        raise AuthError(404, "mfa_factor_not_found", "Factor not found")
    return factor
