"""The adapter `sentry` with a real receiver on this machine."""

import contextlib
import subprocess
import sys
import time
from uuid import uuid4

import pytest
from fastapi import APIRouter, Request
from pydantic import ValidationError

from adapters.sentry import MOST_A_MINUTE, Sentry, SentrySettings
from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes
from kernel.errors import Unavailable
from kernel.observe.unexpected import Unexpected
from kit.application import running
from kit.reports import receiving
from kit.waiting import until

SECRETS = ("in-query", "in-header", "in-body", "in-variable", "in-text", "in-note", "in-cause")
KEPT = Cached("kept:{number}", ttl=minutes(1), audience=everyone)


def failing():
    """A slice that fails with secrets wherever they could be."""
    router = APIRouter()

    @router.post("/fails")
    async def fail(request: Request) -> None:
        variable, body = "in-variable", await request.body()
        assert variable
        assert body
        error = RuntimeError(f"in-text {body!r}", variable, request.headers)
        error.add_note("in-note")
        raise error from ValueError("in-cause")

    @router.get("/kept/{number}")
    @KEPT.serves
    async def keep(number: int) -> dict[str, bool]:
        raise LookupError(number)

    @router.get("/away")
    async def away() -> None:
        raise Unavailable

    return {"failing": Feature(router=router, caller="ignored")}


@pytest.fixture
def receiver(monkeypatch):
    with receiving() as found:
        monkeypatch.setenv("SENTRY_DSN", found.dsn)
        yield found


@pytest.fixture
async def client(receiver, settings):
    async with running(create_app(settings, failing())) as client_for, client_for() as found:
        yield found


async def test_a_500_is_reported_with_request_id_slice_and_stack_and_nothing_of_the_request(
    client, receiver, monkeypatch
):
    answer = await client.post(
        "/fails?token=in-query",
        json={"password": "in-body"},
        headers={"X-Secret": "in-header", "Cookie": "session=in-header"},
    )
    assert answer.status_code == 500
    await until(lambda: receiver.events)
    (event,) = receiver.events
    request_id = answer.headers["x-request-id"]
    assert event["tags"] == {"slice": "failing", "request_id": request_id}
    assert event["transaction"] == "failing"
    assert event["environment"] == "production"
    cause, error = event["exception"]["values"]
    assert (cause["type"], error["type"]) == ("ValueError", "RuntimeError")
    frame = error["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["in_app"]) == ("fail", True)
    assert frame["context_line"].strip().startswith("raise error")
    # Lines of source are no values: this test's own have the secrets as literals.
    sent = "".join(part for body in receiver.bodies for part in without_source(body))
    assert not [secret for secret in SECRETS if secret in sent]
    assert not {"request", "user", "breadcrumbs", "extra", "modules", "contexts"} & event.keys()


def without_source(body):
    """Return the lines of an envelope without the lines of source in it."""
    import json

    def cleaned(value):
        if isinstance(value, dict):
            hidden = {"context_line", "pre_context", "post_context"}
            return {name: cleaned(one) for name, one in value.items() if name not in hidden}
        return [cleaned(one) for one in value] if isinstance(value, list) else value

    return [json.dumps(cleaned(json.loads(line))) for line in body.splitlines()]


async def test_a_loader_of_a_cached_read_that_fails_is_reported_once(client, receiver):
    assert (await client.get("/kept/1")).status_code == 500
    await until(lambda: receiver.events)
    (event,) = receiver.events
    assert event["exception"]["values"][-1]["type"] == "LookupError"
    assert event["tags"]["slice"] == "failing"


async def test_errors_that_slices_raise_on_purpose_are_not_reported(client, receiver):
    assert (await client.get("/away")).status_code == 503
    assert (await client.get("/nowhere")).status_code == 404
    assert (await client.post("/fails")).status_code == 500  # a report of this one comes
    await until(lambda: receiver.events)
    assert len(receiver.events) == 1


def some_error():
    try:
        raise RuntimeError
    except RuntimeError as error:
        return Unexpected(error=error, slice="a", request_id=uuid4().hex, job="a.b")


async def test_what_waits_is_sent_before_the_process_ends_and_more_than_60_a_minute_is_dropped(
    receiver,
):
    one = Sentry(SentrySettings(), 5)
    report = one.observer()
    assert report is not None
    for _ in range(MOST_A_MINUTE + 20):
        report(some_error())
    await one.aclose()
    assert len(receiver.events) == MOST_A_MINUTE
    assert {event["tags"]["job"] for event in receiver.events} == {"a.b"}
    assert {event["transaction"] for event in receiver.events} == {"a.b"}


async def test_sentry_that_is_away_costs_requests_nothing(receiver):
    one = Sentry(SentrySettings.model_validate({"dsn": "http://key@127.0.0.1:9/7"}), 0.5)
    report = one.observer()
    assert report is not None
    began = time.monotonic()
    report(some_error())
    assert time.monotonic() - began < 1
    with contextlib.suppress(TimeoutError):
        await one.aclose()


def test_without_a_dsn_nothing_is_imported_and_nobody_observes():
    program = """
import sys
from adapters.sentry import Sentry, SentrySettings
import kernel.boot.app
assert Sentry(SentrySettings(), 2).observer() is None
assert not [name for name in sys.modules if name.startswith("sentry_sdk")]
"""
    env = {"PYTHONPATH": ".:platform"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("dsn", ["in-text", "https://in-text@example.com", "https://a.example/1"])
def test_a_dsn_that_is_none_is_refused_without_being_repeated(dsn):
    with pytest.raises(ValidationError) as raised:
        SentrySettings.model_validate({"dsn": dsn})
    assert "must be the DSN" in str(raised.value)
    assert "in-text" not in str(raised.value)
