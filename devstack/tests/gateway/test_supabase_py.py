"""supabase-py with the gateway: responses have the shapes of the recorded servers."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from supabase import AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from devstack.testing import GatewayConfig, GatewayThread
from devstack.tests.gateway.rest_kit import RECORDINGS, execute, fresh_database, load_schema

PASSWORD = "correct horse 9"


def shape(value: Any) -> Any:
    """Return the names and types in a value, without its data."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def recorded(file: str, name: str) -> Any:
    exchanges = json.loads((RECORDINGS / file).read_text())["exchanges"]
    return next(exchange for exchange in exchanges if exchange["name"] == name)["response"]


def new_email() -> str:
    return f"{uuid4().hex}@example.com"


@pytest.fixture
async def database(postgres_url):
    """A database with the recording's schema."""
    async with fresh_database(postgres_url) as dsn:
        await load_schema(dsn)
        yield dsn


@pytest.fixture
def gateway(database):
    config = GatewayConfig(
        database_url=database, public_url="http://127.0.0.1", bcrypt_rounds=4, mail_interval=0
    )
    with GatewayThread(config) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway):
    """A client as an application would create it, and the list of its responses."""
    answers: list[httpx.Response] = []

    async def note(response: httpx.Response) -> None:
        await response.aread()
        answers.append(response)

    async with httpx.AsyncClient(event_hooks={"response": [note]}) as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        made = await acreate_client(gateway.url, gateway.config.anon_key, options=options)
        yield made, answers


async def test_sign_up_insert_and_select_have_the_recorded_shapes(client, database):
    supabase, answers = client
    email = new_email()
    credentials = {
        "email": email,
        "password": PASSWORD,
        "options": {"data": {"display_name": "Ada"}},
    }
    signed_up = await supabase.auth.sign_up(credentials)
    assert signed_up.user.email == email

    expected = recorded("supabase_auth.json", "signup")["json"]
    found = answers[0].json()
    assert shape(found["user"]) == shape(expected["user"])
    assert set(found) == set(expected)

    author = signed_up.user.id
    await execute(database, f"insert into public.profiles (id) values ('{author}')")
    post = {"title": "Post", "content": "Body", "author_id": author}
    inserted = await supabase.table("posts").insert(post).execute()
    assert answers[-1].status_code == 201
    assert inserted.data[0]["author_id"] == author

    selected = await supabase.table("posts").select("id,title").execute()
    assert {"id": inserted.data[0]["id"], "title": "Post"} in selected.data
    expected = recorded("postgrest.json", "select columns")
    assert shape(selected.data[0]) == shape(expected["body"][0])
    for name in ("content-type", "content-range"):
        assert (name in answers[-1].headers) == (name in expected["headers"])
    assert answers[-1].headers["content-type"] == expected["headers"]["content-type"]


async def test_a_wrong_password_raises_what_supabase_raises(client):
    supabase, answers = client
    email = new_email()
    await supabase.auth.sign_up({"email": email, "password": PASSWORD})
    with pytest.raises(AuthApiError) as raised:
        await supabase.auth.sign_in_with_password({"email": email, "password": "wrong"})
    assert raised.value.code == "invalid_credentials"
    assert answers[-1].status_code == 400
