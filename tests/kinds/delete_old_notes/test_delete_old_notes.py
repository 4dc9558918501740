from datetime import UTC, datetime, timedelta

import pytest

from kernel.supabase import AsService, SupabaseHttp
from kit.kinds.delete_old_notes import tasks

NOTE = {"label": "A note"}


@pytest.fixture
def note_of_age(new_row, author):
    """Stores a note: `await note_of_age(366)`, in days since its last change."""

    async def store(days):
        moment = datetime.now(UTC) - timedelta(days=days)
        return await new_row("notes", owner_id=author.id, updated_at=moment, **NOTE)

    return store


@pytest.fixture
async def service(settings):
    """The database, as jobs use it."""
    async with SupabaseHttp(settings) as http:
        yield AsService(http)


@pytest.fixture
def kept(database, author):
    """Returns the ids of the notes that are still stored."""

    async def kept():
        query = "select id::text from public.notes where owner_id = $1"
        return {row["id"] for row in await database.fetch(query, author.id)}

    return kept


async def test_old_notes_are_deleted_and_younger_ones_stay(note_of_age, service, kept, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH", 2)
    for _ in range(5):
        await note_of_age(tasks.DAYS + 1)
    young = await note_of_age(tasks.DAYS - 1)
    await tasks.delete_old_notes.function(service)
    assert await kept() == {young["id"]}


async def test_a_second_run_deletes_nothing(note_of_age, service, kept):
    young = await note_of_age(0)
    for _ in range(2):
        await tasks.delete_old_notes.function(service)
    assert await kept() == {young["id"]}


def test_it_runs_each_night_at_four():
    schedule = tasks.delete_old_notes.schedule
    assert schedule is not None
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert schedule.slot(noon) == datetime(2026, 3, 29, 4, tzinfo=UTC)
