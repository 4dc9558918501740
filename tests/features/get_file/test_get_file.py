from uuid import uuid4

import pytest


@pytest.fixture
async def file(author, new_file):
    return await new_file(author)


async def test_only_a_user_may_call(anonymous, author, file):
    assert (await anonymous.get(f"/files/{file.id}")).status_code == 401
    assert (await author.get(f"/files/{file.id}")).status_code == 200


async def test_a_file_exists_for_its_owner_alone(author, stranger, admin, file):
    answer = await author.get(f"/files/{file.id}")
    data = answer.json()["data"]
    assert (data["id"], data["name"], data["state"]) == (str(file.id), file.name, "pending")
    assert answer.headers["cache-control"] == "private, no-cache"
    for other in (stranger, admin):
        answer = await other.get(f"/files/{file.id}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "FILE_NOT_FOUND")


@pytest.mark.parametrize("state", ["checking", "ready", "rejected"])
async def test_it_shows_the_state_and_why_it_was_rejected(author, new_file, state):
    file = await new_file(author, state=state)
    data = (await author.get(f"/files/{file.id}")).json()["data"]
    reason = "malware" if state == "rejected" else None
    assert (data["state"], data["reason"]) == (state, reason)


async def test_a_missing_file_is_404(author):
    assert (await author.get(f"/files/{uuid4()}")).status_code == 404


async def test_what_is_no_uuid_is_422(author):
    assert (await author.get("/files/not-a-uuid")).status_code == 422
