"""People: users that sign up directly at Supabase Auth, each with a client of the API."""

import base64
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from kit.servers import Stack

PASSWORD = "correct horse 9"


@dataclass(kw_only=True)
class Person:
    """A user with a session; `get`, `post` … call the API as that user."""

    id: UUID
    email: str
    display_name: str
    token: str
    refresh_token: str
    password: str = PASSWORD
    client: httpx.AsyncClient = field(repr=False)

    async def get(self, url: str, **options: Any) -> httpx.Response:
        """GET as this person."""
        return await self.client.get(url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        """POST as this person."""
        return await self.client.post(url, **options)

    async def put(self, url: str, **options: Any) -> httpx.Response:
        """PUT as this person."""
        return await self.client.put(url, **options)

    async def delete(self, url: str, **options: Any) -> httpx.Response:
        """DELETE as this person."""
        return await self.client.delete(url, **options)


NewPerson = Callable[[], Awaitable[Person]]


def new_email() -> str:
    """Return an address that no user has."""
    return f"{uuid4().hex}@example.com"


@pytest.fixture(scope="session")
async def supabase(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Supabase itself, past the API, with the public key."""
    headers = {"apikey": stack.gateway.anon_key, "X-Supabase-Api-Version": "2024-01-01"}
    async with httpx.AsyncClient(base_url=stack.supabase_url, headers=headers) as client:
        yield client


@pytest.fixture
async def new_person(
    supabase: httpx.AsyncClient, client_for: Callable[..., httpx.AsyncClient]
) -> AsyncIterator[NewPerson]:
    """Makes more people: `await new_person()`."""
    clients: list[httpx.AsyncClient] = []

    async def sign_up() -> Person:
        email, name = new_email(), f"Person {len(clients) + 1}"
        body = {"email": email, "password": PASSWORD, "data": {"display_name": name}}
        answer = await supabase.post("/auth/v1/signup", json=body)
        session = answer.raise_for_status().json()
        clients.append(client_for(session["access_token"]))
        return Person(
            id=UUID(session["user"]["id"]),
            email=email,
            display_name=name,
            token=session["access_token"],
            refresh_token=session["refresh_token"],
            client=clients[-1],
        )

    yield sign_up
    for client in clients:
        await client.aclose()


@pytest.fixture(params=["anonymous", "phone"])
async def without_email(
    request: pytest.FixtureRequest,
    stack: Stack,
    supabase: httpx.AsyncClient,
    client_for: Callable[..., httpx.AsyncClient],
) -> AsyncIterator[Person]:
    """A user without an e-mail address: an anonymous one, and one with a telephone number alone."""
    if request.param == "anonymous":
        answer = await supabase.post("/auth/v1/signup", json={})
    else:
        phone = str(uuid4().int)[:15]
        known = {"phone": phone, "password": PASSWORD}
        key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
        new = {**known, "phone_confirm": True}
        made = await supabase.post("/auth/v1/admin/users", json=new, headers=key)
        made.raise_for_status()
        answer = await supabase.post("/auth/v1/token?grant_type=password", json=known)
    session = answer.raise_for_status().json()
    async with client_for(session["access_token"]) as client:
        yield Person(
            id=UUID(session["user"]["id"]),
            email="",
            display_name="",
            token=session["access_token"],
            refresh_token=session["refresh_token"],
            client=client,
        )


@pytest.fixture
def with_second_factor(supabase: httpx.AsyncClient) -> Callable[[Person], Awaitable[str]]:
    """Gives a person a second factor: `await with_second_factor(author)`.

    The person's session has proved it then (aal2). Returns an access token of another one, which
    has not.
    """

    async def enroll(person: Person) -> str:
        known = {"email": person.email, "password": person.password}
        plain = await supabase.post("/auth/v1/token?grant_type=password", json=known)

        async def post(path: str, **body: str) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {person.token}"}
            answer = await supabase.post(f"/auth/v1/factors{path}", json=body, headers=headers)
            found: dict[str, Any] = answer.raise_for_status().json()
            return found

        factor = await post("", factor_type="totp")
        place = f"/{factor['id']}"
        challenge = (await post(f"{place}/challenge"))["id"]
        code = _totp(factor["totp"]["secret"])
        await post(f"{place}/verify", challenge_id=challenge, code=code)
        return str(plain.raise_for_status().json()["access_token"])

    return enroll


def _totp(secret: str) -> str:
    """Return the code of this moment (RFC 6238)."""
    counter = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    start = digest[-1] & 0xF
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


@pytest.fixture
async def author(new_person: NewPerson) -> Person:
    """The person who owns `post` and `draft`."""
    return await new_person()


@pytest.fixture
async def stranger(new_person: NewPerson) -> Person:
    """Another person."""
    return await new_person()


@pytest.fixture
def prove(database: asyncpg.Connection) -> Callable[[object], Awaitable[None]]:
    """Marks the address of a user as proven by a mail: `await prove(author.id)`."""

    async def prove(user_id: object) -> None:
        await database.execute(
            "select identity.prove(id, email) from auth.users where id = $1", user_id
        )

    return prove


@pytest.fixture
async def admin(
    new_person: NewPerson,
    supabase: httpx.AsyncClient,
    stack: Stack,
    client_for: Callable[..., httpx.AsyncClient],
) -> AsyncIterator[Person]:
    """A person with the role admin, and a token that contains this role."""
    person = await new_person()
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    body: dict[str, Any] = {"app_metadata": {"role": "admin"}}
    promoted = await supabase.put(f"/auth/v1/admin/users/{person.id}", json=body, headers=key)
    promoted.raise_for_status()
    body = {"email": person.email, "password": person.password}
    session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    person.token = session.raise_for_status().json()["access_token"]
    async with client_for(person.token) as person.client:
        yield person


@pytest.fixture
async def attacker(
    supabase: httpx.AsyncClient, stranger: Person
) -> AsyncIterator[httpx.AsyncClient]:
    """A normal user who calls Supabase directly, past the API."""
    headers = dict(supabase.headers) | {
        "Authorization": f"Bearer {stranger.token}",
        "Prefer": "return=representation",
    }
    async with httpx.AsyncClient(base_url=f"{supabase.base_url}", headers=headers) as client:
        yield client
