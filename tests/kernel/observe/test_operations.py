"""What the relay reads from database and broker for operators."""

import time
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from kernel.observe import operations as module
from kernel.observe.operations import EVERY_SECONDS, Operations
from kernel.redis import connect_broker
from kernel.supabase import AsService, SupabaseHttp
from kit.front import fails, refuses, silent
from kit.metrics import Scrape
from kit.waiting import many, until

GAUGES = {
    "jobs_runs",
    "jobs_queue_length",
    "jobs_queue_age_seconds",
    "outbox_pending_events",
    "outbox_lag_seconds",
}
OF_BROKER = {"broker_queue_length"}


@pytest.fixture
async def patient(monkeypatch):
    """Time for a busy machine; what is away, is away without it."""
    monkeypatch.setattr(module, "_DEADLINE_SECONDS", 10.0)


@pytest.fixture
async def broker(settings):
    async with connect_broker(settings) as client:
        yield client


@pytest.fixture
def make(broker):
    def operations(db):
        return Operations(db, broker, queues=[f"q{uuid4().hex}"], dead=f"d{uuid4().hex}")

    return operations


@pytest.fixture
async def operations(own_database, make, patient):
    async with own_database.as_service() as db:
        yield make(db)


async def gauges(operations) -> Scrape:
    await operations.read()
    registry = CollectorRegistry()
    registry.register(operations)
    return Scrape(generate_latest(registry).decode())


async def add_runs(sql, state: str, count: int, *, queued: str = "0 s", ended: str | None = None):
    await sql.execute(
        """insert into jobs.runs (id, job, event_id, item, state, queued_at, finished_at)
           select gen_random_uuid(), 'a.job', 0, 0, $1, now() - $3::text::interval,
             now() - $4::text::interval
           from generate_series(1, $2)""",
        state,
        count,
        queued,
        ended,
    )


async def test_jobs_and_outbox_are_told_from_the_database(own_database, operations):
    sql = own_database.sql
    await add_runs(sql, "queued", 2)
    await add_runs(sql, "queued", 1, queued="10 minutes")
    await add_runs(sql, "running", 4, queued="1 hour")
    await add_runs(sql, "failed", 6, ended="1 day")
    await add_runs(sql, "succeeded", 7, ended="1 s")
    for number in range(3):
        await own_database.put("thing_changed", {"thing_id": uuid4()})
        if number == 0:
            await sql.execute("update outbox.events set created_at = now() - interval '5 minutes'")
    await own_database.put("thing_changed", {"thing_id": uuid4()})
    await sql.execute(
        """update outbox.events set dropped_at = now(), published_at = now()
           where id = (select max(id) from outbox.events)"""
    )
    found = await gauges(operations)
    assert found.value("operations_up", source="database") == 1
    runs = {s: found.value("jobs_runs", state=s) for s in ("queued", "running", "failed")}
    assert runs == {"queued": 3, "running": 4, "failed": 6}
    assert found.value("jobs_runs", state="succeeded") is None
    assert found.value("dead_letters", kind="run") == 6
    assert found.value("jobs_queue_length") == 3
    assert found.value("jobs_queue_age_seconds") == pytest.approx(600, abs=60)
    assert found.value("outbox_pending_events") == 3
    assert found.value("outbox_lag_seconds") == pytest.approx(300, abs=60)


async def test_queues_and_refused_messages_are_told_from_the_broker(operations, broker):
    (queue,), dead = operations._queues, operations._dead
    await broker.rpush(queue, "a", "b", "c")
    await broker.rpush(dead, "x")
    found = await gauges(operations)
    assert found.value("operations_up", source="broker") == 1
    assert found.value("broker_queue_length", queue=queue) == 3
    assert found.value("dead_letters", kind="message") == 1
    await broker.delete(queue, dead)


async def test_with_nothing_to_do_all_of_it_is_zero(operations):
    found = await gauges(operations)
    for name in GAUGES | OF_BROKER | {"dead_letters"}:
        assert found.total(name) == 0
    assert found.names() >= GAUGES | OF_BROKER | {"dead_letters"}


async def test_what_succeeded_is_not_counted_however_much_it_is(own_database):
    sql = own_database.sql
    await add_runs(sql, "succeeded", 20_000, ended="1 day")
    await add_runs(sql, "failed", 10, ended="1 day")
    await add_runs(sql, "queued", 10)
    await sql.execute("analyze jobs.runs")
    read = """select seq_tup_read + idx_tup_fetch
              from pg_stat_xact_user_tables where relid = 'jobs.runs'::regclass"""
    async with sql.transaction():
        before = await sql.fetchval(read)
        await sql.fetchval("select public.operations()")
        assert await sql.fetchval(read) - before < 100


@pytest.mark.parametrize("away", [refuses, silent, fails(503), fails(404)])
async def test_without_the_database_its_gauges_are_absent_in_time(settings, front, make, away):
    front.rest = away
    async with SupabaseHttp(front.settings(settings)) as http:
        began = time.perf_counter()
        found = await gauges(make(AsService(http)))
        assert time.perf_counter() - began < 10
    assert found.value("operations_up", source="database") == 0
    assert not found.names() & GAUGES
    assert found.value("dead_letters", kind="run") is None


async def test_what_was_read_is_kept_for_five_seconds_and_read_once_at_a_time(settings, front):
    async with SupabaseHttp(front.settings(settings)) as http:
        operations = Operations(AsService(http))
        await many(20, operations.read)
        assert front.count("rest") == 1
        front.rest = refuses
        found = await gauges(operations)
    assert found.value("operations_up", source="database") == 1


async def test_an_api_reports_nothing_of_the_broker(own_database, patient):
    async with own_database.as_service() as db:
        found = await gauges(Operations(db))
    assert found.value("operations_up", source="database") == 1
    assert found.value("operations_up", source="broker") is None
    assert not found.names() & OF_BROKER


async def test_without_the_broker_its_gauges_are_absent(own_database, settings, unused_tcp_port):
    changed = settings.model_copy(
        update={"broker_host": "127.0.0.1", "broker_port": unused_tcp_port}
    )
    async with own_database.as_service() as db, connect_broker(changed) as broker:
        found = await gauges(Operations(db, broker, queues=["default"], dead="dead"))
    assert found.value("operations_up", source="broker") == 0
    assert not found.names() & OF_BROKER
    assert found.value("dead_letters", kind="message") is None


async def test_gauges_are_back_with_the_database(own_database, operations, frozen_time):
    async with own_database.away():
        assert (await gauges(operations)).value("operations_up", source="database") == 0

    async def back():
        frozen_time.tick(EVERY_SECONDS)
        return (await gauges(operations)).value("operations_up", source="database")

    await until(back)
