"""Pages that follow each other show each post that stays exactly once, whatever comes and goes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

FEW = effort(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = effort(FEW, max_examples=500)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
INSERT = """
insert into public.posts (id, title, content, published, author_id, created_at)
select id, 'A post', '', true, $1, created_at from unnest($2::uuid[], $3::timestamptz[])
  as one (id, created_at)
on conflict do nothing
"""
# A post is its time, in microseconds after BEGIN, and a number: many have the same time.
post = st.tuples(st.sampled_from([0, 1, 2, 999_999, 1_000_000]), st.integers(0, 9))
change = st.tuples(st.integers(1, 5), st.booleans(), post)
walks = given(st.sets(post, max_size=10), st.lists(change, max_size=8), st.integers(2, 4))


def id_of(one):
    time, number = one
    return UUID(int=number * 10_000_000 + time)


def rank(one):
    return one[0], id_of(one)


@pytest.fixture
def feed(anonymous, author, database, drop_reads):
    return Feed(anonymous, author, database, drop_reads)


class Feed:
    """The posts, and the pages of them that the API shows."""

    def __init__(self, client, author, database, drop_reads):
        self.client, self.author, self.database = client, author, database
        self.drop_reads = drop_reads
        self.posts = set()

    async def fill(self, posts):
        await self.database.execute("delete from public.posts")
        self.posts = set()
        await self.insert(*posts)

    async def insert(self, *posts):
        times = [BEGIN + timedelta(microseconds=time) for time, _ in posts]
        await self.database.execute(INSERT, self.author.id, list(map(id_of, posts)), times)
        self.posts.update(posts)
        self.drop_reads()

    async def delete(self, one):
        await self.database.execute("delete from public.posts where id = $1", id_of(one))
        self.posts.discard(one)
        self.drop_reads()

    async def page(self, size, cursor=None):
        query = {"page_size": size} | ({"cursor": cursor} if cursor else {})
        answer = await self.client.get("/feed", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def walk(self, page, way, between=()):
        """Follow `next` or `prev` to the end; after page `number`, insert or delete."""
        pages = [page]
        while cursor := pages[-1][way]:
            for number, inserts, one in between:
                if number == len(pages):
                    await (self.insert(one) if inserts else self.delete(one))
            pages.append(await self.page(page["page_size"], cursor))
        return pages

    def now(self):
        """Return the ids of all posts, newest first."""
        return [str(id_of(one)) for one in sorted(self.posts, key=rank, reverse=True)]


def ids(pages):
    return [one["id"] for page in pages for one in page["data"]]


async def check(feed, posts, between, size):
    await feed.fill(posts)
    stay = set(posts) - {one for _, inserts, one in between if not inserts}
    staying = {str(id_of(one)) for one in stay}
    pages = await feed.walk(await feed.page(size), "next", between)
    assert len(set(ids(pages))) == len(ids(pages))
    assert staying <= set(ids(pages))
    back = await feed.walk(pages[-1], "prev")
    assert ids(reversed(back)) == feed.now()
    again = await feed.walk(back[-1], "next", between)
    assert len(set(ids(again))) == len(ids(again))
    assert staying <= set(ids(again))
    forth = await feed.walk(await feed.page(size), "next")
    back = await feed.walk(forth[-1], "prev")
    assert [page["data"] for page in reversed(back)] == [page["data"] for page in forth]
    assert ids(forth) == feed.now()


@FEW
@walks
async def test_what_stays_is_shown_exactly_once_and_the_way_back_is_the_same(
    feed, posts, between, size
):
    await check(feed, posts, between, size)


@pytest.mark.nightly
@MANY
@walks
async def test_the_same_with_many_more_examples(feed, posts, between, size):
    await check(feed, posts, between, size)


@pytest.mark.parametrize("size", [100, 37])
async def test_a_thousand_posts_of_one_time_are_each_shown_once(feed, size):
    await feed.fill([(0, number) for number in range(1000)])
    pages = await feed.walk(await feed.page(size), "next")
    assert ids(pages) == feed.now()
    back = await feed.walk(pages[-1], "prev")
    assert [page["data"] for page in reversed(back)] == [page["data"] for page in pages]
    await feed.fill([])
