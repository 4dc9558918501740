"""Supabase's own client for Python against the gateway: everything that it offers."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from storage3.exceptions import StorageApiError

from devstack.tests.gateway.storage.storage_kit import ADA

CONTENT = b"some bytes \x00\xff of a file"


@pytest.fixture
async def bucket(storage):
    return storage.client().from_(await storage.bucket())


async def fetch(storage, url):
    """Follow a signed or public URL without any key."""
    async with httpx.AsyncClient(transport=storage.http._transport) as anonymous:
        return await anonymous.get(url)


def refused(raised):
    """Return the facts of an error of storage3."""
    return str(raised.value.status), raised.value.code, raised.value.message


async def test_buckets_are_created_read_changed_listed_emptied_and_deleted(storage):
    client = storage.client()
    name = await storage.bucket(file_size_limit="20kb", allowed_mime_types=["image/*"])
    found = await client.get_bucket(name)
    assert (found.id, found.public) == (name, False)
    assert (found.file_size_limit, found.allowed_mime_types) == (20_000, ["image/*"])
    assert name in {each.id for each in await client.list_buckets()}

    await client.update_bucket(name, {"public": True, "file_size_limit": None})
    found = await client.get_bucket(name)
    assert (found.public, found.file_size_limit) == (True, None)
    assert found.allowed_mime_types == ["image/*"]  # a missing field stays

    await client.from_(name).upload("a/b.png", CONTENT, {"content-type": "image/png"})
    with pytest.raises(StorageApiError) as raised:
        await client.delete_bucket(name)
    assert refused(raised)[::2] == ("409", "The bucket you tried to delete is not empty")
    await client.empty_bucket(name)
    assert await client.from_(name).list() == []
    assert await client.delete_bucket(name) == {"message": "Successfully deleted"}
    with pytest.raises(StorageApiError) as raised:
        await client.get_bucket(name)
    assert refused(raised) == ("404", "Bucket not found", "Bucket not found")


async def test_a_bucket_is_not_created_twice_and_not_with_a_bad_name(storage):
    client = storage.client()
    name = await storage.bucket()
    with pytest.raises(StorageApiError) as raised:
        await client.create_bucket(name)
    assert refused(raised) == ("409", "Duplicate", "The resource already exists")
    for bad in ("a/b", "ä", " a", "x" * 101):
        with pytest.raises(StorageApiError) as raised:
            await client.create_bucket(bad)
        assert refused(raised) == ("400", "Invalid Input", "Bucket name invalid")


async def test_only_the_service_sees_and_makes_buckets(storage):
    name = await storage.bucket()
    ada = storage.client(ADA)
    assert await ada.list_buckets() == []
    with pytest.raises(StorageApiError) as raised:
        await ada.create_bucket("mine")
    assert refused(raised)[:2] == ("403", "Unauthorized")
    with pytest.raises(StorageApiError) as raised:
        await ada.delete_bucket(name)
    assert refused(raised)[0] == "404"


async def test_an_object_is_uploaded_read_replaced_and_removed(storage, bucket):
    answer = await bucket.upload(
        "folder/file.bin",
        CONTENT,
        {"content-type": "image/x", "cache-control": "60", "metadata": {"who": "Ada"}},
    )
    assert answer.full_path == f"{bucket.id}/folder/file.bin"
    assert await bucket.download("folder/file.bin") == CONTENT
    facts = await bucket.info("folder/file.bin")
    assert (facts["size"], facts["content_type"]) == (len(CONTENT), "image/x")
    assert (facts["cache_control"], facts["metadata"]) == ("max-age=60", {"who": "Ada"})
    assert await bucket.exists("folder/file.bin")
    assert not await bucket.exists("folder/other.bin")

    with pytest.raises(StorageApiError) as raised:
        await bucket.upload("folder/file.bin", b"again")
    assert refused(raised) == ("409", "Duplicate", "The resource already exists")
    await bucket.upload("folder/file.bin", b"again", {"upsert": "true"})
    assert await bucket.download("folder/file.bin") == b"again"
    await bucket.update("folder/file.bin", b"changed")
    assert await bucket.download("folder/file.bin") == b"changed"
    assert (await bucket.info("folder/file.bin"))["version"] != facts["version"]

    removed = await bucket.remove(["folder/file.bin", "folder/none"])
    assert [each["name"] for each in removed] == ["folder/file.bin"]
    with pytest.raises(StorageApiError) as raised:
        await bucket.download("folder/file.bin")
    assert refused(raised) == ("404", "not_found", "Object not found")
    assert storage.stored() == await storage.versions()  # nothing stays behind on disk


async def test_a_file_of_this_machine_is_uploaded(bucket, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT * 50_000)
    await bucket.upload("big", tmp_path / "file")
    assert await bucket.download("big") == CONTENT * 50_000


async def test_objects_are_moved_and_copied(storage, bucket):
    await bucket.upload("a.txt", CONTENT, {"content-type": "text/csv"})
    assert (await bucket.move("a.txt", "b/c.txt"))["message"] == "Successfully moved"
    assert not await bucket.exists("a.txt")
    copied = await bucket.copy("b/c.txt", "d.txt")
    assert copied["Key"] == f"{bucket.id}/d.txt"
    for name in ("b/c.txt", "d.txt"):
        assert await bucket.download(name) == CONTENT
        assert (await bucket.info(name))["content_type"] == "text/csv"
    await bucket.remove(["b/c.txt"])
    assert await bucket.download("d.txt") == CONTENT
    for act in (bucket.move, bucket.copy):
        with pytest.raises(StorageApiError) as raised:
            await act("none", "e.txt")
        assert refused(raised)[0] == "404"
    await bucket.upload("e.txt", b"other")
    for act in (bucket.move, bucket.copy):
        with pytest.raises(StorageApiError) as raised:
            await act("d.txt", "e.txt")
        assert refused(raised)[:2] == ("409", "Duplicate")
    assert storage.stored() == await storage.versions()


async def test_a_folder_is_listed(bucket):
    for name in ("b.txt", "a/1.txt", "a/2.txt", "a/deep/3.txt", "C.txt"):
        await bucket.upload(name, CONTENT)
    listed = await bucket.list()
    assert [each["name"] for each in listed] == ["a", "b.txt", "C.txt"]
    assert [each["id"] is None for each in listed] == [True, False, False]
    assert listed[1]["metadata"]["size"] == len(CONTENT)
    assert [each["name"] for each in await bucket.list("a")] == ["1.txt", "2.txt", "deep"]
    assert [each["name"] for each in await bucket.list("a/")] == ["1.txt", "2.txt", "deep"]
    assert [each["name"] for each in await bucket.list("A", {"search": "DE"})] == ["deep"]
    page = await bucket.list("a", {"limit": 1, "offset": 1})
    assert [each["name"] for each in page] == ["2.txt"]
    newest = {"sortBy": {"column": "created_at", "order": "desc"}}
    assert [each["name"] for each in await bucket.list("", newest)] == ["a", "C.txt", "b.txt"]
    backwards = {"sortBy": {"column": "name", "order": "desc"}}
    assert [each["name"] for each in await bucket.list("", backwards)] == ["C.txt", "b.txt", "a"]
    assert await bucket.list("_") == []  # a wildcard of SQL is only a letter


@pytest.mark.parametrize("column", ["name", "created_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_second_kind_of_list_goes_page_by_page(bucket, column, order):
    names = ["a/1.txt", "a/2.txt", "b.txt", "c/3.txt", "d.txt"]
    for name in names:
        await bucket.upload(name, CONTENT)
    options = {"limit": 2, "with_delimiter": False, "sortBy": {"column": column, "order": order}}
    found: list[str] = []
    cursor: dict[str, str | None] = {}
    while True:
        page = await bucket.list_v2({**options, **cursor})
        assert page.folders == []
        found += [each.name for each in page.objects]
        if not page.hasNext:
            break
        cursor = {"cursor": page.nextCursor}
    assert found == (names if order == "asc" else names[::-1])
    page = await bucket.list_v2({"with_delimiter": True})
    assert [each.name for each in page.folders] == ["a/", "c/"]
    assert [each.name for each in page.objects] == ["b.txt", "d.txt"]
    page = await bucket.list_v2({"with_delimiter": True, "prefix": "a/"})
    assert [each.name for each in page.objects] == names[:2]


async def test_a_signed_url_is_read_without_a_key(storage, bucket):
    await bucket.upload("a b.txt", CONTENT)
    signed = await bucket.create_signed_url("a b.txt", 60)
    answer = await fetch(storage, signed["signedURL"])
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "expires" in answer.headers
    assert "content-disposition" not in answer.headers
    for download, expected in (
        (True, "attachment;"),
        ("ä.txt", "attachment; filename=%C3%A4.txt; filename*=UTF-8''%C3%A4.txt"),
    ):
        signed = await bucket.create_signed_url("a b.txt", 60, {"download": download})
        answer = await fetch(storage, signed["signedURL"])
        assert answer.headers["content-disposition"] == expected
    many = await bucket.create_signed_urls(["a b.txt", "none"], 60)
    assert (await fetch(storage, many[0]["signedURL"])).content == CONTENT
    assert many[1]["signedURL"] is None
    assert "does not exist" in many[1]["error"]


async def test_a_public_bucket_is_read_without_a_key_and_a_private_one_is_not(storage):
    for public, expected in ((True, 200), (False, 400)):
        name = await storage.bucket(public=public)
        bucket = storage.client().from_(name)
        await bucket.upload("a.txt", CONTENT)
        answer = await fetch(storage, await bucket.get_public_url("a.txt"))
        assert answer.status_code == expected
        plain = await fetch(storage, f"{storage.http.base_url}object/{name}/a.txt")
        assert plain.status_code == expected
        if not public:
            assert (
                answer.json()
                == plain.json()
                == {
                    "statusCode": "404",
                    "error": "Bucket not found",
                    "code": "NoSuchBucket",
                    "message": "Bucket not found",
                }
            )


async def test_a_signed_upload_needs_no_key_and_serves_once(storage, bucket):
    signed = await storage.client(ADA).from_(bucket.id).create_signed_upload_url(f"{ADA}/a.txt")
    token = signed["token"]
    assert parse_qs(urlsplit(signed["signed_url"]).query)["token"] == [token]
    anyone = storage.client(ADA).from_(bucket.id)
    answer = await anyone.upload_to_signed_url(
        f"{ADA}/a.txt", token, CONTENT, {"metadata": {"n": 1}}
    )
    assert answer.full_path == f"{bucket.id}/{ADA}/a.txt"
    facts = await bucket.info(f"{ADA}/a.txt")
    assert facts["metadata"] == {"n": 1}
    owner = await storage.database.fetchval(
        "select owner_id from storage.objects where bucket_id = $1", bucket.id
    )
    assert owner == ADA
    with pytest.raises(StorageApiError) as raised:
        await anyone.upload_to_signed_url(f"{ADA}/a.txt", token, b"again")
    assert refused(raised)[:2] == ("409", "Duplicate")
    assert await bucket.download(f"{ADA}/a.txt") == CONTENT


async def test_a_transformation_is_refused_with_a_sentence(storage, bucket):
    await bucket.upload("a.png", CONTENT)
    for act in (bucket.download, lambda *a: bucket.create_signed_url(a[0], 60, a[1])):
        with pytest.raises(StorageApiError) as raised:
            await act("a.png", {"transform": {"width": 10}})
        assert refused(raised) == (
            "501",
            "not_implemented",
            "The local gateway does not support image transformations.",
        )


async def test_a_path_of_another_user_is_refused(storage, bucket):
    ada = storage.client(ADA).from_(bucket.id)
    await ada.upload(f"{ADA}/mine.txt", CONTENT)
    assert await ada.download(f"{ADA}/mine.txt") == CONTENT
    await bucket.upload("service/foreign.txt", CONTENT)
    for act in (
        ada.upload("service/new.txt", CONTENT),
        ada.update("service/foreign.txt", CONTENT),
        ada.create_signed_upload_url("service/new.txt"),
        ada.copy(f"{ADA}/mine.txt", "service/copy.txt"),
        ada.move(f"{ADA}/mine.txt", "service/moved.txt"),
    ):
        with pytest.raises(StorageApiError) as raised:
            await act
        assert refused(raised) == (
            "403",
            "Unauthorized",
            "new row violates row-level security policy",
        )
    for act in (
        ada.download("service/foreign.txt"),
        ada.info("service/foreign.txt"),
        ada.create_signed_url("service/foreign.txt", 60),
        ada.copy("service/foreign.txt", f"{ADA}/copy.txt"),
        ada.move("service/foreign.txt", f"{ADA}/moved.txt"),
    ):
        with pytest.raises(StorageApiError) as raised:
            await act
        assert refused(raised)[:2] == ("404", "not_found")
    assert await ada.remove(["service/foreign.txt"]) == []
    assert await ada.list("service") == []
    assert await bucket.download("service/foreign.txt") == CONTENT
    assert storage.stored() == await storage.versions()


async def test_the_owner_is_the_user_of_the_token(storage, bucket):
    await storage.client(ADA).from_(bucket.id).upload(f"{ADA}/mine.txt", CONTENT)
    row = await storage.database.fetchrow(
        "select owner::text, owner_id, path_tokens, metadata::text as metadata "
        "from storage.objects where bucket_id = $1",
        bucket.id,
    )
    assert row["owner"] == row["owner_id"] == ADA
    assert row["path_tokens"] == [ADA, "mine.txt"]
    metadata = json.loads(row["metadata"])
    assert metadata["size"] == metadata["contentLength"] == len(CONTENT)
    assert set(metadata) == {
        "eTag", "size", "mimetype", "cacheControl", "lastModified", "contentLength",
        "httpStatusCode",
    }  # fmt: skip
