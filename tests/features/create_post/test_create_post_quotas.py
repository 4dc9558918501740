"""S5: a user may store a limited number of posts and bytes, through the API and past it."""

import asyncio

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole
from kit.small import changed

POST = {"title": "A title", "content": "x" * 100}
SIZE = len(POST["title"]) + len(POST["content"])
STORE = (
    "insert into public.posts (title, content, author_id) "
    "select 'A title', repeat('x', $2), $1 from generate_series(1, $3)"
)


@pytest.fixture
async def limited(settings, author):
    """Makes the author's client with these quotas: `async with limited(posts_per_day=2)`."""

    def limit(**quotas):
        changes = {f"quota_{name}": value for name, value in quotas.items()}
        app = create_app(changed(settings, **changes), whole())

        class Within:
            async def __aenter__(self):
                self.running = running(app)
                self.client = (await self.running.__aenter__())(author.token)
                return self.client

            async def __aexit__(self, *error):
                await self.client.aclose()
                await self.running.__aexit__(*error)

        return Within()

    return limit


def refused(answer, quota, limit):
    assert answer.status_code == 429, answer.text
    error = answer.json()["error"]
    assert error["code"] == "QUOTA_EXCEEDED"
    assert (error["details"]["quota"], error["details"]["limit"]) == (quota, limit)


async def stored(database, author):
    return await database.fetchval(
        "select count(*) from public.posts where author_id = $1", author.id
    )


async def test_s5_one_post_more_than_a_days_is_429_and_not_stored(
    limited, author, stranger, database
):
    async with limited(posts_per_day=2) as client:
        for _ in range(2):
            assert (await client.post("/posts", json=POST)).status_code == 201
        answer = await client.post("/posts", json=POST)
        refused(answer, "posts_per_day", 2)
        assert 1 <= int(answer.headers["retry-after"]) <= 24 * 3600
        (one, _) = await database.fetch(
            "select id from public.posts where author_id = $1", author.id
        )
        await database.execute("delete from public.posts where id = $1", one["id"])
        refused(await client.post("/posts", json=POST), "posts_per_day", 2)  # nothing is given back
        await database.execute(
            "update quotas.usage set day = day - 1 where author_id = $1", author.id
        )
        assert (await client.post("/posts", json=POST)).status_code == 201
    assert (await stranger.post("/posts", json=POST)).status_code == 201


async def test_s5_bytes_are_counted_by_the_byte_and_given_back(limited, author, supabase, database):
    async with limited(bytes=2 * SIZE) as client:
        posts = [(await client.post("/posts", json=POST)).json()["data"] for _ in range(2)]
        refused(await client.post("/posts", json=POST), "bytes", 2 * SIZE)
        longer = POST | {"content": POST["content"] + "x"}
        url = f"/rest/v1/posts?id=eq.{posts[0]['id']}"
        quotas = {"X-Quotas": f"posts_per_day=9, bytes={2 * SIZE}"}
        headers = {"Authorization": f"Bearer {author.token}", **quotas}
        for content in (longer["content"], "é" * 100):
            answer = await supabase.patch(url, json={"content": content}, headers=headers)
            assert (answer.status_code, answer.json()["message"]) == (429, "QUOTA_EXCEEDED")
        shorter = await supabase.patch(url, json={"content": "x" * 99}, headers=headers)
        assert shorter.is_success
        await database.execute("delete from public.posts where id = $1::uuid", posts[1]["id"])
        assert (await client.post("/posts", json=POST)).status_code == 201
    assert await stored(database, author) == 2
    used = await database.fetchval("select bytes from quotas.usage where author_id = $1", author.id)
    assert used == 2 * SIZE - 1


async def test_s5_past_the_api_the_quotas_hold_whatever_header_is_sent(
    attacker, stranger, database
):
    await database.execute(STORE, stranger.id, 0, 999)
    generous = {"X-Quotas": "posts_per_day=999999, bytes=999999999999"}
    answer = await attacker.post("/rest/v1/posts", json=[POST] * 2, headers=generous)
    assert answer.status_code == 429
    answer = await attacker.post("/rest/v1/posts", json=POST, headers=generous)
    assert answer.status_code == 201
    answer = await attacker.post("/rest/v1/posts", json=POST)
    assert (answer.status_code, answer.json()["message"]) == (429, "QUOTA_EXCEEDED")
    assert await stored(database, stranger) == 1000
    for header in ("posts_per_day=1e9", "'; drop table", "xposts_per_day=5", "=" * 5000):
        answer = await attacker.post("/rest/v1/posts", json=POST, headers={"X-Quotas": header})
        assert answer.status_code == 429


async def test_s5_past_the_api_a_user_stores_100_megabytes_and_no_more(
    attacker, stranger, database
):
    await database.execute(STORE, stranger.id, 100_000, 999)
    body = POST | {"content": "é" * 50_000}
    answer = await attacker.post("/rest/v1/posts", json=body)
    assert (answer.status_code, answer.json()["message"]) == (429, "QUOTA_EXCEEDED")
    shorter = await attacker.patch("/rest/v1/posts?limit=1&order=id", json={"title": "Short"})
    assert shorter.status_code in {200, 501}
    await database.execute("delete from public.posts where author_id = $1", stranger.id)


async def test_s5_no_user_may_access_the_tables_of_quotas(attacker):
    for table in ("usage", "limits"):
        answer = await attacker.get(f"/rest/v1/{table}", headers={"Accept-Profile": "quotas"})
        assert answer.status_code == 406
        assert (await attacker.get(f"/rest/v1/{table}")).status_code == 404
    assert (await attacker.post("/rest/v1/rpc/most", json={"name": "bytes"})).status_code == 404


async def test_s5_the_service_role_has_no_quota(supabase, stack, author, database):
    await database.execute(STORE, author.id, 0, 1000)
    key = {"Authorization": f"Bearer {stack.gateway.service_key}"}
    body = POST | {"author_id": str(author.id)}
    assert (await supabase.post("/rest/v1/posts", json=body, headers=key)).status_code == 201


async def test_s5_parallel_posts_do_not_pass_the_quota_together(limited, author, database):
    async with limited(posts_per_day=5) as client:
        answers = await asyncio.gather(*(client.post("/posts", json=POST) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 15
    assert await stored(database, author) == 5


async def test_an_author_with_posts_can_be_deleted(author, database):
    await database.execute(STORE, author.id, 10, 3)
    await database.execute("delete from auth.users where id = $1", author.id)
    assert await stored(database, author) == 0
    found = await database.fetchval(
        "select count(*) from quotas.usage where author_id = $1", author.id
    )
    assert found == 0
