"""The errors for Supabase's refusals that no slice maps itself."""

from typing import Any

import pytest
from fastapi import APIRouter
from postgrest import APIError
from supabase_auth.errors import AuthApiError, AuthSessionMissingError, AuthWeakPasswordError

from kernel import Feature
from kernel.boot.app import create_app
from kernel.errors import ApiError, Conflict, NotFound, Unauthenticated, ValidationFailed
from kernel.supabase import refusals
from kernel.supabase.errors import from_database
from kit.application import running


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("PGRST301", 401),
        ("42501", 403),
        ("PGRST116", 404),
        ("23505", 409),
        ("22P02", 422),
        ("23514", 422),
        ("57014", 503),
        ("200", 503),
    ],
)
def test_a_refusal_of_the_database_has_a_meaning(code, status):
    meaning = from_database(APIError({"code": code, "message": "internal detail"}))
    assert meaning is not None
    assert meaning.status == status


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (AuthApiError("internal detail", 422, "same_password"), Conflict),
        (AuthWeakPasswordError("internal detail", 422, ["length"]), ValidationFailed),
        (AuthSessionMissingError(), Unauthenticated),
        (APIError({"code": "23505", "message": "internal detail"}), NotFound),
    ],
)
def test_a_slice_says_what_a_refusal_means(error, meaning):
    meanings = {
        "same_password": Conflict,
        "weak_password": ValidationFailed,
        "session_not_found": Unauthenticated,
        "23505": NotFound,
    }
    with pytest.raises(ApiError) as raised, refusals(meanings):
        raise error
    assert type(raised.value) is meaning
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "refusal",
    [
        AuthApiError("internal detail", 400, "user_banned"),
        APIError({"code": "23505", "message": "internal detail"}),
    ],
)
def test_a_refusal_that_no_slice_knows_stays_what_it_is(refusal):
    with pytest.raises(type(refusal)) as raised, refusals({"same_password": Conflict}):
        raise refusal
    assert raised.value is refusal


def test_an_unknown_refusal_is_an_internal_error():
    assert from_database(APIError({"code": "42P01", "message": "no such table"})) is None


async def test_a_refusal_reaches_the_caller_in_the_envelope_without_its_detail(settings):
    router = APIRouter()

    @router.get("/database")
    async def database(code: str) -> None:
        raise APIError({"code": code, "message": "internal detail"})

    @router.get("/auth")
    async def auth(code: Any) -> None:
        raise AuthApiError("internal detail", 400, code)

    app = create_app(settings, {"refusing": Feature(router=router, caller="ignored")})
    async with running(app) as client_for, client_for() as client:
        answers = {
            path: await client.get(path)
            for path in (
                "/database?code=42501",
                "/database?code=42P01",
                "/auth?code=over_request_rate_limit",
                "/auth?code=unheard_of",
            )
        }
    assert [answer.status_code for answer in answers.values()] == [403, 500, 429, 503]
    for answer in answers.values():
        assert answer.json()["success"] is False
        assert "internal detail" not in answer.text
    assert answers["/auth?code=over_request_rate_limit"].headers["retry-after"] == "60"
