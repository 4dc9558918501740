import asyncio
from uuid import uuid4

import jwt


async def test_only_a_user_may_call(anonymous, author):
    answer = await anonymous.get("/users/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await author.get("/users/me")).status_code == 200


async def test_a_user_reads_the_own_user(author):
    answer = await author.get("/users/me")
    user = answer.json()["data"]
    assert user["id"] == str(author.id)
    assert user["email"] == author.email
    assert user["display_name"] == author.display_name
    assert user["created_at"].endswith(("Z", "+00:00"))
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_a_deleted_user_is_401(author, database):
    await database.execute("delete from auth.users where id = $1", author.id)
    answer = await author.get("/users/me")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "SESSION_ENDED"


async def test_a_token_of_an_unknown_user_and_session_is_401(author, database, stack, client_for):
    """For example a token of an unknown session, after the database was restored from a backup."""
    claims = jwt.decode(author.token, options={"verify_signature": False})
    token = jwt.encode(claims | {"session_id": str(uuid4())}, stack.gateway.jwt_secret, "HS256")
    await database.execute("delete from auth.users where id = $1", author.id)
    async with client_for(token) as client:
        answer = await client.get("/users/me")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "USER_GONE"


async def test_a_user_from_before_the_profiles_is_read_without_a_name(author, database):
    await database.execute("delete from public.profiles where id = $1", author.id)
    assert (await author.get("/users/me")).json()["data"]["display_name"] is None


async def test_a1_interleaved_callers_each_read_the_own_user(new_person):
    people = [await new_person() for _ in range(10)]
    at_once = asyncio.Semaphore(20)

    async def read(person):
        async with at_once:
            answer = await person.get("/users/me")
        return answer.json()["data"]["id"] == str(person.id)

    calls = [read(person) for _ in range(30) for person in people]
    assert all(await asyncio.gather(*calls))


async def test_me_is_never_taken_for_an_id(author):
    assert (await author.get("/users/me")).json()["data"]["id"] == str(author.id)
    for answer in (await author.put("/users/me", json={}), await author.delete("/users/me")):
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
