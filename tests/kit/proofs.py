"""Proofs of identity: tokens as mails contain them, and sessions with an old login."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import jwt
import pytest

from kernel.identity.mailed_tokens import NewToken
from kit.people import PASSWORD, Person
from kit.servers import Stack

MailedToken = Callable[..., Awaitable[str]]

_NEWEST = """
select r.id from identity.mail_requests r left join auth.users u on u.id = r.user_id
where r.purpose = $2 and $1 in (r.email, u.email) order by r.requested_at desc limit 1
"""


@pytest.fixture
async def mailed_token(database: asyncpg.Connection) -> MailedToken:
    """Issues the token of the newest request for an address, as the job that mails it does.

    `await mailed_token(email)`, `await mailed_token(email, "signup")`; it requests a reset itself.
    """

    async def issue(email: str, purpose: str = "password_reset") -> str:
        if purpose == "password_reset":
            await database.execute("select public.request_password_reset($1)", email)
        request = await database.fetchval(_NEWEST, email, purpose)
        token = NewToken()
        words = token.arguments
        to = await database.fetchval(
            "select public.issue_mailed_token($1, $2, $3)", request, words["token"], words["hash"]
        )
        assert to == email
        return token.text

    return issue


@pytest.fixture
def claim(
    database: asyncpg.Connection, supabase: httpx.AsyncClient, stack: Stack
) -> Callable[..., Awaitable[None]]:
    """Signs up with an address that is not confirmed yet: `await claim(email, password, "Ada")`."""

    async def sign_up(email: str, password: str = PASSWORD, name: str = "") -> None:
        taken = "select count(*) from auth.users where email = $1"
        created = await database.fetchval(taken, email) == 0
        if created:
            body = {"type": "signup", "email": email, "password": password}
            answer = await supabase.post(
                "/auth/v1/admin/generate_link",
                json={**body, "data": {"display_name": name}},
                headers={"Authorization": f"Bearer {stack.gateway.service_key}"},
            )
            answer.raise_for_status()
        await database.execute("select public.request_confirmation($1, $2)", email, created)

    return sign_up


@pytest.fixture
def logs_in(supabase: httpx.AsyncClient) -> Callable[..., Awaitable[bool]]:
    """Says whether Supabase Auth accepts a password: `await logs_in(email, password)`."""

    async def try_(email: str, password: str) -> bool:
        body = {"email": email, "password": password}
        answer = await supabase.post("/auth/v1/token?grant_type=password", json=body)
        return answer.is_success

    return try_


@pytest.fixture
def long_ago(
    stack: Stack, client_for: Callable[..., httpx.AsyncClient], database: asyncpg.Connection
) -> Callable[..., Any]:
    """Makes clients of a person's session whose login is old: `async with long_ago(author)`.

    The access token is new, as after a refresh: only `amr` and the session's row are old.
    """

    @asynccontextmanager
    async def client(person: Person, minutes: int = 11) -> AsyncIterator[httpx.AsyncClient]:
        claims = jwt.decode(person.token, options={"verify_signature": False})
        for method in claims["amr"]:
            method["timestamp"] -= minutes * 60
        await database.execute(
            "update auth.sessions set created_at = now() - make_interval(mins => $2) where id = $1",
            claims["session_id"],
            minutes,
        )
        token = jwt.encode(claims, stack.gateway.jwt_secret, algorithm="HS256")
        async with client_for(token) as aged:
            yield aged

    return client
