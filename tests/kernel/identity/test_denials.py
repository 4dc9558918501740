"""403s in the audit log, bounded: one row for each user, slice and minute."""

import asyncio
from functools import partial

from kernel.boot.app import create_app
from kit.application import SLICES, running
from kit.waiting import many, until

QUERY = "select * from audit.entries where user_id = $1 and action = 'forbidden'"


async def test_a_refusal_names_the_user_in_the_audit_log(author, database):
    answer = await author.get("/rule")
    assert answer.status_code == 403
    (entry,) = await until(lambda: database.fetch(QUERY, author.id))
    assert entry["actor_id"] == author.id
    assert entry["details"] == '{"slice": "rule"}'
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["address"]


async def test_a_flood_of_refusals_is_one_row_over_all_processes(settings, author, database):
    one, other = (create_app(settings, SLICES) for _ in range(2))
    async with running(one) as first, running(other) as second:
        for maker in (first, second):
            async with maker(author.token) as client:
                answers = await many(100, partial(client.get, "/rule"), at_once=20)
                assert {answer.status_code for answer in answers} == {403}
    # Both processes have ended, and an ending process waits for its writes.
    assert len(await database.fetch(QUERY, author.id)) == 1


async def test_the_next_minute_is_another_row(settings, author, database):
    async def refused() -> None:
        async with running(create_app(settings, SLICES)) as maker, maker(author.token) as client:
            assert (await client.get("/rule")).status_code == 403

    await refused()
    await database.execute(
        "update audit.entries set at = at - interval '61 seconds' where user_id = $1", author.id
    )
    await refused()
    assert len(await database.fetch(QUERY, author.id)) == 2


async def test_a_refusal_of_an_anonymous_caller_is_not_written(anonymous, database):
    before = await database.fetchval("select count(*) from audit.entries")
    answers = await asyncio.gather(*(anonymous.get("/rule") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {401}
    assert await database.fetchval("select count(*) from audit.entries") == before
