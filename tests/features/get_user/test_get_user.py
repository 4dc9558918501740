from uuid import uuid4

import pytest


async def test_only_a_user_may_call(anonymous, author, stranger):
    answer = await anonymous.get(f"/users/{author.id}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await stranger.get(f"/users/{author.id}")).status_code == 200


async def test_others_get_the_public_profile_and_no_address(author, stranger):
    answer = await stranger.get(f"/users/{author.id}")
    assert set(answer.json()["data"]) == {"id", "display_name", "created_at"}
    assert answer.json()["data"]["id"] == str(author.id)
    assert answer.json()["data"]["display_name"] == author.display_name
    assert author.email not in answer.text
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_the_owner_gets_the_whole_user_as_at_me(author):
    whole = (await author.get(f"/users/{author.id}")).json()["data"]
    assert whole["email"] == author.email
    assert whole == (await author.get("/whoami/stored")).json()["data"]


async def test_an_admin_gets_the_whole_user(admin, author):
    whole = (await admin.get(f"/users/{author.id}")).json()["data"]
    assert whole == (await author.get("/whoami/stored")).json()["data"]


async def test_the_id_may_be_written_in_capitals(author):
    answer = await author.get(f"/users/{str(author.id).upper()}")
    assert answer.json()["data"]["email"] == author.email


async def test_an_unknown_user_is_404_for_everyone(stranger, admin):
    for person in (stranger, admin):
        answer = await person.get(f"/users/{uuid4()}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "USER_NOT_FOUND"


@pytest.mark.parametrize("user_id", ["nobody", "1", "%00", "ME"])
async def test_what_is_no_id_is_422(author, user_id):
    answer = await author.get(f"/users/{user_id}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_an_owner_who_was_deleted_meanwhile_is_401(author, stranger, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    assert (await author.get(f"/users/{author.id}")).status_code == 401
    assert (await stranger.get(f"/users/{author.id}")).status_code == 404


async def test_the_audit_log_says_which_admin_looked_at_whom(admin, author, stranger, database):
    answer = await admin.get(f"/users/{author.id}")
    await admin.get(f"/users/{admin.id}")  # their own: not in the audit log
    await stranger.get(f"/users/{author.id}")  # only the public profile
    query = "select * from audit.entries where action = 'user_read' and actor_id = any ($1)"
    (entry,) = await database.fetch(query, [admin.id, stranger.id])
    assert (entry["user_id"], entry["actor_id"]) == (author.id, admin.id)
    assert entry["request_id"] == answer.headers["x-request-id"]
