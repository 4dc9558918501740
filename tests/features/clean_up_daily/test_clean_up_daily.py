"""The daily cleanup, on rows that the tests create: all other rows are too young."""

import json
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from features.clean_up_daily import tasks
from kernel.outbox.outbox import Outbox
from kernel.supabase import AsService, SupabaseHttp

OLD, YOUNG = timedelta(days=91), timedelta(days=89)


class Rows:
    """Rows of a given age, identified by a mark that no other test uses."""

    def __init__(self, database):
        self._database = database
        self.mark = uuid4().hex

    async def event(self, *, age, delivered=True):
        """An event of the outbox; one that is not delivered waits forever."""
        return await self._database.fetchval(
            """insert into outbox.events
                 (topic, items, created_at, dropped_at, published_at, not_before)
               values ('user_changed', $1::jsonb, $2, $2, $3, 'infinity') returning id""",
            json.dumps([{"user_id": self.mark}]),
            datetime.now(UTC) - age,
            datetime.now(UTC) - age if delivered else None,
        )

    async def run(self, *, age, state="succeeded"):
        """A run of a job; one that is not finished counts as touched now."""
        moment = datetime.now(UTC) - age
        return await self._database.fetchval(
            """insert into jobs.runs (id, job, event_id, item, state, queued_at, finished_at)
               values ($1, $2, 0, 0, $3, $4, $5) returning id""",
            uuid4(),
            self.mark,
            state,
            moment,
            None if state == "queued" else moment,
        )

    async def slot(self, *, age):
        """A slot of a scheduled job."""
        return await self._database.fetchval(
            "insert into jobs.slots (job, slot) values ($1, $2) returning slot",
            self.mark,
            datetime.now(UTC) - age,
        )

    async def kept(self):
        """The remaining ids of events and runs, and the remaining slots."""
        return await self._three(
            "select id from outbox.events where strpos(items::text, $1) > 0",
            "select id from jobs.runs where job = $1",
            "select slot from jobs.slots where job = $1",
        )

    async def archived(self):
        """The archived rows of events and runs as JSON, with the time of archiving."""
        return [
            await self._database.fetch(
                f"select content, archived_at from archive.{table} "
                "where strpos(content::text, $1) > 0",
                self.mark,
            )
            for table in ("events", "runs")
        ]

    async def forget(self):
        """Delete the rows, so that nothing waits."""
        await self._database.execute(
            "delete from outbox.events where strpos(items::text, $1) > 0", self.mark
        )
        for table in ("jobs.runs", "jobs.slots"):
            await self._database.execute(f"delete from {table} where job = $1", self.mark)

    async def _three(self, *queries):
        return [{row[0] for row in await self._database.fetch(one, self.mark)} for one in queries]


@pytest.fixture
async def rows(database):
    """Makes rows of a given age: `await rows.event(age=OLD)`."""
    rows = Rows(database)
    yield rows
    await rows.forget()


@pytest.fixture
async def service(settings):
    """The database, as jobs use it."""
    async with SupabaseHttp(settings) as http:
        yield AsService(http)


@pytest.fixture
def report(caplog):
    """Returns the fields of the only report in the log since the last call."""
    caplog.set_level(logging.INFO, logger=tasks.log.name)

    def report():
        (line,) = [record for record in caplog.records if record.message == "cleanup"]
        caplog.clear()
        return vars(line)

    return report


def cleanups(jobs):
    """Return the reports in the worker's log."""
    lines = (json.loads(line) for line in jobs.worker.printed.splitlines())
    return [line["context"] for line in lines if line["message"] == "cleanup"]


async def test_the_slot_of_the_day_moves_what_is_old_and_deletes_old_slots(jobs, rows, service):
    old = [
        await rows.event(age=OLD),
        await rows.run(age=OLD),
        await rows.run(age=OLD, state="failed"),
    ]
    await rows.slot(age=OLD)
    kept = [
        {await rows.event(age=YOUNG), await rows.event(age=OLD, delivered=False)},
        {await rows.run(age=YOUNG), await rows.run(age=OLD, state="queued")},
        {await rows.slot(age=YOUNG)},
    ]
    reports = len(cleanups(jobs))
    slot = datetime.now(UTC).replace(microsecond=0)
    assert await Outbox(service).put_slot(tasks.clean_up.name, slot)
    (run,) = await jobs.runs(slot.isoformat())
    assert (run["job"], run["state"]) == ("clean_up_daily.clean_up", "succeeded")
    assert await rows.kept() == kept
    events, runs = await rows.archived()
    assert [json.loads(row["content"])["id"] for row in events] == old[:1]
    assert {json.loads(row["content"])["id"] for row in runs} == {str(one) for one in old[1:]}
    (report,) = cleanups(jobs)[reports:]
    assert report["dry_run"] is False
    assert report["events_archived"] >= 1
    assert report["runs_archived"] >= 2
    assert report["slots_deleted"] >= 1


async def test_an_archived_row_is_whole(rows, service, settings, database):
    id_ = await rows.event(age=OLD)
    before = await database.fetchval("select to_jsonb(e) from outbox.events e where e.id = $1", id_)
    await tasks.clean_up.function(service, settings)
    (events, _) = await rows.archived()
    assert [json.loads(row["content"]) for row in events] == [json.loads(before)]


async def test_many_rows_are_moved_in_several_batches(rows, service, settings, report, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH", 2)
    for _ in range(5):
        await rows.event(age=OLD)
        await rows.run(age=OLD)
    await tasks.clean_up.function(service, settings)
    assert await rows.kept() == [set(), set(), set()]
    for moved in await rows.archived():
        assert len(moved) == 5
        assert len({row["archived_at"] for row in moved}) == 3  # one time for each transaction
    said = report()
    assert said["events_archived"] >= 5
    assert said["runs_archived"] >= 5


async def test_a_dry_run_reports_and_touches_nothing(rows, service, settings, report, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH", 2)
    dry = settings.model_copy(update={"cleanup_dry_run": True})
    await tasks.clean_up.function(service, dry)
    before = report()
    made = [
        {await rows.event(age=OLD) for _ in range(3)},
        {await rows.run(age=OLD) for _ in range(4)},
        {await rows.slot(age=OLD)},
    ]
    await tasks.clean_up.function(service, dry)
    assert await rows.kept() == made
    assert await rows.archived() == [[], []]
    after = report()
    assert before["dry_run"] is after["dry_run"] is True
    names = ("events_archived", "runs_archived", "slots_deleted")
    assert [after[name] - before[name] for name in names] == [3, 4, 1]


async def test_a_second_cleanup_finds_nothing(rows, service, settings, report):
    await rows.run(age=OLD)
    await tasks.clean_up.function(service, settings)
    (_, once) = await rows.archived()
    await tasks.clean_up.function(service, settings)
    assert await rows.archived() == [[], once]


@pytest.fixture
async def wrong_total(database):
    """Stores a number of drafts for an owner who has none."""
    owner = uuid4()
    await database.execute("insert into totals.numbers values ('drafts', $1, 0, 3)", owner)
    query = "select sum(number)::int from totals.numbers where owner = $1"

    async def number():
        return await database.fetchval(query, owner)

    yield number
    await database.execute("delete from totals.numbers where owner = $1", owner)


async def test_a_wrong_total_is_corrected_and_reported(service, settings, report, wrong_total):
    dry = settings.model_copy(update={"cleanup_dry_run": True})
    await tasks.clean_up.function(service, dry)
    assert report()["drafts_totals_corrected"] >= 1
    assert await wrong_total() == 3
    await tasks.clean_up.function(service, settings)
    assert report()["drafts_totals_corrected"] >= 1
    assert await wrong_total() is None


async def test_a_table_that_is_too_large_to_be_counted_is_a_warning(
    service, settings, report, wrong_total, database, caplog
):
    size = "update pg_class set reltuples = $1 where oid = 'public.posts'::regclass"
    await database.execute(size, 6_000_000)
    try:
        await tasks.clean_up.function(service, settings)
    finally:
        await database.execute(size, -1)
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert {"drafts", "published_posts"} <= {vars(one).get("total") for one in warnings}
    assert report()["drafts_totals_corrected"] == 0
    assert await wrong_total() == 3


def test_it_runs_each_night_at_two():
    schedule = tasks.clean_up.schedule
    assert schedule is not None
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert schedule.slot(noon) == datetime(2026, 3, 29, 2, tzinfo=UTC)
