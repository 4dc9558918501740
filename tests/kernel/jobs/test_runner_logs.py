"""What logs and records contain about a run."""

import io
import logging
from uuid import UUID

import pytest

from kernel.jobs import seconds
from kernel.observe.logs import REDACTED, LogFormatter
from kernel.supabase import AsService
from kit.runs import Acting, some_job, state, told

log = logging.getLogger(__name__)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines():
    """The log lines, as they would be printed."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(message)s %(levelname)s %(name)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: stream.getvalue().splitlines()
    root.removeHandler(handler)
    root.setLevel(level)


async def test_the_request_id_is_in_each_line_of_a_job_and_in_what_it_writes(
    own_stack, performs, lines
):
    async def act(thing_id: UUID, db: AsService) -> None:
        log.info("inside")
        await db.table("things").update({"title": "Changed"}).eq("id", str(thing)).execute()

    thing = await own_stack.thing(await own_stack.user())
    one = some_job(act)
    message = await told(own_stack, one)
    await performs(one, message)
    found = [line for line in lines() if '"inside"' in line or '"message": "job"' in line]
    assert len(found) == 2
    assert all('"request_id": "request-1"' in line for line in found)
    *_, event = await own_stack.events("thing_changed")
    assert event["items"] == [{"thing_id": str(thing)}]
    assert event["request_id"] == "request-1"


async def test_each_start_retry_failure_and_finish_is_a_line(own_stack, performs, caplog):
    caplog.set_level(logging.INFO)
    acting = Acting(RuntimeError("not yet"), retries=1, retry_every=seconds(7))
    message = await told(own_stack, acting.job)
    for _ in range(2):
        await performs(acting.job, message)
    acting.error = None
    other = await told(own_stack, acting.job)
    await performs(acting.job, other)
    found = [line for line in caplog.records if line.message in {"job started", "job"}]
    assert [
        (line.message, line.run_id, line.attempt, getattr(line, "state", None)) for line in found
    ] == [
        ("job started", str(message.run_id), 1, None),
        ("job", str(message.run_id), 1, "queued"),
        ("job started", str(message.run_id), 2, None),
        ("job", str(message.run_id), 2, "failed"),
        ("job started", str(other.run_id), 1, None),
        ("job", str(other.run_id), 1, "succeeded"),
    ]
    assert [getattr(line, "retry_in_seconds", None) for line in found] == [None, 7] + [None] * 4


async def test_h9_secrets_are_neither_in_the_record_nor_in_the_log(own_stack, performs, lines):
    secret = f"redis://user:hidden@host:6379/0 {JWT} sb_secret_hidden"
    acting = Acting(RuntimeError(secret))
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    _, _, error = await state(own_stack, message)
    assert error.startswith("RuntimeError: redis://")
    assert REDACTED in error
    for text in (error, "\n".join(lines())):
        assert "hidden" not in text
        assert JWT not in text


async def test_an_error_is_cut_after_its_secrets_were_taken_out(own_stack, performs):
    padding = "x" * (500 - len("RuntimeError: ") - 20)
    acting = Acting(RuntimeError(f"{padding}{JWT} {1000 * 'y'}"))
    message = await told(own_stack, acting.job)
    await performs(acting.job, message)
    _, _, error = await state(own_stack, message)
    assert len(error) == 500
    assert "eyJ" not in error


@pytest.mark.parametrize(
    "text",
    ["nul \0 inside", "caf\udce9.txt", "\N{PILE OF POO}", "\n\t"],
    ids=["nul", "half a character", "beyond the basic plane", "control characters"],
)
async def test_an_error_of_any_characters_is_recorded(own_stack, performs, caplog, text):
    # xdist cannot transfer every text, and the report of a failure would contain the log.
    caplog.set_level(logging.CRITICAL, "kernel.jobs.runner")
    acting = Acting(RuntimeError(text), retries=0)
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is None
    ended, _, error = await state(own_stack, message)
    assert ended == "failed"
    assert error.startswith("RuntimeError: ")
