from uuid import uuid4

import pytest

from kit.cached_reads import CachedReads

NOTE = {"label": "A note"}


@pytest.fixture
async def note(new_row, author):
    return await new_row("notes", owner_id=author.id, **NOTE)


async def test_only_the_owner_may_call(anonymous, author, stranger, note):
    url = f"/notes/{note['id']}"
    assert (await anonymous.get(url)).status_code == 401
    assert (await stranger.get(url)).status_code == 404
    answer = await author.get(url)
    assert answer.status_code == 200
    found = answer.json()["data"]
    assert found["id"] == note["id"]
    assert {name: found[name] for name in NOTE} == NOTE
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_a_missing_note_is_404(author):
    answer = await author.get(f"/notes/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOTE_NOT_FOUND"


async def test_what_is_no_uuid_is_422_without_echo(author):
    answer = await author.get("/notes/not-a-uuid")
    assert answer.status_code == 422
    assert "not-a-uuid" not in answer.text


class TestCachedReads(CachedReads):
    slice = "read_note"

    @pytest.fixture
    async def values(self, new_row, author, stranger, admin):
        people = (author, stranger, admin)
        rows = [await new_row("notes", owner_id=one.id, **NOTE) for one in people]
        return {"note_id": [*(row["id"] for row in rows), uuid4()]}
