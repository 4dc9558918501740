"""Conditional writes and reads (RFC 9110, 13)."""

import asyncio
from datetime import UTC, timedelta
from email.utils import format_datetime

import pytest
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.boot.discovery import BootError, discover
from kit.application import SLICES, running
from kit.conditional import etag_of, minds_conditions
from kit.front import works

DRAFT = {"title": "Another title", "content": "", "published": True}


@pytest.fixture
def title(database, thing):
    async def read():
        return await database.fetchval("select title from public.things where id = $1", thing.id)

    return read


async def test_a_change_that_is_conditional_happens_if_its_conditions_hold(author, thing, title):
    url = f"/things/{thing.id}"

    async def unchanged():
        assert await title() == thing.title

    etag = await etag_of(author, url)
    await minds_conditions(
        lambda headers: author.put(url, json=DRAFT, headers=headers), etag, unchanged=unchanged
    )
    assert await title() == "Another title"


async def test_any_etag_will_do_where_there_is_one(author, thing):
    url, headers = f"/things/{thing.id}", {"If-Match": "*"}
    assert (await author.put(url, json=DRAFT, headers=headers)).status_code == 200


async def test_what_is_refused_anyway_is_refused_as_ever(author, stranger, thing, anonymous):
    url, headers = f"/things/{thing.id}", {"If-Match": '"another"'}
    assert (await anonymous.put(url, json=DRAFT, headers=headers)).status_code == 401
    assert (await author.put(url, json={}, headers=headers)).status_code == 422


@pytest.mark.parametrize(
    ("seconds", "etag", "status"),
    [(0, None, 200), (-1, None, 412), (3600, None, 200), (-1, "*", 200)],
)
async def test_unmodified_since_counts_seconds_and_only_without_if_match(
    author, thing, seconds, etag, status
):
    since = thing.updated_at.replace(microsecond=0) + timedelta(seconds=seconds)
    headers = {"If-Unmodified-Since": format_datetime(since.astimezone(UTC), usegmt=True)}
    if etag:
        headers["If-Match"] = etag
    answer = await author.put(f"/things/{thing.id}", json=DRAFT, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("date", ["yesterday", "", "2000-01-01", "Sat, 99 Foo 2000 00:00:00 GMT"])
async def test_a_date_that_is_none_is_ignored(author, thing, date):
    headers = {"If-Unmodified-Since": date}
    answer = await author.put(f"/things/{thing.id}", json=DRAFT, headers=headers)
    assert answer.status_code == 200


async def test_of_writers_at_once_with_one_etag_one_writes(author, thing):
    url = f"/things/{thing.id}"
    headers = {"If-Match": await etag_of(author, url)}
    answers = await asyncio.gather(
        *(author.put(url, json=DRAFT | {"title": f"T {n:03}"}, headers=headers) for n in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19


async def test_a_write_between_check_and_write_is_noticed(front, settings, author, thing, database):
    url = f"/things/{thing.id}"

    async def changed_before_the_write(seen):
        if seen.method == "PATCH":
            await database.execute(
                "update public.things set content = 'Theirs' where id = $1", thing.id
            )
        await works(seen)

    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for(author.token) as client:
        headers = {"If-Match": await etag_of(client, url)}
        front.rest = changed_before_the_write
        answer = await client.put(url, json=DRAFT, headers=headers)
        assert answer.status_code == 412
    row = await database.fetchrow(
        "select title, content from public.things where id = $1", thing.id
    )
    assert tuple(row) == (thing.title, "Theirs")


async def test_a_read_with_if_match_is_412_unless_it_matches(anonymous, thing):
    url = f"/things/{thing.id}"
    etag = await etag_of(anonymous, url)
    for path in (url, "/alive"):
        answer = await anonymous.get(path, headers={"If-Match": '"another"'})
        assert (answer.status_code, answer.json()["success"]) == (412, False)
    assert (await anonymous.get(url, headers={"If-Match": f'"x", {etag}'})).status_code == 200
    both = {"If-Match": etag, "If-None-Match": etag}
    assert (await anonymous.get(url, headers=both)).status_code == 304


async def test_a_resource_without_a_get_has_no_etag(settings, thing, author):
    slices = {name: one for name, one in SLICES.items() if name != "read_thing"}
    async with (
        running(create_app(settings, slices)) as client_for,
        client_for(author.token) as client,
    ):
        for headers, status in (({"If-Match": "*"}, 412), ({"If-None-Match": "*"}, 200)):
            answer = await client.put(f"/things/{thing.id}", json=DRAFT, headers=headers)
            assert answer.status_code == status


def test_only_writes_can_be_conditional():
    router = APIRouter()

    @router.get("/things")
    async def read() -> None: ...

    with pytest.raises(ValueError, match="PUT and DELETE"):
        Feature(router=router, conditional=True)


def test_a_handler_that_asks_for_conditions_needs_a_conditional_feature(package):
    name = package(
        "change_note",
        {
            "__init__.py": """
                from kernel import Feature
                from . import route
                feature = Feature(router=route.router)
            """,
            "route.py": """
                from fastapi import APIRouter
                from kernel.web import Services
                from . import handler
                router = APIRouter()
                @router.put("/notes")
                async def change_note(services: Services) -> None:
                    await services.call(handler.change_note)
            """,
            "handler.py": """
                from kernel.web import Precondition
                async def change_note(condition: Precondition) -> None: ...
            """,
        },
    )
    with pytest.raises(BootError, match="condition"):
        discover(name, {})
