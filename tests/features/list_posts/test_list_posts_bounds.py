"""S5: no user's posts make the lists of others long, slow or uncacheable."""

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole
from kit.small import changed

LONGEST = 2000
WIDEST = "\x01"  # six bytes in JSON
POSTS = (
    "insert into public.posts (title, content, published, author_id) "
    "select 'A post', repeat($2, $3), true, $1 from generate_series(1, $4)"
)


@pytest.fixture
async def no_posts(database):
    """Empties the table of posts."""
    await database.execute("delete from public.posts")


@pytest.fixture
async def client(settings, valkey, patient_redis):
    """A client of an application with a separate cache."""
    own = changed(settings, redis_port=valkey.port, redis_db=0)
    async with running(create_app(own, whole())) as client_for, client_for() as client:
        yield client


@pytest.mark.usefixtures("no_posts")
@pytest.mark.parametrize("letter", ["x", "é", "😀", WIDEST])
async def test_s5_a_content_of_2000_characters_is_whole_and_a_longer_one_cut(
    anonymous, author, new_post, letter
):
    whole_one = await new_post(author, content=letter * LONGEST)
    long_one = await new_post(author, content=letter * LONGEST + "y")
    cut, kept = (await anonymous.get("/posts")).json()["data"]
    assert (kept["id"], kept["content"]) == (str(whole_one.id), letter * LONGEST)
    assert "content_truncated" not in kept
    assert (cut["id"], cut["content"]) == (str(long_one.id), letter * LONGEST)
    assert cut["content_truncated"] is True


@pytest.mark.usefixtures("no_posts")
async def test_s5_the_own_drafts_in_a_list_are_cut_too(author, new_post):
    await new_post(author, published=False, content="x" * 100_000)
    (found,) = (await author.get("/posts?published_only=false")).json()["data"]
    assert found["content_truncated"] is True


@pytest.mark.usefixtures("no_posts")
async def test_s5_a_page_of_the_longest_posts_comes_from_the_cache(client, author, database):
    await database.execute(POSTS, author.id, "😀", 100_000, 20)
    assert len((await client.get("/posts")).content) < 20 * (4 * LONGEST + 1000)
    await database.execute(POSTS, author.id, WIDEST, LONGEST, 100)
    for url in ("/posts?x=1", "/posts?page_size=100"):
        await client.get(url)
        assert (await client.get(url)).headers["x-cache"] == "HIT"


async def test_s5_a_page_that_the_cache_cannot_answer_counts_twice(client_for):
    async with client_for(address="203.0.113.77") as client:

        async def left(url):
            return int((await client.get(url)).headers["ratelimit"].split("r=")[1].split(";")[0])

        urls = ["/posts", "/posts?x=1", "/posts?page=101", "/posts?page=100", "/posts?page=9999"]
        standing = [await left(url) for url in urls]
    first = standing[0]
    assert [first - one for one in standing] == [0, 1, 3, 4, 6]


async def test_s6_few_sizes_of_a_page_are_kept(client, valkey):
    for size in range(1, 101):
        await client.get(f"/posts?page_size={size}")
    assert len(valkey.client.keys("cache:*posts:page:*")) == 4
