"""A1: each call reaches PostgreSQL as its own caller, although many callers call concurrently."""

import asyncio
from itertools import cycle, islice
from uuid import UUID

import pytest

from kit.people import NewPerson, Person

pytestmark = pytest.mark.slow
USERS, CALLS, AT_ONCE = 50, 10_000, 32


async def test_a1_fifty_interleaved_users_are_never_mixed_up(new_person: NewPerson, database):
    people = [await new_person() for _ in range(USERS)]
    places = asyncio.Semaphore(AT_ONCE)

    async def call(number: int, person: Person) -> None:
        async with places:
            if number % 5:
                answer = await person.get("/whoami/stored")
                found = answer.json()["data"]["id"]
            else:
                body = {"title": f"Thing {number}", "content": person.email}
                answer = await person.post("/things", json=body)
                found = answer.json()["data"]["author_id"]
        assert UUID(found) == person.id

    async with asyncio.TaskGroup() as calls:
        for number, person in enumerate(islice(cycle(people), CALLS)):
            calls.create_task(call(number, person))
    # What the database stored: the author of each row, and the writer's address in its content.
    mixed_up = await database.fetchval(
        """select count(*) from public.things p join auth.users u on u.id = p.author_id
           where p.title like 'Thing %' and p.content <> u.email and p.content like '%@%'"""
    )
    assert mixed_up == 0
