from uuid import uuid4

import httpx
import pytest

from features.shared.files import MAX_FILE_BYTES, STORED_AS_STATED, UNKNOWN, FileChanged
from kit.announced import announced

CONTENT = b"%PDF-1.7 and more"
NEW = {"name": "Notes.pdf", "content_type": "application/pdf", "size": len(CONTENT)}
WRONG = [
    {},
    NEW | {"name": ""},
    NEW | {"name": "  "},
    NEW | {"name": "x" * 201},
    NEW | {"name": "../up"},
    NEW | {"name": "..\\up"},
    NEW | {"name": "a\x00b"},
    NEW | {"name": "a\r\nContent-Type: text/html"},
    NEW | {"name": "a\u2028b"},
    NEW | {"content_type": "application/x-msdownload"},
    NEW | {"content_type": "application/pdf; charset=utf-8"},
    NEW | {"size": 0},
    NEW | {"size": -1},
    NEW | {"size": 524_288_001},
    NEW | {"size": 10**30},
    NEW | {"size": "17"},
    NEW | {"size": True},
    NEW | {"sha256": "A" * 64},
    NEW | {"sha256": "a" * 63},
    NEW | {"state": "ready"},
    NEW | {"owner_id": "11111111-1111-4111-8111-111111111111"},
    NEW | {"id": "11111111-1111-4111-8111-111111111111"},
]


@pytest.fixture
async def client():
    """A client without any token, as of a browser that got a URL."""
    async with httpx.AsyncClient() as client:
        yield client


async def put(client, upload, content=CONTENT):
    return await client.put(upload["url"], content=content, headers=upload["headers"])


@pytest.fixture
def requested(author):
    """Requests an upload: `await requested(name="…")`."""

    async def request(by=author, **fields):
        answer = await by.post("/files", json=NEW | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    return request


async def test_only_a_user_may_call(anonymous, author):
    assert (await anonymous.post("/files", json=NEW)).status_code == 401
    assert (await author.post("/files", json=NEW)).status_code == 201


async def test_the_answer_says_where_the_bytes_go(author, stack):
    answer = await author.post("/files", json=NEW)
    upload = answer.json()["data"]
    file = upload["file"]
    assert answer.headers["location"] == f"/api/v1/files/{file['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert {key: file[key] for key in NEW} == NEW
    assert (file["state"], file["owner_id"]) == ("pending", str(author.id))
    storage = f"{stack.supabase_url}/storage/v1"
    assert upload["url"].startswith(f"{storage}/object/upload/sign/files/{file['id']}?token=")
    assert (upload["method"], upload["headers"]) == ("PUT", {"content-type": NEW["content_type"]})
    assert upload["resumable"]["url"] == f"{storage}/upload/resumable/sign"
    assert upload["resumable"]["metadata"] == {
        "bucketName": "files",
        "objectName": file["id"],
        "contentType": NEW["content_type"],
    }


async def test_an_upload_by_the_url_is_checked_next(requested, client, read_file, database):
    upload = await requested()
    assert (await put(client, upload)).status_code == 200
    assert (await read_file(upload["file"]["id"]))["state"] == "checking"
    told = await database.fetchval(
        "select count(*) from outbox.events where topic = 'file_uploaded' and items::text like $1",
        f"%{upload['file']['id']}%",
    )
    assert told == 1


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml"])
async def test_what_could_run_a_script_is_stored_as_bytes(requested, client, kind, read_file):
    upload = await requested(content_type=kind)
    assert upload["headers"] == {"content-type": "application/octet-stream"}
    asked = upload | {"headers": {"content-type": kind}}
    assert (await put(client, asked)).status_code == 400  # the bucket takes no such type
    assert (await read_file(upload["file"]["id"]))["state"] == "pending"
    assert (await put(client, upload)).status_code == 200


async def test_a_token_is_for_one_upload_of_one_file(requested, client, object_exists):
    first, second = await requested(), await requested()
    foreign = first["url"].replace(first["file"]["id"], second["file"]["id"])
    invented = first["url"].replace(first["file"]["id"], str(uuid4()))
    for url in (foreign, invented):
        assert (await put(client, first | {"url": url})).status_code == 400
    assert not await object_exists(second["file"]["id"])
    assert (await put(client, first)).status_code == 200
    assert (await put(client, first, b"%PDF-1.7 replaced")).status_code == 400


async def test_a_token_is_worth_nothing_when_the_file_is_gone(
    requested, client, database, object_exists
):
    upload = await requested()
    await database.execute("delete from public.files where id = $1::uuid", upload["file"]["id"])
    assert (await put(client, upload)).status_code == 400
    assert not await object_exists(upload["file"]["id"])


async def test_nobody_uploads_what_nobody_requested(author, stranger, requested, upload, supabase):
    pending = await requested()
    for name, person in ((pending["file"]["id"], stranger), (uuid4(), author), ("a.txt", author)):
        headers = {"Authorization": f"Bearer {person.token}", "content-type": "text/plain"}
        url = f"/storage/v1/object/files/{name}"
        assert (await supabase.post(url, content=b"x", headers=headers)).status_code == 400
        signed = f"/storage/v1/object/upload/sign/files/{name}"
        assert (await supabase.post(signed, headers=headers)).status_code == 400
    anonymous = await supabase.post(
        f"/storage/v1/object/files/{pending['file']['id']}", content=b"x"
    )
    assert anonymous.status_code == 400


async def test_reads_of_it_are_dropped_before_the_answer(settings, valkey, author):
    async with (
        announced(settings, valkey, FileChanged, "file_id") as (client_for, dropped),
        client_for(author.token) as own,
    ):
        file = (await own.post("/files", json=NEW)).json()["data"]["file"]
        assert dropped() == {file["id"]}


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(author, body):
    answer = await author.post("/files", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert "msdownload" not in answer.text
    assert "11111111" not in answer.text


async def test_a_name_with_a_path_says_what_to_do(author):
    answer = await author.post("/files", json=NEW | {"name": "a/b"})
    (field,) = answer.json()["error"]["details"]["fields"]
    assert field == {
        "field": "body.name",
        "message": "A name has no / and no \\: it is the name of a file, not a path.",
    }


@pytest.mark.parametrize(
    "name", ["a\nb", "a\u202eb", "a\u2066b", "../b", "a\\b", "", "x" * 201, "a\x7fb"]
)
async def test_s9_the_database_refuses_such_names_too(attacker, name):
    answer = await attacker.post("/rest/v1/files", json=NEW | {"name": name})
    assert (answer.status_code, answer.json()["code"]) == (400, "23514")


async def test_table_and_bucket_have_the_limits_of_the_api(database):
    bucket = await database.fetchrow("select * from storage.buckets where id = 'files'")
    assert set(bucket["allowed_mime_types"]) == {UNKNOWN, *STORED_AS_STATED}
    assert (bucket["file_size_limit"], bucket["public"]) == (MAX_FILE_BYTES, False)
    check = await database.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'files_size_check'"
    )
    assert str(MAX_FILE_BYTES) in check


@pytest.mark.parametrize("field", ["id", "owner_id", "state", "reason", "uploaded_at"])
async def test_a12_a_user_states_nothing_else_past_the_api(attacker, author, field):
    value = {"owner_id": str(author.id), "state": "ready"}.get(field)
    answer = await attacker.post("/rest/v1/files", json=NEW | {field: value})
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    changed = await attacker.patch("/rest/v1/files?size=gt.0", json={field: value})
    assert changed.status_code == 403
