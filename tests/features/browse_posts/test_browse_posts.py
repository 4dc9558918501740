from urllib.parse import parse_qs, urlsplit

import pytest

WRONG = ["page_size=0", "page_size=101", "page_size=", "page_size=%00", "page_size=9" + "9" * 40]
INVENTED = ["", "next", "%00", "A" * 48, "%F0%9F%98%80" * 48, "A" * 4000]


@pytest.fixture
async def no_posts(database):
    """Empties the table of posts."""
    await database.execute("delete from public.posts")


def ids(answer):
    return [post["id"] for post in answer.json()["data"]]


async def test_anyone_may_call(anonymous, author):
    assert (await anonymous.get("/feed")).status_code == 200
    assert (await author.get("/feed")).status_code == 200


@pytest.mark.usefixtures("no_posts")
async def test_pages_of_published_posts_lead_to_older_and_newer_ones(anonymous, author, new_post):
    posts = [str((await new_post(author)).id) for _ in range(5)][::-1]
    await new_post(author, published=False)
    first = await anonymous.get("/feed?page_size=2")
    assert first.json().keys() == {"success", "data", "next", "prev", "page_size"}
    assert (first.json()["prev"], first.json()["page_size"]) == (None, 2)
    assert first.links.keys() == {"first", "next"}
    assert first.headers["cache-control"] == "no-cache"
    second = await anonymous.get("/feed", params={"cursor": first.json()["next"], "page_size": 2})
    last = await anonymous.get("/feed", params={"cursor": second.json()["next"], "page_size": 2})
    back = await anonymous.get("/feed", params={"cursor": last.json()["prev"], "page_size": 2})
    assert ids(first) + ids(second) + ids(last) == posts
    assert last.json()["next"] is None
    assert last.links.keys() == {"first", "prev"}
    assert back.json() == second.json()


@pytest.mark.usefixtures("no_posts")
async def test_links_are_addresses_of_the_pages(anonymous, author, new_post):
    for _ in range(3):
        await new_post(author)
    first = await anonymous.get("/feed?page_size=2&x=1")
    address = urlsplit(first.links["next"]["url"])
    assert address.path == "/api/v1/feed"
    assert parse_qs(address.query) == {"page_size": ["2"], "cursor": [first.json()["next"]]}
    second = await anonymous.get(f"/feed?{address.query}")
    assert len(ids(second)) == 1
    assert urlsplit(second.links["first"]["url"]).query == "page_size=2"


@pytest.mark.usefixtures("no_posts")
async def test_an_author_sees_no_drafts_among_published_posts(author, draft, new_post):
    post = await new_post(author)
    assert ids(await author.get("/feed")) == [str(post.id)]
    assert ids(await author.get("/feed?page_size=1")) == [str(post.id)]


@pytest.mark.usefixtures("no_posts")
async def test_s5_a_long_content_is_cut_and_says_so(anonymous, author, new_post):
    await new_post(author, content="x" * 2000)
    await new_post(author, content="x" * 2001)
    cut, whole = (await anonymous.get("/feed")).json()["data"]
    assert (cut["content"], cut["content_truncated"]) == ("x" * 2000, True)
    assert whole["content"] == "x" * 2000
    assert "content_truncated" not in whole


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422(anonymous, query):
    answer = await anonymous.get(f"/feed?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("cursor", INVENTED)
async def test_an_invented_cursor_is_422(anonymous, cursor):
    answer = await anonymous.get(f"/feed?cursor={cursor}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "INVALID_CURSOR"
    assert answer.headers["x-cache"] == "BYPASS"


async def test_s5_a_page_that_the_cache_cannot_answer_counts_twice(client_for):
    async with client_for(address="203.0.113.78") as client:

        async def left(url):
            return int((await client.get(url)).headers["ratelimit"].split("r=")[1].split(";")[0])

        urls = ["/feed", "/feed?x=1", "/feed?page_size=7", f"/feed?cursor={'A' * 48}"]
        standing = [await left(url) for url in urls]
    assert [standing[0] - one for one in standing] == [0, 1, 3, 5]
