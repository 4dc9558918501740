import asyncio
import json
from uuid import uuid4

import pytest

from kernel.jobs.unreadable import entry
from kit.dead_letters import failed_run, letter_of

DUE = "select id from public.due_replays(10)"


@pytest.fixture
async def letter(own_stack):
    return await failed_run(own_stack.sql)


def key():
    return {"Idempotency-Key": f'"{uuid4()}"'}


async def replay(client, letter, headers=None):
    """Ask until there is a response: a busy database is 503."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.post(f"/dead-letters/{letter}/replay", headers=headers)
            if answer.status_code != 503:
                return answer


async def test_only_an_admin_may_call(own_stack, own_client_for, letter):
    async with own_client_for() as anyone:
        assert (await replay(anyone, letter)).status_code == 401
    _, token = await own_stack.sign_up()
    async with own_client_for(token) as own_user:
        assert (await replay(own_user, letter)).status_code == 403
    assert (await letter_of(own_stack.sql, letter))["state"] == "waiting"


async def test_c12_it_is_queued_once_and_marked(own_stack, own_admin, letter):
    answer = await replay(own_admin, letter)
    assert answer.status_code == 202
    assert answer.json()["data"]["dead_letter_id"] == str(letter)
    assert answer.headers["cache-control"] == "no-store"
    found = await letter_of(own_stack.sql, letter)
    assert found["state"] == "replayed"
    assert found["settled_at"] is not None
    assert [row["id"] for row in await own_stack.sql.fetch(DUE)] == [letter]
    again = await replay(own_admin, letter)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "DEAD_LETTER_SETTLED")
    assert await own_stack.sql.fetch(DUE) == []


async def test_c12_of_replays_at_the_same_time_one_does_it(own_stack, own_admin, letter):
    answers = await asyncio.gather(*(replay(own_admin, letter) for _ in range(10)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {202, 409}
    assert statuses.count(202) <= 1  # its own response may have been lost
    assert len(await own_stack.sql.fetch(DUE)) == 1


async def test_h1_a_repeat_with_the_same_key_is_answered_like_the_first(
    own_stack, own_admin, letter
):
    headers = key()
    answers = await asyncio.gather(*(replay(own_admin, letter, headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) >= 4
    assert len(await own_stack.sql.fetch(DUE)) == 1
    other = await failed_run(own_stack.sql)
    reused = await replay(own_admin, other, headers)
    assert (reused.status_code, reused.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await letter_of(own_stack.sql, other))["state"] == "waiting"


async def test_an_unknown_one_is_404_and_a_wrong_id_422(own_admin):
    answer = await replay(own_admin, uuid4())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "DEAD_LETTER_NOT_FOUND")
    answer = await replay(own_admin, "perhaps")
    assert answer.status_code == 422
    assert "perhaps" not in answer.text


async def test_what_cannot_run_is_409_and_says_what_to_do(own_stack, own_admin, letter):
    content = json.loads(entry("cpu", b"poison"))
    await own_stack.sql.execute("select public.keep_unreadable($1)", [content])
    await own_stack.forget()
    for one, code in ((content["id"], "UNREADABLE"), (letter, "TOO_OLD")):
        answer = await replay(own_admin, one)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, f"DEAD_LETTER_{code}")
        assert "Discard it" in answer.json()["error"]["message"]


async def test_the_audit_log_says_who_replayed_what(own_stack, own_admin, letter):
    answer = await replay(own_admin, letter)
    query = "select * from audit.entries where request_id = $1"
    (found,) = await own_stack.sql.fetch(query, answer.headers["x-request-id"])
    assert found["action"] == "dead_letter_replayed"
    assert found["details"] == {"dead_letter_id": str(letter)}
    assert found["actor_id"] is not None


async def test_a12_past_the_api_a_user_replays_none(attacker, database):
    letter = await failed_run(database)
    answer = await attacker.post(
        "/rest/v1/dead_letter_replays", json={"dead_letter_id": str(letter)}
    )
    assert answer.status_code == 403
    assert (await letter_of(database, letter))["state"] == "waiting"
    assert (await attacker.get("/rest/v1/dead_letter_replays")).json() == []
    await database.execute("delete from jobs.runs where id = $1", letter)
