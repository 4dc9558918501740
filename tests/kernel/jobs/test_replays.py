"""Runs that failed for a reason that passes by itself: they are performed again, for a day."""

from datetime import timedelta

import pytest

from kernel.jobs import Permanent
from kernel.mail.errors import MailUnavailable
from kit.runs import Acting, record, state, told

DUE = "update jobs.runs set replay_at = now() where id = $1 returning replay_at"
PAUSE = "select replay_at - now() from jobs.runs where id = $1"
AGAIN = "select id from public.due_replays(10)"


async def test_o8_a_job_whose_mail_server_is_away_is_performed_again_later(own_stack, performs):
    acting = Acting(MailUnavailable("451: greylisted"), retries=0)
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is None
    assert (await state(own_stack, message))[0] == "failed"  # a dead letter until then
    assert await own_stack.sql.fetch(AGAIN) == []
    assert timedelta(minutes=4) < await own_stack.sql.fetchval(PAUSE, message.run_id)
    await own_stack.sql.fetchval(DUE, message.run_id)
    assert [row["id"] for row in await own_stack.sql.fetch(AGAIN)] == [message.run_id]
    assert await own_stack.sql.fetch(AGAIN) == []  # one relay publishes it
    acting.error = None
    assert await performs(acting.job, message) is None
    assert await state(own_stack, message) == ("succeeded", 1, None)
    assert len(acting.called) == 2


@pytest.mark.parametrize("error", [RuntimeError("a fault"), Permanent("no such address")])
async def test_o8_another_failure_stays_a_dead_letter(own_stack, performs, error):
    acting = Acting(error, retries=0)
    message = await told(own_stack, acting.job)
    assert await performs(acting.job, message) is None
    found = await record(own_stack, message)
    assert (found["state"], found["replay_at"]) == ("failed", None)


async def test_o8_pauses_grow_and_end_after_a_day(own_stack, performs):
    acting = Acting(MailUnavailable("connect: refused"), retries=0)
    message = await told(own_stack, acting.job)
    pauses = []
    for _ in range(8):
        await performs(acting.job, message)
        pauses.append(round((await own_stack.sql.fetchval(PAUSE, message.run_id)).total_seconds()))
        await own_stack.sql.fetchval(DUE, message.run_id)
        await own_stack.sql.fetch(AGAIN)
    minutes = [round(pause / 60) for pause in pauses]
    assert minutes == [5, 10, 20, 40, 80, 160, 240, 240]
    await own_stack.sql.execute("update jobs.runs set queued_at = now() - interval '25 hours'")
    await performs(acting.job, message)
    found = await record(own_stack, message)
    assert (found["state"], found["replay_at"]) == ("failed", None)
