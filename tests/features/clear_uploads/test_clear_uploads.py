"""What is left behind is removed: objects of deleted files and users, and pending requests."""

import asyncpg
import pytest
import svcs

from features.clear_uploads import tasks
from kernel.boot.services import register_services

REMOVE = "clear_uploads.remove_object"
AGE = "update public.files set created_at = now() - ($2::text)::interval where id = $1"
AGE_OBJECT = "update storage.objects set created_at = now() - interval '2 hours' where name = $1"
WITHOUT_EVENT = "alter table public.files {} trigger user"


@pytest.fixture
async def run(settings):
    """Runs a scheduled job in this process: `await run(tasks.clear_pending)`."""
    async with svcs.Registry() as registry:
        register_services(registry, settings, {})
        async with svcs.Container(registry) as services:

            async def run(job):
                given = {name: await services.aget(kind) for name, kind in job.services.items()}
                await job.function(**given)

            yield run


async def test_the_object_of_a_deleted_file_is_removed(
    author, new_file, database, jobs, object_exists
):
    file = await new_file(author, state="ready")
    await database.execute("delete from public.files where id = $1", file.id)
    await jobs.runs(file.id, REMOVE)
    assert not await object_exists(file.id)


async def test_the_objects_of_a_deleted_user_are_removed(
    author, new_file, database, jobs, object_exists, read_file
):
    files = [await new_file(author, state=state) for state in ("ready", "checking", "pending")]
    await database.execute("delete from auth.users where id = $1", author.id)
    for file in files:
        await jobs.runs(file.id, REMOVE)
        assert await read_file(file.id) is None
        assert not await object_exists(file.id)
    assert not await database.fetchval(
        "select count(*) from files.usage where owner_id = $1", author.id
    )


async def test_a_request_without_an_upload_is_cleared_after_three_hours(
    author, new_file, database, run, read_file
):
    files = {}
    for name, age, state in (
        ("old", "3 hours 1 minute", "pending"),
        ("young", "2 hours 59 minutes", "pending"),
        ("uploaded", "9 hours", "checking"),
    ):
        files[name] = (await new_file(author, state=state)).id
        await database.execute(AGE, files[name], age)
    await run(tasks.clear_pending)
    kept = {name for name, file_id in files.items() if await read_file(file_id)}
    assert kept == {"young", "uploaded"}


async def test_objects_that_no_file_needs_are_removed(
    author, new_file, database, run, object_exists, monkeypatch
):
    monkeypatch.setattr(tasks, "_BATCH", 2)
    ready, rejected, lost, young = [
        await new_file(author, state=state) for state in ("ready", "rejected", "ready", "ready")
    ]
    for file in (ready, rejected, lost):
        await database.execute(AGE_OBJECT, str(file.id))
    await database.execute(WITHOUT_EVENT.format("disable"))
    await database.execute("delete from public.files where id = any ($1)", [lost.id, young.id])
    await database.execute(WITHOUT_EVENT.format("enable"))
    await run(tasks.remove_unused)
    kept = [await object_exists(file.id) for file in (ready, rejected, lost, young)]
    assert kept == [True, False, False, True]


async def test_an_object_is_not_deleted_by_sql(author, new_file, database):
    file = await new_file(author, state="ready")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("delete from storage.objects where name = $1", str(file.id))
