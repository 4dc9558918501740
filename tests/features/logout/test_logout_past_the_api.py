"""S7: an ended session reads and writes nothing: not past the API, nor while a body arrives."""

from uuid import uuid4

import jwt
import pytest

from kernel.boot.app import create_app
from kit.application import SLICES, running, whole

POST = {"title": "A title", "content": ""}


async def posts_of(database, person):
    query = "select count(*) from public.posts where author_id = $1"
    return await database.fetchval(query, person.id)


async def write(supabase, token):
    headers = {"Authorization": f"Bearer {token}"}
    return await supabase.post("/rest/v1/posts", json=POST, headers=headers)


async def by_logout(author, supabase, database):
    assert (await author.post("/auth/logout")).status_code == 204


async def by_auth(author, supabase, database):
    headers = {"Authorization": f"Bearer {author.token}"}
    ended = await supabase.post("/auth/v1/logout?scope=global", headers=headers)
    assert ended.status_code == 204


async def by_deletion(author, supabase, database):
    await database.execute("delete from auth.users where id = $1", author.id)


@pytest.mark.parametrize("end", [by_logout, by_auth, by_deletion])
async def test_s7_an_ended_session_does_nothing_at_postgrest(
    author, stranger, supabase, database, end
):
    assert (await write(supabase, author.token)).status_code == 201
    before = await posts_of(database, author)
    await end(author, supabase, database)
    answer = await write(supabase, author.token)
    assert answer.status_code == 401
    assert answer.json()["message"] == "SESSION_ENDED"
    headers = {"Authorization": f"Bearer {author.token}"}
    for ask in (
        supabase.get("/rest/v1/profiles", headers=headers),
        supabase.post("/rest/v1/rpc/me", headers=headers),
        supabase.patch(
            f"/rest/v1/profiles?id=eq.{author.id}", json={"display_name": "x"}, headers=headers
        ),
        supabase.delete(f"/rest/v1/posts?author_id=eq.{author.id}", headers=headers),
    ):
        assert (await ask).status_code == 401
    left = await posts_of(database, author)
    assert left == (0 if end is by_deletion else before)
    assert (await write(supabase, stranger.token)).status_code == 201


async def test_s7_keys_and_anonymous_callers_still_work(supabase, stack):
    assert (await supabase.get("/rest/v1/posts?limit=1")).status_code == 200
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    assert (await supabase.get("/rest/v1/posts?limit=1", headers=key)).status_code == 200


async def test_s7_a_token_that_outlives_what_is_remembered_is_refused(
    author, stack, supabase, client_for
):
    claims = jwt.decode(author.token, options={"verify_signature": False})
    for seconds, status in ((24 * 3600, 200), (24 * 3600 + 1, 401)):
        longer = claims | {"exp": claims["iat"] + seconds}
        token = jwt.encode(longer, stack.gateway.jwt_secret, algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        assert (await supabase.get("/rest/v1/profiles", headers=headers)).status_code == status
        async with client_for(token) as client:
            assert (await client.get("/whoami")).status_code == status


@pytest.fixture
async def replicas(settings, author):
    """Clients of the author at two replicas."""
    one, other = (create_app(settings, {**whole(), **SLICES}) for _ in range(2))
    async with (
        running(one) as at_one,
        running(other) as at_other,
        at_one(author.token) as first,
        at_other(author.token) as second,
    ):
        yield first, second


async def test_s7_a_body_that_arrives_after_the_logout_is_not_carried_out(
    replicas, author, database
):
    here, elsewhere = replicas

    async def body():
        yield b'{"title": "A title", '
        assert (await elsewhere.post("/auth/logout")).status_code == 204
        yield b'"content": ""}'

    headers = {"Content-Type": "application/json"}
    answer = await here.post("/things", content=body(), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "SESSION_ENDED"
    query = "select count(*) from public.things where author_id = $1"
    assert await database.fetchval(query, author.id) == 0


async def test_s7_a_body_after_the_logout_proves_nothing(replicas, author):
    """The proof is checked with the secret key, so the database has no session to check."""
    here, elsewhere = replicas

    async def body():
        yield b'{"current_password": '
        assert (await elsewhere.post("/auth/logout")).status_code == 204
        yield b'"%b"}' % author.password.encode()

    headers = {"Content-Type": "application/json"}
    answer = await here.post("/prove", content=body(), headers=headers)
    assert answer.status_code == 401


async def test_s7_the_database_uses_its_index(author, database):
    await database.execute(
        "insert into identity.revoked_sessions (id, user_id, expires_at) "
        "select gen_random_uuid(), $1, now() + interval '1 day' from generate_series(1, 20000)",
        author.id,
    )
    await database.execute("analyze identity.revoked_sessions")
    claims = f'{{"session_id": "{uuid4()}", "iat": 1, "exp": 2}}'
    async with database.transaction():
        await database.execute("select set_config('request.jwt.claims', $1, true)", claims)
        await database.execute("select public.check_session()")
        scans = await database.fetchrow(
            "select seq_scan, idx_scan from pg_stat_xact_all_tables "
            "where schemaname = 'identity' and relname = 'revoked_sessions'"
        )
    assert (scans["seq_scan"], scans["idx_scan"] > 0) == (0, True)
    await database.execute("delete from identity.revoked_sessions where user_id = $1", author.id)
