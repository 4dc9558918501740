"""O12: every error code of Supabase Auth has a response of ours, and operators see the code."""

from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi import APIRouter
from supabase_auth.errors import (
    AuthApiError,
    AuthInvalidCredentialsError,
    AuthSessionMissingError,
    AuthUnknownError,
    ErrorCode,
)

from kernel import Feature
from kernel.boot.app import create_app
from kernel.supabase.auth_errors import AUTH_ERRORS, from_auth
from kit.application import running

LISTED = set(Path(__file__).with_name("auth_error_codes.txt").read_text().split())
"""From supabase/auth, internal/api/apierrors/errorcode.go, 2026-08-20 (bc32168)."""


def refusal(code: str, message: str = "internal detail") -> AuthApiError:
    error = AuthApiError(message, 400, None)
    error.code = code  # type: ignore[assignment]  # also codes that the package does not know
    return error


def test_o12_every_listed_code_has_an_answer():
    assert set(AUTH_ERRORS) == LISTED | set(get_args(ErrorCode))
    assert all(from_auth(refusal(code)).status != 500 for code in AUTH_ERRORS)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        ("over_request_rate_limit", 429, "TOO_MANY_REQUESTS"),
        ("bad_jwt", 401, "UNAUTHENTICATED"),
        ("weak_password", 422, "VALIDATION_ERROR"),
        ("user_banned", 403, "FORBIDDEN"),
        ("insufficient_aal", 403, "SECOND_FACTOR_REQUIRED"),
        ("conflict", 503, "SUPABASE_UNAVAILABLE"),
        ("hook_timeout", 503, "SUPABASE_UNAVAILABLE"),
        ("captcha_failed", 503, "AUTH_CONFIGURATION"),
        ("email_provider_disabled", 503, "AUTH_CONFIGURATION"),
        ("email_address_not_authorized", 503, "AUTH_CONFIGURATION"),
        ("signup_disabled", 503, "AUTH_CONFIGURATION"),
        ("unheard_of", 503, "SUPABASE_UNAVAILABLE"),
    ],
)
def test_o12_a_refusal_has_a_meaning(code, status, ours):
    meaning = from_auth(refusal(code))
    assert (meaning.status, meaning.code) == (status, ours)
    assert (meaning.retry_after is not None) == (status in {429, 503})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AuthSessionMissingError(), 401),
        (AuthInvalidCredentialsError("no email"), 422),
        (AuthUnknownError("not JSON", ValueError()), 503),
    ],
)
def test_o12_so_has_what_the_client_library_refuses(error, status):
    assert from_auth(error).status == status


@pytest.mark.parametrize(
    ("code", "message", "field"),
    [
        ("email_address_invalid", "", "body.email"),
        ("validation_failed", "Unable to validate email address: invalid format", "body.email"),
        ("validation_failed", "Password cannot be longer than 72 characters", "body.password"),
        ("validation_failed", "Refresh token is not valid", "body"),
        ("weak_password", "", "body.password"),
    ],
)
def test_o5_every_422_has_a_field(code, message, field):
    fields: Any = from_auth(refusal(code, message)).details["fields"]
    (found,) = fields
    assert found["field"] == field
    assert found["message"]


@pytest.mark.parametrize(
    ("message", "status", "ours", "seconds"),
    [
        ("email rate limit exceeded", 503, "MAIL_LIMIT_REACHED", 600),
        ("a limit that is new", 503, "MAIL_LIMIT_REACHED", 600),
        (
            "For security purposes, you can only request this after 59 seconds.",
            429,
            "TOO_MANY_REQUESTS",
            59,
        ),
        (
            "For security purposes, you can only request this once every 60 seconds",
            429,
            "TOO_MANY_REQUESTS",
            60,
        ),
    ],
)
def test_o18_the_limit_of_the_project_is_not_that_of_an_address(
    message, status, ours, seconds, caplog
):
    meaning = from_auth(refusal("over_email_send_rate_limit", message))
    assert (meaning.status, meaning.code, meaning.retry_after) == (status, ours, seconds)
    logged = [one for one in caplog.records if one.name == "kernel.supabase.auth_errors"]
    assert len(logged) == (status == 503)


def test_o12_operators_see_the_code(caplog):
    for code in ("captcha_failed", "unheard_of", "Bearer eyJ", "invalid_credentials"):
        from_auth(refusal(code))
    logged = [one for one in caplog.records if one.name == "kernel.supabase.auth_errors"]
    assert [vars(one)["auth_code"] for one in logged] == ["captcha_failed", "unheard_of", "none"]


async def test_o12_callers_do_not_and_metrics_count_it(settings):
    router = APIRouter()

    @router.get("/auth")
    async def auth(code: str) -> None:
        raise refusal(code)

    app = create_app(settings, {"refusing": Feature(router=router, caller="ignored")})
    codes = ("captcha_failed", "unheard_of", "Bearer eyJ", "invalid_credentials")
    async with running(app) as client_for, client_for() as client:
        answers = [await client.get("/auth", params={"code": code}) for code in codes]
        metrics = (await client.get("http://api.test/metrics")).text
    assert [answer.status_code for answer in answers] == [503, 503, 503, 401]
    for answer, code in zip(answers, codes, strict=True):
        assert code not in answer.text
        assert "internal detail" not in answer.text
    assert 'auth_refusals_total{code="captcha_failed"} 1.0' in metrics
    assert 'auth_refusals_total{code="other"} 2.0' in metrics
