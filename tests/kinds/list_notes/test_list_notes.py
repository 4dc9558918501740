import pytest

from kit.cached_reads import PAGES, CachedReads

NOTE = {"label": "A note"}


@pytest.fixture
async def three(new_row, author):
    return [await new_row("notes", owner_id=author.id, **NOTE) for _ in range(3)]


async def test_only_a_user_may_call(anonymous, author):
    assert (await anonymous.get("/notes")).status_code == 401
    assert (await author.get("/notes")).json()["data"] == []


async def test_the_own_notes_are_listed_newest_first(author, three):
    answer = await author.get("/notes?page_size=2")
    assert answer.status_code == 200
    page = answer.json()
    assert [note["id"] for note in page["data"]] == [three[2]["id"], three[1]["id"]]
    assert {name: page["data"][0][name] for name in NOTE} == NOTE
    assert (page["total"], page["has_next"]) == (3, True)
    last = (await author.get("/notes?page=2&page_size=2")).json()
    assert [note["id"] for note in last["data"]] == [three[0]["id"]]
    assert last["has_next"] is False


async def test_other_users_do_not_see_them(stranger, three):
    page = (await stranger.get("/notes")).json()
    assert (page["data"], page["total"]) == ([], 0)


async def test_a_page_past_the_end_is_empty(author, three):
    page = (await author.get("/notes?page=1000000000&page_size=100")).json()
    assert (page["data"], page["total"], page["has_next"]) == ([], 3, False)


@pytest.mark.parametrize("query", ["page=0", "page_size=101", "page=x", "page_size=0"])
async def test_a_page_that_cannot_be_is_422(author, query):
    assert (await author.get(f"/notes?{query}")).status_code == 422


class TestCachedReads(CachedReads):
    slice = "list_notes"

    @pytest.fixture
    def values(self):
        return PAGES
