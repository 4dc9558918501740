"""With e-mail confirmation on, a change of address does not reveal whether it has an account."""

import pytest

from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import running, whole
from kit.people import new_email


@pytest.fixture(scope="module")
async def confirming(settings: Settings, confirming_supabase_url):
    """Makes clients of an application whose Supabase requires confirmed addresses."""
    changed = settings.model_copy(update={"supabase_url": confirming_supabase_url})
    async with running(create_app(changed, whole())) as client_for:
        yield client_for


async def test_a_new_and_a_taken_address_have_the_same_answer(
    confirming, author, stranger, database
):
    bodies = [{"email": wanted} for wanted in (new_email(), stranger.email, new_email())]
    async with confirming(author.token) as client:
        answers = [await client.put(f"/users/{author.id}", json=body) for body in bodies]
        user = (await client.get("/whoami/stored")).json()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json() for answer in answers] == [user] * 3
    assert user["data"]["email"] == author.email
    query = "select email from identity.mail_requests where user_id = $1"
    waiting = [row["email"] for row in await database.fetch(query, author.id)]
    assert sorted(waiting, key=str) == sorted([None, None, bodies[2]["email"]], key=str)


async def test_the_name_changes_at_once_all_the_same(confirming, author, stranger):
    body = {"email": stranger.email, "display_name": "Ada"}
    async with confirming(author.token) as client:
        answer = await client.put(f"/users/{author.id}", json=body)
    assert answer.json()["data"]["display_name"] == "Ada"
