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
    *(NOTE | {name: {"not": "this"}} for name in NOTE),
]


@pytest.fixture
async def note(new_row, author):
    return await new_row("notes", owner_id=author.id, **NOTE)


@pytest.fixture
def changed_at(database):
    """Returns when a note was changed last: `await changed_at(note)`."""

    async def changed_at(note):
        query = "select updated_at from public.notes where id = $1"
        return await database.fetchval(query, note["id"])

    return changed_at


async def test_only_the_owner_may_call(anonymous, author, stranger, note, changed_at):
    url, before = f"/notes/{note['id']}", await changed_at(note)
    assert (await anonymous.put(url, json=NOTE)).status_code == 401
    assert (await stranger.put(url, json=NOTE)).status_code == 404
    assert await changed_at(note) == before
    answer = await author.put(url, json=NOTE)
    assert answer.status_code == 200
    assert {name: answer.json()["data"][name] for name in NOTE} == NOTE
    assert await changed_at(note) > before


async def test_a_missing_note_is_404(author):
    answer = await author.put(f"/notes/{uuid4()}", json=NOTE)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOTE_NOT_FOUND"


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422(author, note, body):
    answer = await author.put(f"/notes/{note['id']}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_a_condition_that_does_not_hold_changes_nothing(author, note, changed_at):
    before, headers = await changed_at(note), {"If-Match": '"another"'}
    answer = await author.put(f"/notes/{note['id']}", json=NOTE, headers=headers)
    assert answer.status_code == 412
    assert await changed_at(note) == before


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author, note):
    async with announced(settings, valkey, NoteChanged, "note_id") as (client_for, dropped):
        async with client_for(author.token) as client:
            await client.put(f"/notes/{note['id']}", json=NOTE)
        assert dropped() == {note["id"]}
