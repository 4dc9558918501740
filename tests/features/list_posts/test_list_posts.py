import pytest

WRONG = [
    "page=0",
    "page=-1",
    "page=one",
    "page=1.5",
    "page=1000000000000000000",
    "page=10000000000000000000000000000000000000000",
    "page=%00",
    "page_size=0",
    "page_size=101",
    "page_size=",
    "published_only=perhaps",
]


@pytest.fixture
async def no_posts(database):
    """Empties the table of posts."""
    await database.execute("delete from public.posts")


async def test_anyone_may_call(anonymous, author):
    assert (await anonymous.get("/posts")).status_code == 200
    assert (await author.get("/posts")).status_code == 200


@pytest.mark.usefixtures("no_posts")
async def test_published_posts_come_newest_first(anonymous, author, new_post):
    posts = [await new_post(author, title=f"Post {number}") for number in range(3)]
    await new_post(author, published=False)
    answer = await anonymous.get("/posts")
    page = answer.json()
    assert [found["id"] for found in page["data"]] == [str(post.id) for post in reversed(posts)]
    assert page["total"] == 3
    assert page["has_next"] is False
    assert (page["page"], page["page_size"]) == (1, 20)
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.usefixtures("no_posts")
async def test_pages_follow_each_other_without_gap_or_overlap(anonymous, author, new_post):
    posts = [await new_post(author) for _ in range(5)]
    pages = [
        (await anonymous.get("/posts", params={"page": number, "page_size": 2})).json()
        for number in (1, 2, 3)
    ]
    found = [item["id"] for page in pages for item in page["data"]]
    assert found == [str(post.id) for post in reversed(posts)]
    assert [page["has_next"] for page in pages] == [True, True, False]
    assert {page["total"] for page in pages} == {5}


@pytest.mark.usefixtures("no_posts", "post")
async def test_a_page_past_the_end_is_empty_with_the_right_total(anonymous):
    page = (await anonymous.get("/posts?page=1000000000&page_size=100")).json()
    assert page["data"] == []
    assert page["total"] == 1
    assert page["has_next"] is False


@pytest.mark.usefixtures("no_posts")
async def test_an_author_may_ask_for_the_own_drafts_and_nobody_elses(
    author, stranger, new_post, draft
):
    await new_post(stranger, published=False)
    page = (await author.get("/posts?published_only=false")).json()
    assert [found["id"] for found in page["data"]] == [str(draft.id)]
    assert page["total"] == 1


@pytest.mark.usefixtures("no_posts")
async def test_published_posts_and_own_drafts_are_one_list_in_order(author, stranger, new_post):
    posts = []
    for number in range(6):
        posts.append(await new_post(author, published=number % 2 == 0))
        await new_post(stranger, published=False)
    pages = [
        (await author.get(f"/posts?published_only=false&page_size=4&page={page}")).json()
        for page in (1, 2, 3)
    ]
    found = [item["id"] for page in pages for item in page["data"]]
    assert found == [str(post.id) for post in reversed(posts)]
    assert [page["total"] for page in pages] == [6, 6, 6]
    assert [page["has_next"] for page in pages] == [True, False, False]


@pytest.mark.usefixtures("no_posts", "post", "draft")
async def test_the_total_past_the_api_shows_no_more_than_the_list(supabase, author, stranger):
    async def total(by=None, *, published_only):
        headers = {"Authorization": f"Bearer {by.token}"} if by else {}
        body = {"published_only": published_only}
        found = await supabase.post("/rest/v1/rpc/total_of_posts", json=body, headers=headers)
        return found.json()

    assert await total(published_only=False) == 1
    assert await total(stranger, published_only=False) == 1
    assert await total(author, published_only=False) == 2
    assert await total(author, published_only=True) == 1


@pytest.mark.usefixtures("no_posts")
async def test_a_list_is_shown_before_its_total_is_corrected(anonymous, author, new_post, database):
    posts = [await new_post(author) for _ in range(3)]
    await database.execute("delete from totals.numbers where list = 'published_posts'")
    page = (await anonymous.get("/posts?page_size=2")).json()
    assert [found["id"] for found in page["data"]] == [str(post.id) for post in posts[:0:-1]]
    await database.execute("select totals.repair('published_posts')")
    assert (await anonymous.get("/posts?page_size=2&page=2")).json()["total"] == 3


async def test_drafts_need_a_token(anonymous):
    answer = await anonymous.get("/posts?published_only=false")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422_without_echo(anonymous, query):
    answer = await anonymous.get(f"/posts?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert "perhaps" not in answer.text
