import pytest

from kit.dead_letters import failed_run

WRONG = ["page=0", "page=one", "page=1000000000000000000", "page_size=101", "state=perhaps"]


async def test_only_an_admin_may_call(own_client_for, own_user, own_admin):
    async with own_client_for() as anyone:
        assert (await anyone.get("/dead-letters")).status_code == 401
    refused = await own_user.get("/dead-letters")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert (await own_admin.get("/dead-letters")).status_code == 200


async def test_a_dead_letter_says_what_failed_with_what_and_why(own_stack, own_admin):
    letter = await failed_run(own_stack.sql, "a.job")
    answer = await own_admin.get("/dead-letters")
    assert answer.headers["cache-control"] == "private, no-cache"
    (found,) = answer.json()["data"]
    times = [found.pop("first_at"), found.pop("last_at")]
    assert times[0] < times[1]
    assert found == {
        "id": str(letter),
        "job": "a.job",
        "topic": "job_due",
        "arguments": {"job": "a.job"},
        "error": "RuntimeError: out of paper",
        "attempts": 4,
        "request_id": None,
        "state": "waiting",
        "settled_at": None,
        "replay_at": None,
    }


async def test_pages_have_the_last_failed_first_and_one_state(own_stack, own_admin):
    letters = [str(await failed_run(own_stack.sql)) for _ in range(3)]
    discard = "select public.discard_dead_letter($1)"
    await own_stack.sql.execute(discard, letters[1])
    page = (await own_admin.get("/dead-letters?page_size=1")).json()
    assert [one["id"] for one in page["data"]] == [letters[2]]
    assert (page["total"], page["has_next"]) == (2, True)
    page = (await own_admin.get("/dead-letters?state=discarded")).json()
    assert [one["id"] for one in page["data"]] == [letters[1]]
    page = (await own_admin.get("/dead-letters?page=1000000000&page_size=100")).json()
    assert (page["data"], page["total"]) == ([], 2)


async def test_a_message_that_cannot_be_read_has_no_job_and_is_not_shown(own_stack, own_admin):
    keep = "select public.keep_unreadable($1)"
    one = {"id": "6f1c1f0e-1c53-4a3c-8f56-0f6a1f5b8f0e", "queue": "cpu", "message": "cG9pc29u"}
    await own_stack.sql.execute(keep, [one | {"at": "2026-11-27T12:00:00Z"}])
    answer = await own_admin.get("/dead-letters")
    (found,) = answer.json()["data"]
    assert (found["job"], found["arguments"]) == (None, None)
    assert "message" not in found
    assert found["error"] == "a message of the queue cpu cannot be read"


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422_without_echo(own_admin, query):
    answer = await own_admin.get(f"/dead-letters?{query}")
    assert answer.status_code == 422
    assert "perhaps" not in answer.text


async def test_a12_past_the_api_a_user_sees_none(own_stack, attacker, database):
    letter = await failed_run(database)
    body = {"page": 1, "page_size": 100, "state": "waiting"}
    answer = await attacker.post("/rest/v1/rpc/list_dead_letters", json=body)
    assert answer.json() == {"dead_letters": [], "total": 0}
    await database.execute("delete from jobs.runs where id = $1", letter)
