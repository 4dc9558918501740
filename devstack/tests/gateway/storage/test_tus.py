"""Resumable uploads by TUS 1.0: what the protocol says, and that no byte is lost or doubled."""

import asyncio
import base64
import secrets
from typing import Any

import pytest

from devstack.tests.gateway.storage.storage_kit import ADA, GRACE, storage_server

CONTENT = b"0123456789"
ENDPOINT = "/upload/resumable"
VERSION = {"tus-resumable": "1.0.0"}
PATCH = {**VERSION, "content-type": "application/offset+octet-stream"}


@pytest.fixture
async def bucket(storage):
    return await storage.bucket(file_size_limit=100, allowed_mime_types=["text/plain"])


def metadata(**fields):
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items()
    )


async def begin(storage, bucket, name="a.txt", size: Any = 10, content: Any = None, **more: Any):
    """Create an upload; the headers of `more` replace those of the service."""
    said = metadata(
        bucketName=bucket,
        objectName=name,
        contentType=more.pop("mime", "text/plain"),
        cacheControl="60",
        metadata='{"n":1}',
    )
    headers = {"upload-length": str(size), "upload-metadata": said}
    headers |= PATCH if content is not None else VERSION
    if "x-signature" not in more:
        headers |= storage.headers()
    return await storage.http.post(
        more.pop("endpoint", ENDPOINT), content=content, headers={**headers, **more}
    )


async def patch(storage, url, offset, content, **more):
    headers = {**storage.headers(), **PATCH, "upload-offset": str(offset), **more}
    return await storage.http.patch(url, content=content, headers=headers)


async def offset_of(storage, url):
    answer = await storage.http.head(url, headers={**storage.headers(), **VERSION})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


async def download(storage, bucket, name="a.txt"):
    path = f"/object/authenticated/{bucket}/{name}"
    return (await storage.http.get(path, headers=storage.headers())).content


def under_way(storage):
    return {path.name for path in (storage.folder / "resumable").iterdir()}


async def test_the_server_says_what_it_can(storage):
    for path in (ENDPOINT, f"{ENDPOINT}/sign", f"{ENDPOINT}/abc"):
        answer = await storage.http.options(path)
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        extensions = answer.headers["tus-extension"].split(",")
        assert extensions == ["creation", "creation-with-upload", "termination", "expiration"]
        assert answer.headers["tus-max-size"] == str(storage.config.file_size_limit)


async def test_a_file_arrives_in_parts(storage, bucket):
    created = await begin(storage, bucket)
    assert created.status_code == 201
    assert "upload-expires" in created.headers
    url = created.headers["location"]
    assert url.startswith(f"http://storage.test/storage/v1{ENDPOINT}/")
    assert await offset_of(storage, url) == 0
    part = await patch(storage, url, 0, CONTENT[:4])
    assert (part.status_code, part.headers["upload-offset"]) == (204, "4")
    assert part.headers["tus-resumable"] == "1.0.0"
    assert await download(storage, bucket) != CONTENT
    part = await patch(storage, url, 4, CONTENT[4:])
    assert (part.status_code, part.headers["upload-offset"]) == (204, "10")
    assert await download(storage, bucket) == CONTENT
    info = await storage.http.get(f"/object/info/{bucket}/a.txt", headers=storage.headers())
    facts = info.json()
    assert (facts["content_type"], facts["cache_control"]) == ("text/plain", "max-age=60")
    assert (facts["size"], facts["metadata"]) == (len(CONTENT), {"n": 1})
    # What a client asks that did not get the last answer.
    assert await offset_of(storage, url) == len(CONTENT)
    assert (await patch(storage, url, 10, b"", **{"x-upsert": "true"})).status_code == 204
    assert storage.stored() == await storage.versions()


async def test_the_first_bytes_come_along_with_the_creation(storage, bucket):
    created = await begin(storage, bucket, content=CONTENT[:3])
    assert (created.status_code, created.headers["upload-offset"]) == (201, "3")
    await patch(storage, created.headers["location"], 3, CONTENT[3:])
    assert await download(storage, bucket) == CONTENT
    whole = await begin(storage, bucket, "b.txt", content=CONTENT)
    assert whole.headers["upload-offset"] == "10"
    assert await download(storage, bucket, "b.txt") == CONTENT
    empty = await begin(storage, bucket, "c.txt", size=0)
    assert empty.status_code == 201
    assert await download(storage, bucket, "c.txt") == b""


async def test_a_wrong_offset_changes_nothing(storage, bucket):
    url = (await begin(storage, bucket, content=CONTENT[:4])).headers["location"]
    for offset in (0, 3, 5, 10):
        answer = await patch(storage, url, offset, CONTENT[4:])
        assert answer.status_code in {409, 413}
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert await offset_of(storage, url) == 4
    await patch(storage, url, 4, CONTENT[4:])
    assert await download(storage, bucket) == CONTENT


async def test_more_than_the_announced_size_is_refused(storage, bucket):
    async def parts():
        yield CONTENT[4:]
        yield b"x"

    url = (await begin(storage, bucket, content=CONTENT[:4])).headers["location"]
    assert (await patch(storage, url, 4, CONTENT)).status_code == 413
    assert await offset_of(storage, url) == 4
    assert (await patch(storage, url, 4, parts())).status_code == 413  # of unknown length
    assert await offset_of(storage, url) == 10
    assert await download(storage, bucket) == CONTENT


async def test_limits_of_the_bucket_and_policies_bind_at_the_creation(storage, bucket):
    before = under_way(storage)
    answer = await begin(storage, bucket, size=101)
    assert (answer.status_code, answer.text) == (413, "Maximum size exceeded")
    answer = await begin(storage, bucket, mime="image/png")
    assert (answer.status_code, answer.text) == (415, "mime type image/png is not supported")
    answer = await begin(storage, "none")
    assert (answer.status_code, answer.text) == (404, "Bucket not found")
    foreign = {"Authorization": f"Bearer {storage.token(GRACE)}"}
    answer = await begin(storage, bucket, f"{ADA}/a.txt", **foreign)
    assert answer.status_code == 403
    assert answer.text == "new row violates row-level security policy"
    assert (await begin(storage, bucket, "ä.txt")).status_code == 400
    anonymous = await storage.http.post(ENDPOINT, headers=VERSION)
    assert anonymous.json()["statusCode"] == "400"
    assert under_way(storage) == before


async def test_another_user_continues_and_ends_nothing(storage, bucket):
    mine = {"Authorization": f"Bearer {storage.token(ADA)}"}
    foreign = {"Authorization": f"Bearer {storage.token(GRACE)}"}
    created = await begin(storage, bucket, f"{ADA}/a.txt", content=CONTENT[:4], **mine)
    url = created.headers["location"]
    assert (await patch(storage, url, 4, CONTENT[4:], **foreign)).status_code == 403
    ended = await storage.http.delete(url, headers={**storage.headers(GRACE), **VERSION})
    assert ended.status_code == 403
    assert (await patch(storage, url, 4, CONTENT[4:], **mine)).status_code == 204
    assert await download(storage, bucket, f"{ADA}/a.txt") == CONTENT
    owner = "select owner_id from storage.objects where bucket_id = $1"
    assert await storage.database.fetchval(owner, bucket) == ADA


async def test_an_existing_object_is_replaced_only_by_an_upsert(storage, bucket):
    await begin(storage, bucket, content=b"old", size=3)
    taken = await begin(storage, bucket)
    assert (taken.status_code, taken.text) == (409, "The resource already exists")
    created = await begin(storage, bucket, content=CONTENT, **{"x-upsert": "true"})
    assert created.status_code == 201
    assert await download(storage, bucket) == CONTENT
    assert storage.stored() == await storage.versions()


async def test_an_upload_is_ended_and_forgotten(storage, bucket):
    before = under_way(storage)
    url = (await begin(storage, bucket, content=CONTENT[:4])).headers["location"]
    headers = {**storage.headers(), **VERSION}
    assert (await storage.http.delete(url, headers=headers)).status_code == 204
    assert under_way(storage) == before
    assert (await storage.http.head(url, headers=headers)).status_code == 404
    assert (await patch(storage, url, 4, CONTENT[4:])).status_code == 404
    url = (await begin(storage, bucket, content=CONTENT)).headers["location"]
    upsert = {**headers, "x-upsert": "true"}
    assert (await storage.http.delete(url, headers=upsert)).status_code == 400
    assert await download(storage, bucket) == CONTENT


async def test_an_expired_upload_is_gone(postgres_url, tmp_path):
    async with storage_server(postgres_url, tmp_path, resumable_expiry=0) as storage:
        bucket = await storage.bucket()
        url = (await begin(storage, bucket)).headers["location"]
        assert len(under_way(storage)) == 2
        for answer in (
            await storage.http.head(url, headers={**storage.headers(), **VERSION}),
            await patch(storage, url, 0, CONTENT),
        ):
            assert answer.status_code == 410
        await begin(storage, bucket)
        assert len(under_way(storage)) == 2  # the second creation removed the first upload


async def test_the_protocol_is_checked(storage, bucket):
    url = (await begin(storage, bucket)).headers["location"]
    headers = storage.headers()
    assert (await storage.http.head(url, headers=headers)).status_code == 412
    wrong = await patch(storage, url, 0, CONTENT, **{"content-type": "text/plain"})
    assert wrong.status_code == 415
    missing = await storage.http.patch(url, content=CONTENT, headers={**headers, **PATCH})
    assert missing.status_code == 403
    created = await storage.http.post(ENDPOINT, headers={**headers, **VERSION})
    assert created.status_code == 400
    said = {**headers, **VERSION, "upload-length": "1", "upload-metadata": "bucketName !"}
    assert (await storage.http.post(ENDPOINT, headers=said)).status_code == 400
    for id_ in ("garbage", "%00", base64.urlsafe_b64encode(b"a/../../b").decode()):
        answer = await storage.http.head(f"{ENDPOINT}/{id_}", headers={**headers, **VERSION})
        assert answer.status_code == 404


async def test_a_signature_is_enough_for_its_one_object(storage, bucket):
    path = f"/object/upload/sign/{bucket}/{ADA}/a.txt"
    token = (await storage.http.post(path, headers=storage.headers(ADA))).json()["token"]
    signed = {"endpoint": f"{ENDPOINT}/sign", "x-signature": token}
    other = await begin(storage, bucket, f"{ADA}/b.txt", **signed)
    assert (other.status_code, other.text) == (400, "Invalid signature")
    unsigned = await storage.http.post(
        f"{ENDPOINT}/sign",
        headers={**VERSION, "upload-length": "1", "upload-metadata": metadata(bucketName=bucket)},
    )
    assert unsigned.text == "Missing x-signature header"
    assert (await begin(storage, bucket, f"{ADA}/a.txt", size=101, **signed)).status_code == 413
    created = await begin(storage, bucket, f"{ADA}/a.txt", content=CONTENT[:4], **signed)
    url = created.headers["location"]
    assert f"{ENDPOINT}/sign/" in url
    sent = {**PATCH, "upload-offset": "4"}
    assert (await storage.http.patch(url, content=b"x", headers=sent)).status_code == 400
    sent["x-signature"] = token
    answer = await storage.http.patch(url, content=CONTENT[4:], headers=sent)
    assert answer.status_code == 204, answer.text
    assert await download(storage, bucket, f"{ADA}/a.txt") == CONTENT
    owner = "select owner_id from storage.objects where bucket_id = $1"
    assert await storage.database.fetchval(owner, bucket) == ADA


async def test_a_request_that_hangs_gives_way_to_the_one_that_continues(storage, bucket):
    hangs = asyncio.Event()

    async def half():
        yield CONTENT[:4]
        hangs.set()
        await asyncio.Event().wait()

    url = (await begin(storage, bucket)).headers["location"]
    first = asyncio.create_task(patch(storage, url, 0, half()))
    await hangs.wait()
    assert await offset_of(storage, url) == 4
    assert (await first).status_code == 400
    assert (await patch(storage, url, 4, CONTENT[4:])).status_code == 204
    assert await download(storage, bucket) == CONTENT


async def test_many_that_continue_at_once_double_nothing(storage):
    bucket = await storage.bucket()
    content = secrets.token_bytes(200_000)
    url = (await begin(storage, bucket, size=len(content))).headers["location"]
    answers = await asyncio.gather(*(patch(storage, url, 0, content) for _ in range(5)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {204, 400, 409, 413}
    if 204 not in codes:  # one was interrupted by the others: its client asks, and goes on
        offset = await offset_of(storage, url)
        assert (await patch(storage, url, offset, content[offset:])).status_code == 204
    assert await download(storage, bucket) == content
    assert storage.stored() == await storage.versions()


@pytest.mark.parametrize("asks", ["head", "patch"])
@pytest.mark.parametrize("renamed", [False, True])
async def test_a_crash_before_the_row_is_mended_by_the_next_request(storage, bucket, renamed, asks):
    """All bytes are there and the object is not, as a kill in the last request leaves it."""
    before = under_way(storage)
    url = (await begin(storage, bucket)).headers["location"]
    (version,) = {name for name in under_way(storage) - before if "." not in name}
    file = storage.folder / "resumable" / version
    file.write_bytes(CONTENT)
    if renamed:  # the kill came after the bytes were an object's
        file.rename(storage.folder / "objects" / version)
    if asks == "head":
        assert await offset_of(storage, url) == len(CONTENT)
    else:
        assert (await patch(storage, url, len(CONTENT), b"")).status_code == 204
    assert await download(storage, bucket) == CONTENT
    # Asked again, it makes nothing: the object may be another one by then.
    await storage.http.delete(f"/object/{bucket}/a.txt", headers=storage.headers())
    assert await offset_of(storage, url) == len(CONTENT)
    assert storage.stored() == await storage.versions()
