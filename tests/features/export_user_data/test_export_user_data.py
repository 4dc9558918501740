"""Exports, from the request to the archive, with a real worker and relay."""

import io
import json
import zipfile
from uuid import UUID, uuid4

import pytest

from kit.grants import NOBODY

JOB = "export_user_data.make_archive"


@pytest.fixture
def requested(author):
    """Requests an export; returns the URL of its status, and its id."""

    async def request():
        answer = await author.post("/users/me/export")
        assert answer.status_code == 202
        data = answer.json()["data"]
        assert answer.headers["location"] == f"/api/v1/users/me/exports/{data['id']}"
        assert int(answer.headers["retry-after"]) >= 1
        return f"/users/me/exports/{data['id']}", data["id"]

    return request


@pytest.fixture
def ready(author, requested, jobs):
    """Requests an export, and waits until its job has ended."""

    async def wait():
        url, export_id = await requested()
        await jobs.runs(export_id, JOB)
        return url, export_id

    return wait


async def archive_of(client, url):
    answer = await client.get(f"{url}/download")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "attachment" in answer.headers["content-disposition"]
    return zipfile.ZipFile(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/users/me/export"),
        ("GET", f"/users/me/exports/{NOBODY}"),
        ("GET", f"/users/me/exports/{NOBODY}/download"),
    ],
)
async def test_only_a_user_may_call(anonymous, method, path):
    assert (await anonymous.request(method, path)).status_code == 401


async def test_an_export_becomes_an_archive_with_all_of_the_user_s_data(author, new_post, ready):
    posts = [await new_post(author, title=f"Post {number}") for number in range(3)]
    url, export_id = await ready()
    status = await author.get(url)
    assert status.status_code == 200
    data = status.json()["data"]
    assert data["status"] == "ready"
    assert data["download_url"] == f"/api/v1/users/me/exports/{export_id}/download"
    assert data["expires_at"] is not None
    archive = await archive_of(author, url)
    assert archive.testzip() is None
    read = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert read["account.json"]["email"] == author.email
    assert len(read["sessions.json"]) == 1
    assert "export_requested" in {row["action"] for row in read["activity.json"]}
    assert {row["id"] for row in read["posts/0001.json"]} == {str(post.id) for post in posts}
    assert author.password not in str(read)
    assert "token" not in str(read["sessions.json"])


async def test_posts_come_in_files_of_about_a_megabyte_and_a_download_in_pieces(
    author, ready, database
):
    await database.execute(
        """insert into public.posts (author_id, title, content)
           select $1, 'Long', string_agg(md5(random()::text), '')
           from generate_series(1, 30) post, generate_series(1, 3000) line group by post""",
        author.id,
    )
    url, export_id = await ready()
    chunks = "select count(*) from exports.chunks where export_id = $1"
    assert await database.fetchval(chunks, UUID(export_id)) >= 3
    archive = await archive_of(author, url)
    assert archive.testzip() is None
    pages = [name for name in archive.namelist() if name.startswith("posts/")]
    assert len(pages) >= 3
    assert sum(len(json.loads(archive.read(page))) for page in pages) == 30
    parts = "select count(*) from exports.parts where export_id = $1"
    assert await database.fetchval(parts, UUID(export_id)) == 0


async def test_while_it_is_under_way_the_answer_is_202_and_a_second_request_is_the_same_export(
    author, requested, jobs
):
    with jobs.held():
        url, export_id = await requested()
        assert (await requested())[1] == export_id
        status = await author.get(url)
        assert status.status_code == 202
        assert int(status.headers["retry-after"]) >= 1
        assert status.json()["data"]["status"] == "queued"
        download = await author.get(f"{url}/download")
        assert download.status_code == 404
        assert download.json()["error"]["code"] == "EXPORT_NOT_READY"
    await jobs.runs(export_id, JOB)
    assert (await author.get(url)).status_code == 200


async def test_another_attempt_goes_on_with_the_part_after_the_last_one(
    author, requested, jobs, database
):
    with jobs.held():
        url, export_id = await requested()
        export = UUID(export_id)
        assert await database.fetchval("select public.collect_export($1)", export) is not None
        await database.execute(
            "update exports.parts set content = '\"kept\"' where export_id = $1", export
        )
    await jobs.runs(export_id, JOB)
    archive = await archive_of(author, url)
    assert json.loads(archive.read("account.json")) == "kept"
    assert "sessions.json" in archive.namelist()


async def test_an_export_is_its_user_s_alone(stranger, ready):
    url, _ = await ready()
    for path in (url, f"{url}/download"):
        answer = await stranger.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "EXPORT_NOT_FOUND"


async def test_an_expired_export_is_gone(author, ready, database):
    url, export_id = await ready()
    await database.execute(
        "update exports.requests set expires_at = now() where id = $1", UUID(export_id)
    )
    for path in (url, f"{url}/download"):
        assert (await author.get(path)).status_code == 404


async def test_a_new_export_replaces_the_older_one_and_a_day_has_three(author, ready, database):
    urls = [(await ready())[0] for _ in range(3)]
    assert [(await author.get(url)).status_code for url in urls] == [404, 404, 200]
    answer = await author.post("/users/me/export")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "QUOTA_EXCEEDED"
    kept = """select count(distinct c.export_id) from exports.chunks c
              join exports.requests x on x.id = c.export_id where x.user_id = $1"""
    assert await database.fetchval(kept, author.id) == 1


async def test_data_above_the_limit_are_a_failed_export(author, requested, jobs, database):
    with jobs.held():
        url, export_id = await requested()
        await database.execute(
            """insert into exports.parts (export_id, number, name, content)
               select $1, 1, 'account.json', repeat('x', 201000000)""",
            UUID(export_id),
        )
    (run,) = await jobs.runs(export_id, JOB)
    assert (run["state"], run["attempts"]) == ("failed", 1)
    status = await author.get(url)
    assert status.status_code == 200
    assert status.json()["data"]["status"] == "failed"
    assert (await requested())[1] != export_id  # a failed export does not prevent another one


async def test_exports_go_with_their_user(author, ready, database):
    _, export_id = await ready()
    await database.execute("delete from auth.users where id = $1", author.id)
    left = """select (select count(*) from exports.requests where id = $1)
                   + (select count(*) from exports.chunks where export_id = $1)"""
    assert await database.fetchval(left, UUID(export_id)) == 0


async def test_an_operator_asks_for_the_export_of_a_user(author, jobs, database):
    export_id = uuid4()
    asked = "select public.request_export($1, $2)"
    assert await database.fetchval(asked, uuid4(), uuid4()) is None
    assert await database.fetchval(asked, export_id, author.id) == export_id
    await jobs.runs(export_id, JOB)
    assert (await author.get(f"/users/me/exports/{export_id}")).status_code == 200


async def test_the_schedule_asks_for_nobody_s_export_by_default(jobs, database):
    slot = await database.fetchval("select date_trunc('second', now())")
    before = await database.fetchval("select count(*) from exports.requests")
    await database.execute("select public.put_slot($1, $2)", "export_user_data.request_daily", slot)
    (run,) = await jobs.runs(slot.isoformat(), "export_user_data.request_daily")
    assert run["state"] == "succeeded"
    assert await database.fetchval("select count(*) from exports.requests") == before
