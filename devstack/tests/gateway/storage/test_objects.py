"""Objects over HTTP: limits, ranges, tokens, and what nobody may do."""

import asyncio
import base64
import json
import time
from typing import Any
from uuid import UUID

import jwt
import pytest

from devstack.tests.gateway.storage.storage_kit import ADA, GRACE, storage_server

CONTENT = b"0123456789"


@pytest.fixture
async def bucket(storage):
    return await storage.bucket(file_size_limit=len(CONTENT), allowed_mime_types=["text/plain"])


async def put(storage, bucket, name="a.txt", content: Any = CONTENT, **headers: Any):
    sent = {**storage.headers(), "content-type": "text/plain", "x-upsert": "true", **headers}
    return await storage.http.post(f"/object/{bucket}/{name}", content=content, headers=sent)


async def get(storage, bucket, name="a.txt", **headers):
    path = f"/object/authenticated/{bucket}/{name}"
    return await storage.http.get(path, headers={**storage.headers(), **headers})


def refusal(answer):
    """Return the status, which is nearly always 400, and the real one in the body."""
    body = answer.json()
    assert set(body) == {"statusCode", "error", "code", "message"}
    return answer.status_code, body["statusCode"], body["code"]


async def test_a_raw_body_becomes_an_object(storage, bucket):
    metadata = base64.b64encode(json.dumps({"n": 1}).encode()).decode()
    answer = await put(storage, bucket, **{"cache-control": "max-age=9", "x-metadata": metadata})
    assert answer.json()["Key"] == f"{bucket}/a.txt"
    found = await get(storage, bucket)
    assert (found.status_code, found.content) == (200, CONTENT)
    assert found.headers["content-type"] == "text/plain"
    assert found.headers["cache-control"] == "max-age=9"
    assert found.headers["accept-ranges"] == "bytes"
    info = await storage.http.get(f"/object/info/{bucket}/a.txt", headers=storage.headers())
    assert info.json()["metadata"] == {"n": 1}
    assert info.json()["etag"] == found.headers["etag"]
    unchanged = await get(storage, bucket, **{"if-none-match": found.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = await storage.http.head(
        f"/object/authenticated/{bucket}/a.txt", headers=storage.headers()
    )
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))
    assert head.headers["etag"] == found.headers["etag"]


@pytest.mark.parametrize(
    ("asked", "expected", "said"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-20", CONTENT, "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
async def test_a_range_is_a_part_of_the_bytes(storage, bucket, asked, expected, said):
    await put(storage, bucket)
    part = await get(storage, bucket, range=asked)
    assert (part.status_code, part.content) == (206, expected)
    assert part.headers["content-range"] == said
    assert part.headers["content-length"] == str(len(expected))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=-", "lines=1-2"])
async def test_a_range_outside_the_file_is_refused(storage, bucket, asked):
    await put(storage, bucket)
    assert refusal(await get(storage, bucket, range=asked)) == (416, "416", "InvalidRange")


async def test_too_large_and_wrong_type_are_refused_and_leave_nothing(storage, bucket):
    async def parts():
        for _ in range(len(CONTENT) + 1):
            yield b"x"

    before = storage.stored()
    too_large = (400, "413", "EntityTooLarge")
    assert refusal(await put(storage, bucket, content=CONTENT + b"x")) == too_large
    assert refusal(await put(storage, bucket, content=parts())) == too_large  # of unknown length
    form = {"files": {"file": ("a.txt", CONTENT + b"x", "text/plain")}}
    path = f"/object/{bucket}/a.txt"
    answer = await storage.http.post(path, headers=storage.headers(), **form)
    assert refusal(answer) == too_large
    wrong = (400, "415", "InvalidMimeType")
    assert refusal(await put(storage, bucket, **{"content-type": "image/png"})) == wrong
    form = {"files": {"file": ("a.txt", CONTENT, "image/png")}}
    assert refusal(await storage.http.post(path, headers=storage.headers(), **form)) == wrong
    signed = await storage.http.post(f"/object/upload/sign{path[7:]}", headers=storage.headers())
    for content, kind, expected in (
        (CONTENT + b"x", "text/plain", too_large),
        (CONTENT, "image/png", wrong),
    ):
        answer = await storage.http.put(
            signed.json()["url"], content=content, headers={"content-type": kind}
        )
        assert refusal(answer) == expected  # the limits bind a signed upload, too
    assert storage.stored() == before
    assert not list((storage.folder / "incoming").iterdir())


async def test_the_limit_of_the_server_binds_every_bucket(postgres_url, tmp_path):
    async with storage_server(postgres_url, tmp_path, file_size_limit=4) as storage:
        answer = await storage.http.post(
            "/bucket", json={"name": "b", "file_size_limit": 5}, headers=storage.headers()
        )
        assert refusal(answer) == (400, "413", "EntityTooLarge")
        bucket = await storage.bucket()
        assert (await put(storage, bucket, content=b"1234")).status_code == 200
        assert refusal(await put(storage, bucket, content=b"12345"))[1] == "413"


async def test_a_broken_form_is_refused_and_leaves_nothing(storage, bucket):
    before = storage.stored()
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\nbytes'
    field = b'--b\r\ncontent-disposition: form-data; name="f"\r\n\r\nvalue\r\n--b--\r\n'
    wrong = (
        (b"", boundary),
        (field, boundary),
        (part, boundary),
        (b"no form at all", boundary),
        (field, {"content-type": "multipart/form-data"}),
    )
    for content, headers in wrong:
        answer = await put(storage, await storage.bucket(), content=content, **headers)
        assert refusal(answer) == (400, "400", "InvalidRequest"), content
    assert storage.stored() == before


@pytest.mark.parametrize("name", ["ä.txt", "a%00b", "a%7Bb", "a%25b"])
async def test_a_name_that_no_object_can_have_is_refused(storage, bucket, name):
    assert refusal(await put(storage, bucket, name)) == (400, "400", "InvalidKey")


@pytest.mark.parametrize(
    "name",
    ["%2e%2e/%2e%2e/escape.txt", "a//b.txt", "%2fetc/passwd", "a/", "x?y", " a &$@=;:+,.txt"],
)
async def test_a_name_is_never_a_path_on_disk(storage, bucket, name):
    name = name.replace("?", "%3F")
    assert (await put(storage, bucket, name)).status_code == 200
    assert (await get(storage, bucket, name)).content == CONTENT
    found = {path.relative_to(storage.folder).parts[0] for path in storage.folder.rglob("*")}
    assert found == {"objects", "incoming", "resumable"}
    assert all(UUID(version) for version in storage.stored())
    if "%2e" in name:
        return  # clients shorten such a URL before they send it
    place = f"{bucket}/{name}"
    signed = await storage.http.post(
        f"/object/sign/{place}", json={"expiresIn": 60}, headers=storage.headers()
    )
    assert (await storage.http.get(signed.json()["signedURL"])).content == CONTENT
    upsert = {**storage.headers(), "x-upsert": "true"}
    signed = await storage.http.post(f"/object/upload/sign/{place}", headers=upsert)
    sent = {"content-type": "text/plain"}
    answer = await storage.http.put(signed.json()["url"], content=b"new", headers=sent)
    assert answer.status_code == 200, answer.text


async def test_a_token_is_for_one_object_one_action_and_its_time(storage, bucket):
    await put(storage, bucket)
    path = f"{bucket}/a.txt"
    signed = await storage.http.post(
        f"/object/sign/{path}", json={"expiresIn": 60}, headers=storage.headers()
    )
    read = signed.json()["signedURL"].partition("token=")[2]
    signed = await storage.http.post(
        f"/object/upload/sign/{path}", headers={**storage.headers(), "x-upsert": "true"}
    )
    write = signed.json()["token"]
    claims = jwt.decode(write, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200
    assert "role" not in claims

    now = int(time.time())
    secret = storage.config.jwt_secret
    claims = {"url": path, "scope": "download", "exp": now - 1}
    expired = jwt.encode(claims, secret, algorithm="HS256")
    forged = jwt.encode({**claims, "exp": now + 60}, f"{secret}!", algorithm="HS256")
    for token in (write, expired, forged, "garbage", ""):
        answer = await storage.http.get(f"/object/sign/{path}?token={token}")
        assert refusal(answer)[:2] == (400, "400"), token
    other = await storage.http.get(f"/object/sign/{bucket}/b.txt?token={read}")
    assert refusal(other) == (400, "400", "InvalidSignature")
    late = jwt.encode({**claims, "scope": "upload", "upsert": True}, secret, algorithm="HS256")
    for token in (read, late):
        answer = await storage.http.put(
            f"/object/upload/sign/{path}?token={token}", content=b"x",
            headers={"content-type": "text/plain"},
        )  # fmt: skip
        assert refusal(answer)[:2] == (400, "400")
    assert (await get(storage, bucket)).content == CONTENT
    answer = await storage.http.put(
        f"/object/upload/sign/{path}?token={write}", content=b"new",
        headers={"content-type": "text/plain"},
    )  # fmt: skip
    assert answer.json() == {"Key": path}
    assert (await get(storage, bucket)).content == b"new"


async def test_a_signed_upload_ignores_policies_that_changed_since(storage, bucket):
    name = f"{ADA}/a.txt"
    sign = f"/object/upload/sign/{bucket}/{name}"
    signed = await storage.http.post(sign, headers=storage.headers(ADA))
    stranger = await storage.http.post(sign, headers=storage.headers(GRACE))
    assert refusal(stranger) == (400, "403", "AccessDenied")
    policy = "create policy closed on storage.objects as restrictive to authenticated using (false)"
    await storage.database.execute(policy)
    try:
        denied = await storage.http.post(sign, headers=storage.headers(ADA))
        assert refusal(denied) == (400, "403", "AccessDenied")
        sent = {"content-type": "text/plain"}
        answer = await storage.http.put(signed.json()["url"], content=CONTENT, headers=sent)
        assert answer.status_code == 200
    finally:
        await storage.database.execute("drop policy closed on storage.objects")


async def test_a_policy_can_ask_for_the_operation_and_the_size(storage, bucket):
    await storage.database.execute("""
      create policy uploads on storage.objects for insert to anon with check (
        storage.allow_only_operation('object.upload') and (metadata ->> 'contentLength')::int = 10
      )""")
    try:
        anon = {"Authorization": f"Bearer {storage.config.anon_key}", "x-upsert": "false"}
        assert (await put(storage, bucket, "anon", **anon)).status_code == 200
        assert refusal(await put(storage, bucket, "short", b"x", **anon))[1] == "403"
        sign = f"/object/upload/sign/{bucket}/other"
        assert refusal(await storage.http.post(sign, headers=anon))[1] == "403"
    finally:
        await storage.database.execute("drop policy uploads on storage.objects")


async def test_without_a_valid_token_only_public_objects_are_read(storage, bucket):
    await put(storage, bucket)
    for path in (f"/object/{bucket}/a.txt", f"/object/info/{bucket}/a.txt"):
        assert refusal(await storage.http.get(path)) == (400, "404", "NoSuchBucket")
    expired = {"authorization": f"Bearer {storage.token(ADA, exp=1)}"}
    for method, path in (
        ("GET", f"/object/authenticated/{bucket}/a.txt"),
        ("DELETE", f"/object/{bucket}/a.txt"),
        ("POST", f"/object/sign/{bucket}/a.txt"),
        ("GET", "/bucket"),
    ):
        missing = await storage.http.request(method, path)
        assert refusal(missing) == (400, "400", "InvalidRequest")
        answer = await storage.http.request(method, path, headers=expired)
        assert refusal(answer) == (400, "403", "AccessDenied")
    key = {"apikey": storage.config.service_key}  # the hosted gateway makes a token of it
    assert (await storage.http.get("/bucket", headers=key)).status_code == 200


async def test_one_object_is_removed_by_its_path(storage, bucket):
    await put(storage, bucket)
    path = f"/object/{bucket}/a.txt"
    stranger = await storage.http.delete(path, headers=storage.headers(ADA))
    assert refusal(stranger) == (400, "403", "AccessDenied")
    removed = await storage.http.delete(path, headers=storage.headers())
    assert removed.json() == {"message": "Successfully deleted"}
    again = await storage.http.delete(path, headers=storage.headers())
    assert refusal(again) == (400, "404", "NoSuchKey")


async def test_html_comes_as_text_and_unknown_routes_have_a_sentence(storage):
    bucket = await storage.bucket()
    await put(storage, bucket, "page.html", **{"content-type": "text/html; charset=utf-8"})
    assert (await get(storage, bucket, "page.html")).headers["content-type"] == "text/plain"
    for path in ("/render/image/public/b/a.png", "/s3/bucket"):
        answer = await storage.http.get(path)
        assert refusal(answer) == (501, "501", "NotSupported")
    assert refusal(await storage.http.get("/nothing"))[:2] == (404, "404")


async def test_a_declared_type_never_becomes_another_header(storage):
    bucket = await storage.bucket()
    form = {"files": {"file": ("a", CONTENT)}, "data": {"contentType": "a/b\r\nset-cookie: a=b"}}
    path = f"/object/{bucket}/a.txt"
    sent = await storage.http.post(path, headers=storage.headers(), **form)
    assert sent.status_code == 200
    answer = await get(storage, bucket)
    assert refusal(answer) == (400, "400", "InvalidRequest")
    assert "set-cookie" not in answer.headers


async def test_uploads_of_one_name_at_once_leave_one_object_and_its_bytes(storage):
    bucket = await storage.bucket()
    contents = [bytes([n]) * 50_000 for n in range(8)]
    answers = await asyncio.gather(*(put(storage, bucket, content=each) for each in contents))
    assert {answer.status_code for answer in answers} == {200}
    assert (await get(storage, bucket)).content in contents
    assert storage.stored() == await storage.versions()


async def test_sql_cannot_delete_rows_because_their_bytes_would_stay(storage, bucket):
    await put(storage, bucket)
    for table in ("objects", "buckets"):
        with pytest.raises(Exception, match="Direct deletion from storage tables"):
            await storage.database.execute(f"delete from storage.{table}")
    assert (await get(storage, bucket)).content == CONTENT


async def test_a_row_without_bytes_is_not_found(storage, bucket):
    await put(storage, bucket)
    await storage.database.execute(
        "update storage.objects set version = gen_random_uuid()::text where bucket_id = $1", bucket
    )
    answer = await get(storage, bucket)
    assert refusal(answer) == (400, "404", "NoSuchKey")
    assert answer.json()["message"] == "The resource was not found"


@pytest.mark.parametrize(
    ("name", "folders", "file", "kind"),
    [("a/b/c.tar.gz", ["a", "b"], "c.tar.gz", "gz"), ("c.png", [], "c.png", "png")],
)
async def test_policies_can_ask_for_the_parts_of_a_name(storage, name, folders, file, kind):
    row = await storage.database.fetchrow(
        "select storage.foldername($1) as folders, storage.filename($1) as file, "
        "storage.extension($1) as kind",
        name,
    )
    assert dict(row) == {"folders": folders, "file": file, "kind": kind}
