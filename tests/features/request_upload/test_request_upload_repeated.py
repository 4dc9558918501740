"""H1, S5: a repeated request is one file, and parallel requests do not pass a quota."""

import asyncio
from uuid import uuid4

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole
from kit.small import changed

NEW = {"name": "notes.txt", "content_type": "text/plain", "size": 40}
COUNT = "select count(*) from public.files where owner_id = $1"


def key():
    return {"Idempotency-Key": f'"{uuid4()}"'}


async def test_h1_a_repeated_request_is_one_file_with_a_new_url(author, database):
    headers = key()
    answers = await asyncio.gather(
        *(author.post("/files", json=NEW, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["file"]["id"] for answer in answers}) == 1
    assert await database.fetchval(COUNT, author.id) == 1


async def test_h1_a_repeat_after_the_upload_is_409(author, upload, read_file, new_file, supabase):
    headers = key()
    first = (await author.post("/files", json=NEW, headers=headers)).json()["data"]
    url = f"/storage/v1/object/files/{first['file']['id']}"
    sent = {"Authorization": f"Bearer {author.token}", "content-type": "text/plain"}
    assert (await supabase.post(url, content=b"x" * 40, headers=sent)).status_code == 200
    answer = await author.post("/files", json=NEW, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "UPLOAD_OVER")


@pytest.mark.parametrize(
    ("quota", "limit", "allowed"), [("files", 2, 2), ("file_bytes", 100, 2), ("files", 0, 0)]
)
async def test_s5_parallel_requests_do_not_pass_a_quota(
    settings, author, database, quota, limit, allowed
):
    patient = {"supabase_timeout_seconds": 20}  # each waits for the others in the database
    app = create_app(changed(settings, **patient, **{f"quota_{quota}": limit}), whole())
    async with running(app) as client_for, client_for(author.token) as client:
        answers = await asyncio.gather(*(client.post("/files", json=NEW) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * allowed + [429] * (
        6 - allowed
    )
    refused = next(answer for answer in answers if answer.status_code == 429).json()["error"]
    assert refused["code"] == "QUOTA_EXCEEDED"
    assert (refused["details"]["quota"], refused["details"]["limit"]) == (quota, limit)
    assert await database.fetchval(COUNT, author.id) == allowed


async def test_s5_the_quota_holds_past_the_api(attacker, stranger, database):
    await database.execute(
        "insert into files.usage (owner_id, files, bytes) values ($1, 1000, 0)", stranger.id
    )
    answer = await attacker.post("/rest/v1/files", json=NEW)
    assert (answer.status_code, answer.json()["message"]) == (429, "QUOTA_EXCEEDED")
