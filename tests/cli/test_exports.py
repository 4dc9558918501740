"""`./app export USER_ID`, with this worker's stack."""

import json
import stat
import zipfile
from uuid import uuid4

import pytest

from kernel.boot.discovery import discover

pytestmark = pytest.mark.skipif(
    "export_user_data" not in discover(), reason="the slice with the job was removed"
)


async def test_an_operator_gets_the_archive_of_a_user(operator, author, post, jobs, tmp_path):
    file = tmp_path / "all.zip"
    found = await operator("export", str(author.id), "--output", str(file))
    assert found.exit_code == 0, found.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("account.json"))["email"] == author.email
        (row,) = json.loads(archive.read("posts/0001.json"))
    assert row["id"] == str(post.id)
    again = await operator("export", str(author.id), "--output", str(file))
    assert again.exit_code == 1
    assert "remove it" in again.output


async def test_an_unknown_user_is_one_sentence(operator, tmp_path):
    user_id = uuid4()
    found = await operator("export", str(user_id), "--output", str(tmp_path / "all.zip"))
    assert found.exit_code == 1
    assert found.output.strip() == f"There is no user {user_id}."


async def test_without_a_worker_it_says_what_is_missing(operator, author, jobs, tmp_path):
    file = tmp_path / "all.zip"
    with jobs.held():
        found = await operator("export", str(author.id), "--wait", "0", "--output", str(file))
    assert found.exit_code == 1
    assert "do a relay and a worker run?" in found.output
    assert not file.exists()
