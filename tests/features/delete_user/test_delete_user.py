from ipaddress import ip_address

import pytest

from kit.application import CLIENTS
from kit.conditional import etag_of, minds_conditions
from kit.people import PASSWORD

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_only_the_owner_may_call(anonymous, author, stranger):
    assert (await anonymous.delete(f"/users/{author.id}")).status_code == 401
    answer = await stranger.delete(f"/users/{author.id}")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "FORBIDDEN"
    assert (await author.get("/whoami/stored")).status_code == 200
    assert (await author.delete(f"/users/{author.id}")).status_code == 204


async def test_an_admin_may_delete_anyone(admin, author, database):
    assert (await admin.delete(f"/users/{author.id}")).status_code == 204
    for table in ("auth.users", "public.profiles"):
        query = f"select count(*) from {table} where id = $1"
        assert await database.fetchval(query, author.id) == 0


@pytest.mark.parametrize("user_id", [NOBODY, "nobody"])
async def test_an_unknown_user_is_403_but_for_an_admin(stranger, admin, user_id):
    assert (await stranger.delete(f"/users/{user_id}")).status_code == 403
    answer = await admin.delete(f"/users/{user_id}")
    assert answer.status_code == (422 if user_id == "nobody" else 404)
    if answer.status_code == 404:
        assert answer.json()["error"]["code"] == "USER_NOT_FOUND"


async def test_things_of_a_deleted_user_are_deleted_too(author, thing, hidden_thing, database):
    assert (await author.delete(f"/users/{author.id}")).status_code == 204
    query = "select count(*) from public.things where author_id = $1"
    assert await database.fetchval(query, author.id) == 0


async def test_a2_all_tokens_are_refused_at_once(author, supabase, client_for):
    body = {"email": author.email, "password": PASSWORD}
    password = "/auth/v1/token?grant_type=password"
    second = (await supabase.post(password, json=body)).json()["access_token"]
    async with client_for(second) as other:
        assert (await other.get("/whoami/stored")).status_code == 200
        assert (await author.delete(f"/users/{author.id}")).status_code == 204
        for client in (author, other):
            answer = await client.get("/whoami")
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "SESSION_ENDED"
    assert (await supabase.post(password, json=body)).status_code == 400


async def test_an_admin_ends_the_sessions_of_the_deleted_too(admin, author):
    assert (await admin.delete(f"/users/{author.id}")).status_code == 204
    assert (await author.get("/whoami")).status_code == 401
    assert (await admin.get("/whoami")).status_code == 200


async def test_the_audit_log_says_who_deleted_whom(admin, author, database):
    await admin.delete(f"/users/{author.id}")
    query = "select * from audit.entries where user_id = $1 and action = 'user_deleted'"
    (entry,) = await database.fetch(query, author.id)
    assert entry["actor_id"] == admin.id
    assert ip_address(entry["address"]) in CLIENTS
    assert author.email not in str(entry)


async def delete(client, person, **body):
    return await client.request("DELETE", f"/users/{person.id}", json=body or None)


async def test_s4_an_old_login_needs_the_password(author, long_ago, database):
    async with long_ago(author) as old:
        for body in ({}, {"current_password": "wrong horse 9"}):
            answer = await delete(old, author, **body)
            assert answer.status_code == 403
            error = answer.json()["error"]
            assert error["code"] == "REAUTHENTICATION_REQUIRED"
            assert error["details"]["ways"] == ["current_password", "login"]
        assert (await old.get("/whoami/stored")).status_code == 200
        assert (await delete(old, author, current_password=PASSWORD)).status_code == 204
    query = "select action from audit.entries where user_id = $1 order by id"
    found = [row["action"] for row in await database.fetch(query, author.id)]
    assert found == ["reauthentication_required", "login_failed", "user_deleted"]


async def test_an_admin_needs_no_fresh_login_for_others_and_one_for_the_own_account(
    admin, author, long_ago
):
    async with long_ago(admin) as old:
        assert (await delete(old, admin)).status_code == 403
        assert (await delete(old, author)).status_code == 204


@pytest.mark.parametrize("body", [{"password": PASSWORD}, {"current_password": 7}, [], "text"])
async def test_wrong_input_is_422_without_echo(author, body):
    answer = await author.client.request("DELETE", f"/users/{author.id}", json=body)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text
    assert (await author.get("/whoami/stored")).status_code == 200


async def test_conditions_hold_or_nothing_is_deleted(author, database):
    url = f"/users/{author.id}"
    etag = await etag_of(author, url)

    async def unchanged():
        assert await database.fetchval("select true from auth.users where id = $1", author.id)

    await minds_conditions(
        lambda headers: author.delete(url, headers=headers), etag, done=204, unchanged=unchanged
    )
