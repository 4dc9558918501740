from uuid import uuid4

import pytest

from kit.announced import announced
from kit.kinds.shared.notes import NoteChanged

NOTE = {"label": "A note"}


@pytest.fixture
async def note(new_row, author):
    return await new_row("notes", owner_id=author.id, **NOTE)


@pytest.fixture
def stored(database):
    """Returns whether a note is stored: `await stored(note)`."""

    async def stored(note):
        query = "select exists (select from public.notes where id = $1)"
        return await database.fetchval(query, note["id"])

    return stored


async def test_only_the_owner_may_call(anonymous, author, stranger, note, stored):
    url = f"/notes/{note['id']}"
    assert (await anonymous.delete(url)).status_code == 401
    assert (await stranger.delete(url)).status_code == 404
    assert await stored(note)
    assert (await author.delete(url)).status_code == 204
    assert not await stored(note)


async def test_deleting_again_is_404(author, note):
    answers = [await author.delete(f"/notes/{note['id']}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert answers[1].json()["error"]["code"] == "NOTE_NOT_FOUND"


async def test_a_missing_note_is_404(author):
    assert (await author.delete(f"/notes/{uuid4()}")).status_code == 404


async def test_a_condition_that_does_not_hold_deletes_nothing(author, note, stored):
    answer = await author.delete(f"/notes/{note['id']}", headers={"If-Match": '"another"'})
    assert answer.status_code == 412
    assert await stored(note)


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author, note):
    async with announced(settings, valkey, NoteChanged, "note_id") as (client_for, dropped):
        async with client_for(author.token) as client:
            await client.delete(f"/notes/{note['id']}")
        assert dropped() == {note["id"]}
