import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest

from kit.files import CONTENT


async def test_only_a_user_may_call(anonymous, author, new_file):
    file = await new_file(author, state="ready")
    assert (await anonymous.get(f"/files/{file.id}/download")).status_code == 401
    assert (await author.get(f"/files/{file.id}/download")).status_code == 200


async def test_a_ready_file_is_downloaded_from_storage_as_an_attachment(author, new_file, stack):
    file = await new_file(author, state="ready", name="Größe “1”.txt")
    answer = await author.get(f"/files/{file.id}/download")
    data = answer.json()["data"]
    assert answer.headers["cache-control"] == "private, no-store"
    assert data["url"].startswith(f"{stack.supabase_url}/storage/v1/object/sign/files/{file.id}?")
    async with httpx.AsyncClient() as browser:
        got = await browser.get(data["url"])
    assert (got.status_code, got.content) == (200, CONTENT)
    disposition = got.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E2%80%9C1%E2%80%9D.txt" in disposition


async def test_the_url_ends_after_ten_minutes(author, new_file):
    file = await new_file(author, state="ready")
    data = (await author.get(f"/files/{file.id}/download")).json()["data"]
    (token,) = parse_qs(urlsplit(data["url"]).query)["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] <= time.time() + 600
    ends = datetime.fromisoformat(data["expires_at"])
    assert datetime.now(UTC) < ends <= datetime.now(UTC) + timedelta(minutes=10)


@pytest.mark.parametrize("state", ["pending", "checking", "rejected"])
async def test_a_file_that_is_not_ready_is_409(author, new_file, state):
    file = await new_file(author, state=state)
    answer = await author.get(f"/files/{file.id}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "FILE_NOT_READY")


async def test_a_file_that_is_not_ready_is_refused_by_storage_too(
    author, stranger, new_file, supabase
):
    checking = await new_file(author, state="checking")
    ready = await new_file(author, state="ready")
    for file, person in ((checking, author), (ready, stranger)):
        headers = {"Authorization": f"Bearer {person.token}"}
        url = f"/storage/v1/object/sign/files/{file.id}"
        signed = await supabase.post(url, json={"expiresIn": 60}, headers=headers)
        assert signed.status_code == 400
        read = await supabase.get(f"/storage/v1/object/files/{file.id}", headers=headers)
        assert read.status_code == 400
        seen = await supabase.post(
            "/storage/v1/object/list/files", json={"prefix": ""}, headers=headers
        )
        assert str(file.id) not in seen.text


async def test_another_users_and_a_missing_file_are_404(author, stranger, admin, new_file):
    file = await new_file(author, state="ready")
    for other in (stranger, admin):
        answer = await other.get(f"/files/{file.id}/download")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "FILE_NOT_FOUND")
    assert (await author.get(f"/files/{uuid4()}/download")).status_code == 404


async def test_a_file_without_its_object_is_404(author, new_file, supabase, stack):
    file = await new_file(author, state="ready")
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    removed = await supabase.request(
        "DELETE", "/storage/v1/object/files", json={"prefixes": [str(file.id)]}, headers=key
    )
    assert removed.status_code == 200
    assert (await author.get(f"/files/{file.id}/download")).status_code == 404
