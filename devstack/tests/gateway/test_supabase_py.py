"""supabase-py itself, against the gateway: what it gets has the shapes of the recorded servers."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from supabase import AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from kit.people import PASSWORD, new_email

RECORDINGS = Path(__file__).with_name("recordings")


def shape(value: Any) -> Any:
    """Return the value with everything but names and kinds taken out."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def recorded(file: str, name: str) -> Any:
    exchanges = json.loads((RECORDINGS / file).read_text())["exchanges"]
    return next(exchange for exchange in exchanges if exchange["name"] == name)["response"]


@pytest.fixture
async def client(stack):
    """A client as an application would make it, which notes each answer."""
    answers: list[httpx.Response] = []

    async def note(response: httpx.Response) -> None:
        await response.aread()
        answers.append(response)

    async with httpx.AsyncClient(event_hooks={"response": [note]}) as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        made = await acreate_client(stack.supabase_url, stack.gateway.anon_key, options=options)
        yield made, answers


async def test_sign_up_insert_and_select_have_the_recorded_shapes(client):
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

    inserted = await supabase.table("posts").insert({"title": "Post", "content": "Body"}).execute()
    assert answers[-1].status_code == 201
    assert inserted.data[0]["author_id"] == signed_up.user.id

    selected = await supabase.table("posts").select("id,title").execute()
    assert {"id": inserted.data[0]["id"], "title": "Post"} in selected.data
    expected = recorded("postgrest.json", "select columns")
    assert shape(selected.data[0]) == shape(expected["body"][0])
    for name in ("content-type", "content-range"):
        assert (name in answers[-1].headers) == (name in expected["headers"])
    assert answers[-1].headers["content-type"] == expected["headers"]["content-type"]


async def test_a_wrong_password_raises_what_supabase_raises(client, author):
    supabase, answers = client
    with pytest.raises(AuthApiError) as raised:
        await supabase.auth.sign_in_with_password({"email": author.email, "password": "wrong"})
    assert raised.value.code == "invalid_credentials"
    assert answers[-1].status_code == 400
