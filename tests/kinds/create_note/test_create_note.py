from uuid import uuid4

import pytest

from kit.announced import announced
from kit.kinds.shared.notes import NoteChanged

NOTE = {"label": "A note"}
WRONG = [
    {},
    [],
    NOTE | {"id": str(uuid4())},
    NOTE | {"owner_id": str(uuid4())},
    NOTE | {"created_at": "2000-01-01T00:00:00Z"},
    *(NOTE | {name: {"not": "this"}} for name in NOTE),
]


async def test_only_a_user_may_call(anonymous, author):
    assert (await anonymous.post("/notes", json=NOTE)).status_code == 401
    assert (await author.post("/notes", json=NOTE)).status_code == 201


async def test_the_caller_becomes_the_owner(author, database):
    answer = await author.post("/notes", json=NOTE)
    note = answer.json()["data"]
    assert note["owner_id"] == str(author.id)
    assert {name: note[name] for name in NOTE} == NOTE
    assert answer.headers["location"] == f"/api/v1/notes/{note['id']}"
    query = "select owner_id from public.notes where id = $1"
    assert await database.fetchval(query, note["id"]) == author.id


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422(author, body):
    answer = await author.post("/notes", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_a_repeated_request_stores_one_note(author, database):
    headers = {"Idempotency-Key": f'"{uuid4()}"'}
    answers = [await author.post("/notes", json=NOTE, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    query = "select count(*) from public.notes where owner_id = $1"
    assert await database.fetchval(query, author.id) == 1


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author):
    async with announced(settings, valkey, NoteChanged, "note_id") as (client_for, dropped):
        async with client_for(author.token) as client:
            note = (await client.post("/notes", json=NOTE)).json()["data"]
        assert dropped() == {note["id"]}
