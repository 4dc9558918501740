"""The check of an uploaded file: it alone makes a file ready."""

import hashlib
import io
import zipfile
from typing import get_args

import pytest
import svcs

from adapters.clamd import Clamd, ClamdSettings, ScannerUnavailable
from devstack.testing import free_port
from features.check_file import handler, tasks
from features.shared.files import STORED_AS_STATED, ContentType
from kernel.boot.services import register_services
from kernel.supabase import AsService, StorageAsService
from kit.clamd import EICAR, LIMIT

JOB = "check_file.check"
PDF = b"%PDF-1.7\n" + b"x" * 10_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def empty_zip():
    content = io.BytesIO()
    zipfile.ZipFile(content, "w").close()
    return content.getvalue()


@pytest.fixture
async def check(settings):
    """Runs the job in this process: `await check(file, clamd)`."""
    async with svcs.Registry() as registry:
        register_services(registry, settings, {})
        async with svcs.Container(registry) as services:
            db, storage = await services.aget(AsService, StorageAsService)
            off = Clamd(ClamdSettings.model_validate({}), 5.0)

            async def run(file, clamd=off):
                await tasks.check.function(file.id, db, storage, clamd)

            yield run


@pytest.fixture
def uploaded(author, new_file, upload):
    """Requests and uploads a file: `await uploaded(b"…", content_type="…", stored_as="…")`."""

    async def make(content, stored_as=None, **fields):
        fields = {"content_type": "application/pdf", "size": len(content)} | fields
        kind = fields["content_type"]
        file = await new_file(author, content, **fields)
        stored_as = stored_as or (kind if kind in STORED_AS_STATED else "application/octet-stream")
        (await upload(file, content, stored_as)).raise_for_status()
        return file

    return make


async def test_an_uploaded_file_becomes_ready_by_itself(author, uploaded, jobs, read_file):
    file = await uploaded(PDF)
    await jobs.runs(file.id, JOB)
    row = await read_file(file.id)
    assert (row["state"], row["reason"]) == ("ready", None)
    assert row["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert row["checked_at"] is not None


async def test_a_wrong_file_is_rejected_and_its_object_removed_by_itself(
    uploaded, jobs, read_file, object_exists
):
    file = await uploaded(b"MZ\x90\0 no pdf")
    await jobs.runs(file.id, JOB)
    row = await read_file(file.id)
    assert (row["state"], row["reason"]) == ("rejected", "content_type")
    assert not await object_exists(file.id)


@pytest.mark.parametrize(
    ("reason", "content", "fields"),
    [
        (None, PDF, {"sha256": hashlib.sha256(PDF).hexdigest()}),
        (None, PNG, {"content_type": "image/png"}),
        (None, "Größe".encode() * 2000, {"content_type": "text/plain"}),
        (None, b"<script>", {"content_type": "text/html"}),
        (None, empty_zip(), {"content_type": "application/zip"}),
        (None, b"\0anything", {"content_type": "application/octet-stream"}),
        ("sha256", PDF, {"sha256": "0" * 64}),
        ("size", PDF, {"size": len(PDF) - 1}),
        ("size", PDF, {"size": len(PDF) + 1}),
        ("content_type", PNG, {"content_type": "image/jpeg"}),
        ("content_type", b"\0<html>", {"content_type": "text/plain"}),
        ("content_type", b"\xff\xfe", {"content_type": "text/csv"}),
        ("content_type", PDF, {"stored_as": "text/plain"}),
    ],
)
async def test_the_content_must_be_what_was_stated(
    uploaded, check, read_file, object_exists, reason, content, fields
):
    file = await uploaded(content, **fields)
    await check(file)
    row = await read_file(file.id)
    assert (row["state"], row["reason"]) == ("rejected" if reason else "ready", reason)
    assert await object_exists(file.id) is (reason is None)


@pytest.mark.parametrize("content_type", get_args(ContentType))
def test_text_is_taken_only_for_types_that_are_text(content_type):
    texts = {"application/json", "image/svg+xml", "application/octet-stream"}
    is_text = content_type.startswith("text/") or content_type in texts
    assert handler._looks_like(content_type, b"plain words") is is_text


async def test_malware_is_rejected(uploaded, check, read_file, object_exists, fake_clamd):
    clamd = Clamd(ClamdSettings.model_validate({"host": "127.0.0.1", "port": fake_clamd.port}), 5)
    bad, good = [await uploaded(one, content_type="text/plain") for one in (EICAR, b"harmless")]
    for file in (bad, good):
        await check(file, clamd)
    assert [(await read_file(file.id))["reason"] for file in (bad, good)] == ["malware", None]
    assert not await object_exists(bad.id)
    assert await object_exists(good.id)
    assert fake_clamd.scanned == [len(EICAR), 8]


async def test_a_file_too_large_for_the_scanner_is_rejected(uploaded, check, read_file, fake_clamd):
    clamd = Clamd(ClamdSettings.model_validate({"host": "127.0.0.1", "port": fake_clamd.port}), 5)
    file = await uploaded(b"%PDF-" + bytes(LIMIT * 3))
    await check(file, clamd)
    assert (await read_file(file.id))["reason"] == "not_scanned"


async def test_a_file_waits_for_a_scanner_that_is_away(uploaded, check, read_file):
    clamd = Clamd(ClamdSettings.model_validate({"host": "127.0.0.1", "port": free_port()}), 1)
    file = await uploaded(PDF)
    with pytest.raises(ScannerUnavailable):
        await check(file, clamd)
    assert (await read_file(file.id))["state"] == "checking"
    await check(file)
    assert (await read_file(file.id))["state"] == "ready"


async def test_a_check_that_runs_again_changes_nothing(
    author, new_file, uploaded, check, read_file, database, object_exists
):
    file = await uploaded(PDF)
    await check(file)
    before = await read_file(file.id)
    await check(file)
    assert await read_file(file.id) == before
    # The first attempt ended between the verdict and the removal.
    rejected = await new_file(author, state="rejected")
    await check(rejected)
    assert not await object_exists(rejected.id)


async def test_a_file_that_was_deleted_meanwhile_is_left_alone(
    uploaded, check, database, read_file
):
    file = await uploaded(PDF)
    await database.execute("delete from public.files where id = $1", file.id)
    await check(file)
    assert await read_file(file.id) is None


async def test_a_pending_file_cannot_be_finished(author, new_file, database, read_file):
    file = await new_file(author)
    await database.execute("select public.finish_file_check($1, $2, null)", file.id, "0" * 64)
    assert (await read_file(file.id))["state"] == "pending"


async def test_a_checked_object_is_never_replaced(uploaded, check, database, supabase, stack):
    file = await uploaded(PDF)
    await check(file)
    key = {"Authorization": f"Bearer {stack.gateway.service_key}", "x-upsert": "true"}
    url = f"/storage/v1/object/files/{file.id}"
    sent = await supabase.post(url, content=b"other", headers=key | {"content-type": "text/plain"})
    assert sent.status_code == 400
    body = {"bucketId": "files", "sourceKey": str(file.id), "destinationKey": "other"}
    assert (
        await supabase.post("/storage/v1/object/move", json=body, headers=key)
    ).status_code == 400
    assert (await supabase.get(url, headers=key)).content == PDF
