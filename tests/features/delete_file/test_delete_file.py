from uuid import uuid4

import pytest

from features.shared.files import FileChanged, FileDeleted
from kernel.events import known_events
from kit.announced import announced


async def test_only_a_user_may_call(anonymous, author, new_file):
    file = await new_file(author)
    assert (await anonymous.delete(f"/files/{file.id}")).status_code == 401
    assert (await author.delete(f"/files/{file.id}")).status_code == 204


@pytest.mark.parametrize("state", ["pending", "checking", "ready", "rejected"])
async def test_a_file_is_deleted_in_any_state(author, new_file, read_file, database, state):
    file = await new_file(author, state=state)
    assert (await author.delete(f"/files/{file.id}")).status_code == 204
    assert await read_file(file.id) is None
    told = await database.fetchval(
        "select count(*) from outbox.events where topic = 'file_deleted' and items::text like $1",
        f"%{file.id}%",
    )
    assert told == 1
    assert known_events()["file_deleted"] is FileDeleted
    again = await author.delete(f"/files/{file.id}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "FILE_NOT_FOUND")


async def test_another_users_file_is_404_and_stays(author, stranger, admin, new_file, read_file):
    file = await new_file(author)
    for other in (stranger, admin):
        assert (await other.delete(f"/files/{file.id}")).status_code == 404
    assert await read_file(file.id) is not None


async def test_a_missing_file_is_404(author):
    assert (await author.delete(f"/files/{uuid4()}")).status_code == 404


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author, new_file):
    file = await new_file(author)
    async with announced(settings, valkey, FileChanged, "file_id") as (client_for, dropped):
        async with client_for(author.token) as client:
            assert (await client.delete(f"/files/{file.id}")).status_code == 204
        assert dropped() == {str(file.id)}


async def test_s5_the_quota_is_given_back(author, new_file, database):
    usage = "select files, bytes from files.usage where owner_id = $1"
    kept, gone = await new_file(author, b"12345"), await new_file(author, b"1234567")
    assert tuple(await database.fetchrow(usage, author.id)) == (2, 12)
    assert (await author.delete(f"/files/{gone.id}")).status_code == 204
    assert tuple(await database.fetchrow(usage, author.id)) == (1, 5)
    assert (await author.delete(f"/files/{kept.id}")).status_code == 204
    assert tuple(await database.fetchrow(usage, author.id)) == (0, 0)
