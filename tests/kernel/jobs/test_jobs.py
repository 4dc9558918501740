"""Declarations of jobs and their effects, without a worker; the publisher without a broker."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from kernel.boot.discovery import discover
from kernel.config.settings import Settings, SettingsError
from kernel.events import Event, JobDue
from kernel.jobs import Job, daily, job, minutes, seconds
from kernel.jobs.broker import broker_url, celery_app, require_visibility_timeout
from kernel.jobs.publisher import BrokerUnavailable, Publisher
from kernel.jobs.schedule import InvalidJob
from kernel.jobs.table import JobTable, Message
from kernel.mail import Mailer
from kernel.supabase import AsService

NIGHT = datetime(2026, 1, 2, 2, tzinfo=UTC)


class Moved(Event):
    thing_id: int
    place: str


async def carry(thing_id: int, db: AsService, mailer: Mailer) -> None: ...


def lift(place: str) -> None: ...


async def count() -> None: ...


for function in (carry, lift, count):
    function.__module__ = "features.move_thing.tasks"


def made(function: Any = carry, **stated: Any) -> Job:
    """Return a job with a schedule if one is given, otherwise with an event."""
    event: dict[str, Any] = {} if "schedule" in stated else {"on": Moved}
    return job(**event | stated)(function)


def settings_of(**values: Any) -> Settings:
    needed = {
        "supabase_url": "http://127.0.0.1:1",
        "supabase_key": "public",
        "supabase_service_key": "secret",
        "redis_host": "cache.example",
    }
    return Settings.model_validate(needed | values)


# The definition of a job.


def test_a_job_is_named_after_its_folder_and_function():
    assert made().slice == "move_thing"
    assert made().name == "move_thing.carry"


def test_every_real_job_is_named_after_the_folder_that_has_it():
    features = discover()
    assert set(JobTable.of(features).by_name) == {
        f"{folder}.{one.function.__name__}"
        for folder, feature in features.items()
        for one in feature.jobs
    }


def test_parameters_are_fields_of_the_event_or_services():
    assert made().event_parameters == {"thing_id"}
    assert made().services == {"db": AsService, "mailer": Mailer}
    assert made(lift).event_parameters == {"place"}
    assert made(lift).services == {}
    assert (made().is_async, made(lift).is_async) == (True, False)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({}, "either on= or schedule="),
        ({"on": Moved, "schedule": daily("02:00")}, "either on= or schedule="),
        ({"on": Moved, "once_per": "user_id"}, "once_per='user_id' is not a field of Moved"),
        ({"on": Moved, "once_per": "slot"}, "once_per='slot' is not a field of Moved"),
        ({"schedule": daily("02:00"), "once_per": "thing_id"}, "is not a field of JobDue"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(stated, sentence):
    with pytest.raises(ValueError, match=sentence):
        job(**stated)


# The runs of an event.

EVENTS = st.builds(Moved, thing_id=st.integers(), place=st.text())
PLACES = st.tuples(st.integers(1), st.integers(0))  # id and item in the outbox


@given(event=EVENTS, place=PLACES)
def test_a_run_has_the_same_id_however_often_it_is_published(event, place):
    again = Moved.model_validate(event.model_dump(mode="json"))
    for stated in ({}, {"once_per": "thing_id"}):
        assert made(**stated).run_id(event, *place) == made(**stated).run_id(again, *place)


@given(event=EVENTS, places=st.lists(PLACES, min_size=2, max_size=2, unique=True))
@example(event=Moved(thing_id=1, place=""), places=[(1, 0), (1, 1)])
@example(event=Moved(thing_id=1, place=""), places=[(1, 11), (11, 1)])
def test_without_once_per_each_event_has_a_run(event, places):
    assert len({made().run_id(event, *place) for place in places}) == 2


@given(events=st.tuples(EVENTS, EVENTS), places=st.tuples(PLACES, PLACES))
def test_once_per_a_field_there_is_one_run_for_each_value(events, places):
    once = made(once_per="thing_id")
    runs = {once.run_id(event, *place) for event, place in zip(events, places, strict=True)}
    assert len(runs) == len({event.thing_id for event in events})


def test_jobs_and_fields_have_runs_of_their_own():
    event = Moved(thing_id=1, place="1")
    jobs = [made(), made(lift), made(once_per="thing_id"), made(once_per="place")]
    assert len({one.run_id(event, 1, 0) for one in jobs}) == 4


def test_a_scheduled_job_has_one_run_for_each_slot():
    nightly = made(count, schedule=daily("02:00"))
    slot, next_slot = (
        JobDue(job=nightly.name, slot=NIGHT + timedelta(days=day)) for day in range(2)
    )
    assert nightly.run_id(slot, 1, 0) == nightly.run_id(slot, 2, 0)
    assert nightly.run_id(slot, 1, 0) != nightly.run_id(next_slot, 1, 0)


def test_an_event_leads_to_every_job_that_listens_and_a_slot_to_its_own():
    table = JobTable([made(), made(lift), made(count, schedule=daily("02:00"))])
    event = Moved(thing_id=1, place="here")
    messages = table.messages(event, 7, 2)
    assert [(one.job, one.event_id, one.item) for one in messages] == [
        ("move_thing.carry", 7, 2),
        ("move_thing.lift", 7, 2),
    ]
    assert messages[0].run_id == made().run_id(event, 7, 2)
    slot = JobDue(job="move_thing.count", slot=NIGHT)
    assert [one.job for one in table.messages(slot, 8, 0)] == ["move_thing.count"]
    assert table.scheduled == [table.by_name["move_thing.count"]]
    with pytest.raises(KeyError, match="forget"):
        table.messages(JobDue(job="move_thing.forget", slot=NIGHT), 8, 0)


# The time of a run: retries after a failure.


@given(
    attempt=st.integers(1, 30),
    base=st.floats(0, 600),
    cap=st.floats(0, 3600),
)
def test_c8_a_delay_lies_between_nothing_and_the_back_off_or_its_cap(attempt, base, cap):
    one = made(backoff=seconds(base), backoff_cap=seconds(cap))
    delay = one.delay(attempt)
    assert timedelta(0) <= delay <= min(seconds(cap), seconds(base) * 2 ** (attempt - 1))
    assert delay <= one.longest_delay


def test_c8_delays_are_spread():
    one = made(backoff=seconds(60), backoff_cap=minutes(10))
    delays = [one.delay(2) for _ in range(200)]
    assert min(delays) < seconds(40)
    assert max(delays) > seconds(80)


@given(attempt=st.integers(1, 1000), fixed=st.floats(0.001, 3600))
def test_c8_a_fixed_delay_is_always_the_same(attempt, fixed):
    one = made(retry_every=seconds(fixed))
    assert one.delay(attempt) == one.longest_delay == seconds(fixed)


def test_c8_a_delay_has_its_cap_after_any_number_of_attempts():
    assert made(retries=100).delay(100) <= made().backoff_cap


def test_c8_no_delay_is_a_fixed_delay_too():
    assert made(retry_every=seconds(0)).longest_delay == seconds(0)


# Requirements for the broker.


def test_c10_the_default_settings_are_enough_for_every_real_job():
    require_visibility_timeout(settings_of(), JobTable.of(discover()))


@pytest.mark.parametrize(
    "stated",
    [
        {"timeout": minutes(20)},
        {"retry_every": minutes(20)},
        {"backoff_cap": minutes(20)},
    ],
    ids=str,
)
def test_c10_a_job_that_takes_longer_than_the_visibility_timeout_is_named(stated):
    table = JobTable([made(**stated), made(lift)])
    with pytest.raises(SettingsError) as raised:
        require_visibility_timeout(settings_of(), table)
    message = str(raised.value)
    assert "VISIBILITY_TIMEOUT_SECONDS is 900" in message
    assert "move_thing.carry needs more than" in message
    assert "move_thing.lift" not in message
    assert "Raise VISIBILITY_TIMEOUT_SECONDS, or lower" in message


def test_c10_the_limit_is_what_a_message_may_take_and_no_second_less():
    table = JobTable([made(timeout=seconds(100), backoff_cap=seconds(50))])
    needed = 100 + 15 + 50 + 30 + 60  # limit, margin, backoff, grace, safety
    given_up = {"worker_grace_seconds": 30, "visibility_timeout_seconds": needed}
    with pytest.raises(SettingsError, match=f"move_thing.carry needs more than {needed} s"):
        require_visibility_timeout(settings_of(**given_up), table)
    enough = given_up | {"visibility_timeout_seconds": needed + 1}
    require_visibility_timeout(settings_of(**enough), table)


@pytest.mark.parametrize(
    "values",
    [
        {"broker_host": "broker.example"},
        {"broker_host": "10.0.0.7", "broker_port": 7000, "broker_db": 3},
        {"broker_host": "broker.example", "broker_password": "p@ss/w:rd?#% ü"},
        {"broker_host": "broker.example", "broker_username": "a:b@c", "broker_password": "/"},
        {"broker_host": "broker.example", "broker_tls": True, "broker_password": "secret"},
        {"broker_host": "::1"},
    ],
    ids=str,
)
def test_the_brokers_address_contains_the_settings(values):
    settings = settings_of(**values)
    url = broker_url(settings)
    found = Redis.from_url(url).connection_pool.connection_kwargs
    secret = settings.broker_password
    assert found["host"] == settings.broker_host
    assert found["port"] == settings.broker_port
    assert found["db"] == settings.broker_db
    assert (found.get("username") or None) == settings.broker_username
    assert found.get("password") == (secret.get_secret_value() if secret else None)
    assert url.startswith("rediss://" if settings.broker_tls else "redis://")
    assert bool(celery_app(settings).conf.broker_use_ssl) is settings.broker_tls


def test_async_jobs_share_a_loop_and_others_have_processes_of_their_own():
    assert [made(one).queue for one in (carry, lift)] == ["default", "cpu"]
    assert made(carry, queue="cpu").queue == "cpu"
    with pytest.raises(InvalidJob, match="lift is not async, so it would block the event loop"):
        made(lift, queue="default")


def test_without_a_broker_jobs_are_queued_in_the_cache_and_a_warning_says_so(caplog):
    values = {"redis_port": 7001, "redis_db": 2, "redis_password": "secret", "redis_tls": True}
    assert broker_url(settings_of(**values)) == "rediss://:secret@cache.example:7001/2"
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert line.message.startswith("BROKER_HOST is not set")
    assert "secret" not in caplog.text


def test_with_a_broker_there_is_no_warning(caplog):
    assert broker_url(settings_of(broker_host="broker.example")) == "redis://broker.example:6379/0"
    assert caplog.records == []


@pytest.fixture
def refused() -> Iterator[int]:
    """A port on which no server listens; it is reserved, so that none can start."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["refused", "silent"])
async def test_a_broker_that_is_away_is_an_error_in_time(request, kind):
    port = request.getfixturevalue(kind)
    table = JobTable([made()])
    app = celery_app(settings_of(broker_host="127.0.0.1", broker_port=port))
    publisher = Publisher(app, table)
    message = Message(uuid4(), "move_thing.carry", 1, 0)
    for attempt in (lambda: publisher.publish([message]), publisher.idle):
        for _ in range(2):  # twice: no half-open connection is reused
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                await attempt()
            assert time.monotonic() - started < 2
    await publisher.publish([])  # an empty list needs no broker


async def test_the_loop_goes_on_while_the_broker_does_not_answer(silent):
    app = celery_app(settings_of(broker_host="127.0.0.1", broker_port=silent))
    publisher = Publisher(app, JobTable([made()]))
    waiting = asyncio.create_task(publisher.idle())
    turns = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        turns += 1
    with pytest.raises(BrokerUnavailable):
        await waiting
    assert turns > 5
