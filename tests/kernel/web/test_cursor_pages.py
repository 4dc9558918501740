"""Pages by cursor, of a list with a filter and a parameter in its path, through the application."""

from typing import Annotated
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from fastapi import APIRouter, Query
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes
from kernel.core.cursors import CursorKeys
from kernel.web import LINKS, CursorPage, CursorPaging, InvalidCursor, raises
from kernel.web.cursor_pages import Cursors
from kernel.web.services import Services
from kit.application import running
from kit.held_reads import own_settings, valkey
from kit.small import changed

__all__ = ["own_settings", "valkey"]
USER = UUID(int=1)


class Letter(BaseModel):
    id: UUID
    position: int


class Filtered(CursorPaging):
    unread: bool = False


class Letters:
    """A list in memory: pairs of time and id, as an SQL function finds them."""

    def __init__(self, rows=()):
        self.rows: set[tuple[int, int]] = set(rows)

    def find(self, *, from_time, from_id, backward, page_size):
        place = None if from_time is None else (from_time, UUID(from_id).int)
        ordered = sorted(self.rows, reverse=not backward)
        beyond = [
            row for row in ordered if place is None or ((row > place) if backward else row < place)
        ]
        return [
            {"position": time, "id": str(UUID(int=number))}
            for time, number in beyond[: page_size + 1]
        ]


def slice_of(letters):
    router = APIRouter()

    @router.get("/users/{user_id}/letters", responses={**raises(InvalidCursor), 200: LINKS})
    @Cached(
        "letters:{user_id}:{unread}:{cursor}:{page_size}", ttl=minutes(1), audience=everyone
    ).serves
    async def list_letters(
        user_id: UUID, paging: Annotated[Filtered, Query()], services: Services
    ) -> CursorPage[Letter]:
        plan = (await services.aget(Cursors)).open(paging, user_id=user_id)
        return plan.page(letters.find(**plan.arguments), Letter)

    return Feature(router=router, caller="ignored")


@pytest.fixture
def letters():
    return Letters()


@pytest.fixture
async def client(own_settings, letters):
    features = {"list_letters": slice_of(letters), "list_others": other_list()}
    app = create_app(own_settings, features)
    async with running(app) as client_for, client_for() as client:
        yield client


def other_list():
    router = APIRouter()

    @router.get("/others")
    async def list_others(
        paging: Annotated[CursorPaging, Query()], services: Services
    ) -> CursorPage[Letter]:
        plan = (await services.aget(Cursors)).open(paging)
        return plan.page([{"position": 1, "id": str(USER)}] * 2, Letter)

    return Feature(router=router, caller="ignored")


def numbers(answer):
    return [UUID(one["id"]).int for one in answer.json()["data"]]


def links(answer):
    return {name: one["url"].partition("/api/v1")[2] for name, one in answer.links.items()}


def url(user=USER, **query):
    return f"/users/{user}/letters?" + "&".join(f"{name}={one}" for name, one in query.items())


async def test_a_page_says_where_the_others_are(client, letters):
    letters.rows = {(7, number) for number in range(1, 6)}
    first = await client.get(url(page_size=2, unread="true"))
    assert first.json().keys() == {"success", "data", "next", "prev", "page_size"}
    assert (numbers(first), first.json()["prev"], first.json()["page_size"]) == ([5, 4], None, 2)
    assert links(first).keys() == {"first", "next"}
    second = await client.get(links(first)["next"])
    assert numbers(second) == [3, 2]
    query = parse_qs(urlsplit(links(second)["prev"]).query)
    assert query == {"cursor": [second.json()["prev"]], "page_size": ["2"], "unread": ["True"]}
    last = await client.get(links(second)["next"])
    assert (numbers(last), last.json()["next"]) == ([1], None)
    assert links(last).keys() == {"first", "prev"}
    assert numbers(await client.get(links(last)["prev"])) == [3, 2]
    assert numbers(await client.get(links(last)["first"])) == [5, 4]


async def test_an_empty_list_is_a_page_without_others(client):
    answer = await client.get(url())
    assert (answer.json()["next"], answer.json()["prev"], numbers(answer)) == (None, None, [])
    assert links(answer).keys() == {"first"}


@pytest.mark.parametrize("gone", [{1}, {1, 2}], ids=["the rest", "and where the cursor is"])
async def test_a_page_whose_values_were_all_deleted_leads_back(client, letters, gone):
    letters.rows = {(7, number) for number in range(1, 5)}
    first = await client.get(url(page_size=3))
    letters.rows = {(7, number) for number in range(1, 5) if number not in gone}
    empty = await client.get(links(first)["next"])
    assert numbers(empty) == []
    assert numbers(await client.get(links(empty)["prev"])) == [
        one for one in (4, 3, 2) if one not in gone
    ]


async def test_the_size_of_pages_may_change_from_one_to_the_next(client, letters):
    letters.rows = {(number, 1) for number in range(6)}
    first = await client.get(url(page_size=1))
    assert len(numbers(await client.get(url(page_size=4, cursor=first.json()["next"])))) == 4


async def test_a_cursor_of_another_list_filter_or_user_is_422_and_no_key(client, letters, valkey):
    letters.rows = {(number, 1) for number in range(6)}
    cursor = (await client.get(url(page_size=1))).json()["next"]
    foreign = (await client.get("/others?page_size=1")).json()["next"]
    before = set(valkey.client.keys("cache:*"))
    for sent in (
        url(cursor=cursor, unread="true"),
        url(user=UUID(int=2), cursor=cursor),
        url(cursor=foreign),
        url(cursor=cursor[:-1] + ("A" if cursor[-1] != "A" else "B")),
        url(cursor=""),
        url(cursor="x%00"),
        f"/others?cursor={cursor}",
    ):
        answer = await client.get(sent)
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert error["code"] == "INVALID_CURSOR"
        assert error["details"]["fields"] == [
            {"field": "query.cursor", "message": error["message"]}
        ]
        assert "link" not in answer.headers
    assert set(valkey.client.keys("cache:*")) == before


async def test_a_page_by_cursor_is_a_hit_with_its_links(client, letters):
    letters.rows = {(number, 1) for number in range(6)}
    cursor = (await client.get(url(page_size=2))).json()["next"]
    miss = await client.get(url(page_size=2, cursor=cursor))
    hit = await client.get(url(cursor=cursor, page_size="02", unread="off"))
    assert [one.headers["x-cache"] for one in (miss, hit)] == ["MISS", "HIT"]
    assert (hit.content, hit.headers["link"]) == (miss.content, miss.headers["link"])
    known = {"If-None-Match": hit.headers["etag"]}
    same = await client.get(url(page_size=2, cursor=cursor), headers=known)
    assert (same.status_code, same.headers["link"]) == (304, miss.headers["link"])


async def test_after_a_change_of_the_secret_old_cursors_count_as_long_as_the_previous_is_set(
    own_settings, letters
):
    letters.rows = {(number, 1) for number in range(25)}
    old, new = {"cursor_secret": "o" * 40}, {"cursor_secret": "n" * 40}
    found = []
    for secrets in (old, new | {"cursor_secret_previous": "o" * 40}, new):
        app = create_app(changed(own_settings, **secrets), {"list_letters": slice_of(letters)})
        async with running(app) as client_for, client_for() as client:
            first = await client.get(url())
            found.append(first.json()["next"])
            statuses = [(await client.get(url(cursor=one))).status_code for one in found]
            found_in_cache = first.headers["x-cache"]
            assert (found_in_cache, statuses) == {
                1: ("MISS", [200]),
                2: ("MISS", [200, 200]),
                3: ("HIT", [422, 200, 200]),
            }[len(found)]
    assert found[1] == found[2] != found[0]


# Walks, without HTTP ----------------------------------------------------------------------------

times = st.integers(0, 3)
row = st.tuples(times, st.integers(0, 40))
change = st.tuples(st.integers(1, 6), st.booleans(), row)
walks = given(st.sets(row, max_size=14), st.lists(change, max_size=12), st.integers(1, 4))


def page_at(letters, cursor, size):
    cursors = Cursors(CursorKeys("a secret").of("letters"), "/letters", MutableHeaders())
    plan = cursors.open(CursorPaging(cursor=cursor, page_size=size))
    return plan.page(letters.find(**plan.arguments), Letter)


def walk(letters, page, way, between):
    """Follow `way` to its end; after page `number`, insert or delete. Return the pages."""
    pages = [page]
    while cursor := getattr(pages[-1], way):
        for number, inserts, one in between:
            if number == len(pages):
                (letters.rows.add if inserts else letters.rows.discard)(one)
        pages.append(page_at(letters, cursor, page.page_size))
    return pages


def rows_of(pages):
    return [(one.position, one.id.int) for page in pages for one in page.data]


def stays(rows, between):
    return rows - {row for _, inserts, row in between if not inserts}


@walks
def test_walking_on_shows_what_stays_exactly_once(rows, between, size):
    letters, staying = Letters(rows), stays(rows, between)
    pages = walk(letters, page_at(letters, None, size), "next", between)
    shown = rows_of(pages)
    assert shown == sorted(set(shown), reverse=True)
    assert set(shown) >= staying
    assert all(len(page.data) == size for page in pages[:-1])
    # And the way back, whatever was deleted, is the whole list as it is now.
    back = walk(letters, pages[-1], "prev", [])
    assert rows_of(reversed(back)) == sorted(letters.rows, reverse=True)


@walks
def test_walking_back_shows_what_stays_exactly_once(rows, between, size):
    letters, staying = Letters(rows), stays(rows, between)
    pages = walk(letters, page_at(letters, None, size), "next", [])
    back = walk(letters, pages[-1], "prev", between)
    shown = rows_of(reversed(back))
    assert shown == sorted(set(shown), reverse=True)
    assert set(shown) >= staying
    forth = walk(letters, back[-1], "next", [])
    assert rows_of(forth) == sorted(letters.rows, reverse=True)


@walks
def test_forward_then_back_is_the_same_pages(rows, between, size):
    letters = Letters(rows)
    pages = walk(letters, page_at(letters, None, size), "next", [])
    back = walk(letters, pages[-1], "prev", [])
    assert [page.data for page in reversed(back)] == [page.data for page in pages]
