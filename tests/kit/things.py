"""Things, inserted through PostgREST as their author."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from kit.people import Person
from kit.slices.shared.things import Thing

NewThing = Callable[..., Awaitable[Thing]]


@pytest.fixture
def new_thing(supabase: httpx.AsyncClient, drop_reads: Callable[[], None]) -> NewThing:
    """Makes things: `await new_thing(author, published=True, title="…")`."""

    async def insert(by: Person, **fields: Any) -> Thing:
        body = {"title": "A thing", "content": "Its content.", "published": True} | fields
        headers = {"Authorization": f"Bearer {by.token}", "Prefer": "return=representation"}
        answer = await supabase.post("/rest/v1/things", json=body, headers=headers)
        drop_reads()
        return Thing.model_validate(answer.raise_for_status().json()[0])

    return insert


@pytest.fixture
async def thing(author: Person, new_thing: NewThing) -> Thing:
    """A published thing of the author."""
    return await new_thing(author)


@pytest.fixture
async def hidden_thing(author: Person, new_thing: NewThing) -> Thing:
    """A draft of the author."""
    return await new_thing(author, published=False)
