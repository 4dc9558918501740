"""The call alone, and its effects in the database; test_reset_mail.py has worker and mail."""

import asyncio
from datetime import timedelta
from ipaddress import ip_address

import httpx
import pytest

from features.request_password_reset.tasks import send_reset_email
from kernel.identity.mailed_tokens import NewToken
from kit.application import CLIENTS
from kit.people import new_email

pytestmark = pytest.mark.usefixtures("relay_rests")

WRONG = [{}, {"email": "no address"}, {"email": 7}, {"email": "a@example.com", "extra": 1}, []]


@pytest.fixture
async def service(stack):
    """A client of PostgREST with the secret key."""
    headers = {"apikey": stack.gateway.service_key}
    headers["Authorization"] = f"Bearer {stack.gateway.service_key}"
    url = f"{stack.supabase_url}/rest/v1/rpc"
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


async def ask(client, email):
    answer = await client.post("/auth/password-reset", json={"email": email})
    assert answer.status_code == 202
    return answer


async def latest_event(database):
    return await database.fetchrow(
        "select items::text as items, request_id from outbox.events "
        "where topic = 'password_reset_requested' order by id desc limit 1"
    )


async def asked_for(database, email):
    query = "select id from identity.mail_requests where email = $1 order by requested_at"
    return [str(row["id"]) for row in await database.fetch(query, email)]


async def open_(service, reset_id):
    body = {"request": reset_id, **NewToken().arguments}
    answer = await service.post("/issue_mailed_token", json=body)
    return answer.raise_for_status().json()


async def outcomes(database, user_id):
    query = "select details ->> 'outcome' from audit.entries where user_id = $1 order by id"
    return [row[0] for row in await database.fetch(query, user_id)]


async def test_anyone_may_call(anonymous):
    answer = await ask(anonymous, new_email())
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stale_token_is_no_hindrance(client_for):
    async with client_for("not.a.token") as client:
        await ask(client, new_email())


async def test_a6_a_known_and_an_unknown_address_have_the_same_answer(anonymous, author):
    known, unknown = await ask(anonymous, author.email), await ask(anonymous, new_email())
    assert known.content == unknown.content
    ignored = {"x-request-id"}
    assert {k: v for k, v in known.headers.items() if k not in ignored} == {
        k: v for k, v in unknown.headers.items() if k not in ignored
    }


@pytest.mark.parametrize("body", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, body):
    answer = await anonymous.post("/auth/password-reset", json=body)
    assert answer.status_code == 422
    assert "no address" not in answer.text


async def test_the_outbox_holds_no_address(anonymous, author, database):
    answer = await ask(anonymous, author.email)
    event = await latest_event(database)
    assert await asked_for(database, author.email) == [event["items"].split('"')[3]]
    assert author.email not in event["items"]
    assert event["request_id"] == answer.headers["x-request-id"]


async def test_the_address_is_forgotten_once_the_request_is_opened(
    anonymous, author, database, service
):
    await ask(anonymous, author.email.upper())
    [reset_id] = await asked_for(database, author.email)
    assert await open_(service, reset_id) == author.email
    row = await database.fetchrow(
        "select email, address, user_id from identity.mail_requests where id = $1", reset_id
    )
    assert tuple(row) == (None, None, author.id)
    assert await open_(service, reset_id) == author.email  # the job may be repeated
    entry = await database.fetchrow("select * from audit.entries where user_id = $1", author.id)
    assert entry["action"] == "password_reset_requested"
    assert ip_address(entry["address"]) in CLIENTS
    assert entry["request_id"]
    assert await outcomes(database, author.id) == ["accepted"]


async def test_a_request_for_an_unknown_address_leaves_nothing(anonymous, database, service):
    email = new_email()
    await ask(anonymous, email)
    [reset_id] = await asked_for(database, email)
    assert await open_(service, reset_id) is None
    assert (
        await database.fetchval(
            "select count(*) from identity.mail_requests where id = $1", reset_id
        )
        == 0
    )
    assert await open_(service, reset_id) is None


async def test_of_many_requests_at_once_five_an_hour_count(anonymous, author, database, service):
    await asyncio.gather(*(ask(anonymous, author.email) for _ in range(12)))
    resets = await asked_for(database, author.email)
    opened = await asyncio.gather(*(open_(service, one) for one in resets))
    assert len(resets) == 12
    assert (opened.count(author.email), opened.count(None)) == (5, 7)
    assert sorted(await outcomes(database, author.id)) == ["accepted"] * 5 + ["limited"] * 7


async def test_after_an_hour_there_are_five_more(anonymous, author, database, service):
    async def five_and_one():
        for _ in range(6):
            await ask(anonymous, author.email)
        return [await open_(service, one) for one in await asked_for(database, author.email)]

    assert await five_and_one() == [author.email] * 5 + [None]
    await database.execute(
        "update identity.mail_requests set opened_at = opened_at - interval '61 minutes' "
        "where user_id = $1",
        author.id,
    )
    assert await five_and_one() == [author.email] * 5 + [None]


async def test_requests_that_no_job_opened_are_deleted_after_a_day(anonymous, database, service):
    email = new_email()
    await ask(anonymous, email)
    await database.execute(
        "update identity.mail_requests set requested_at = now() - interval '25 hours' "
        "where email = $1",
        email,
    )
    body = {"rule": "mail_requests", "batch": 1000, "dry_run": False}
    (await service.post("/apply_retention", json=body)).raise_for_status()
    assert await asked_for(database, email) == []


def test_the_mail_is_tried_four_times_a_minute_apart_once_for_each_request():
    assert send_reset_email.retries == 3
    assert send_reset_email.retry_every == timedelta(seconds=60)
    assert send_reset_email.once_per == "reset_id"
