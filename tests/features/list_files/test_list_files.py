import pytest

WRONG = ["page_size=0", "page_size=101", "page_size=%00", "page_size=9" + "9" * 40]


def ids(answer):
    return [file["id"] for file in answer.json()["data"]]


async def test_only_a_user_may_call(anonymous, author):
    assert (await anonymous.get("/files")).status_code == 401
    assert (await author.get("/files")).status_code == 200


async def test_a_user_sees_the_own_files_newest_first(author, stranger, admin, new_file):
    files = [str((await new_file(author)).id) for _ in range(3)][::-1]
    answer = await author.get("/files")
    assert ids(answer) == files
    assert answer.json()["next"] is None
    assert answer.headers["cache-control"] == "private, no-cache"
    for other in (stranger, admin):
        assert ids(await other.get("/files")) == []


async def test_pages_lead_to_older_and_newer_files(author, new_file):
    files = [str((await new_file(author)).id) for _ in range(5)][::-1]
    first = await author.get("/files?page_size=2")
    second = await author.get("/files", params={"cursor": first.json()["next"], "page_size": 2})
    last = await author.get("/files", params={"cursor": second.json()["next"], "page_size": 2})
    assert ids(first) + ids(second) + ids(last) == files
    assert last.links.keys() == {"first", "prev"}
    back = await author.get("/files", params={"cursor": last.json()["prev"], "page_size": 2})
    assert back.json() == second.json()


async def test_a_cursor_of_another_user_shows_no_file_of_that_user(author, stranger, new_file):
    for _ in range(2):
        await new_file(author)
    cursor = (await author.get("/files?page_size=1")).json()["next"]
    assert ids(await stranger.get("/files", params={"cursor": cursor})) == []


@pytest.mark.parametrize("query", WRONG)
async def test_wrong_input_is_422(author, query):
    answer = await author.get(f"/files?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


async def test_an_invented_cursor_is_422(author):
    answer = await author.get(f"/files?cursor={'A' * 48}")
    assert answer.json()["error"]["code"] == "INVALID_CURSOR"
