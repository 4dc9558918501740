"""A client may repeat a write: Idempotency-Key."""

import asyncio
import logging
from uuid import uuid4

import pytest
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.supabase import idempotency
from kit.application import SLICES, running
from kit.small import changed

THING = {"title": "A thing", "content": "", "published": True}
REPLAYED = "idempotency-replayed"


def keyed(key=None):
    return {"Idempotency-Key": key or f'"{uuid4()}"'}


@pytest.fixture
def stored(database, author):
    async def count():
        query = "select count(*) from public.things where author_id = $1"
        return await database.fetchval(query, author.id)

    return count


async def test_a_repeat_gets_the_first_answer_and_stores_nothing(author, stored):
    headers = keyed()
    first = await author.post("/things", json=THING, headers=headers)
    again = await author.post("/things", json=THING, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert await stored() == 1


async def test_without_a_key_each_request_stores_a_row(author, stored):
    for _ in range(2):
        assert REPLAYED not in (await author.post("/things", json=THING)).headers
    assert await stored() == 2


async def test_the_answer_stays_the_first_also_when_the_row_has_changed(author, database):
    headers = keyed()
    first = await author.post("/things", json=THING, headers=headers)
    await database.execute("delete from public.things where author_id = $1", author.id)
    assert (await author.post("/things", json=THING, headers=headers)).content == first.content


async def test_another_body_is_422_and_names_the_header(author, stored):
    headers = keyed()
    await author.post("/things", json=THING, headers=headers)
    answer = await author.post("/things", json=THING | {"title": "Another"}, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert [one["field"] for one in error["details"]["fields"]] == ["header.Idempotency-Key"]
    assert REPLAYED not in answer.headers
    assert await stored() == 1


async def test_the_same_json_in_other_bytes_is_the_same_body(author):
    headers = keyed() | {"content-type": "application/json"}
    one, other = b'{"title": "A thing", "content": ""}', b'{"content":"","title":"A thing"}'
    await author.post("/things", content=one, headers=headers)
    answer = await author.post("/things", content=other, headers=headers)
    assert answer.headers[REPLAYED] == "true"


async def test_a_key_is_the_same_with_and_without_quotes(author):
    name = uuid4().hex
    await author.post("/things", json=THING, headers=keyed(name))
    answer = await author.post("/things", json=THING, headers=keyed(f'"{name}"'))
    assert answer.headers[REPLAYED] == "true"


async def test_the_key_of_another_caller_is_another_key(author, stranger):
    headers = keyed()
    mine = await author.post("/things", json=THING, headers=headers)
    theirs = await stranger.post("/things", json=THING, headers=headers)
    assert REPLAYED not in theirs.headers
    assert theirs.json()["data"]["id"] != mine.json()["data"]["id"]


async def test_what_was_refused_may_be_sent_again_with_its_key(author, stored):
    headers = keyed()
    assert (await author.post("/things", json={}, headers=headers)).status_code == 422
    answer = await author.post("/things", json=THING, headers=headers)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)


@pytest.mark.parametrize(
    "key",
    ["", '""', '"', '"open', 'a"b', '"a\\b"', "two words", '"a", "b"', '"a";p=1', "x" * 256, "é"],
)
async def test_a_key_that_is_none_is_422(author, stored, key):
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = await author.post("/things", json=THING, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert [one["field"] for one in error["details"]["fields"]] == ["header.Idempotency-Key"]
    assert await stored() == 0


async def test_two_keys_are_422(author, stored):
    headers = [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"b"')]
    answer = await author.post("/things", json=THING, headers=headers)
    assert answer.status_code == 422
    assert await stored() == 0


async def test_after_a_day_a_key_is_new(author, stored, database):
    headers = keyed()
    first = await author.post("/things", json=THING, headers=headers)
    await database.execute(
        "update idempotency.keys set created_at = now() - interval '24 hours' where caller = $1",
        author.id,
    )
    answer = await author.post("/things", json=THING | {"title": "Later"}, headers=headers)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)
    assert answer.json()["data"]["id"] != first.json()["data"]["id"]
    repeated = await author.post("/things", json=THING | {"title": "Later"}, headers=headers)
    assert repeated.content == answer.content


async def test_many_at_once_are_one(author, stored):
    headers = keyed()
    answers = await asyncio.gather(
        *(author.post("/things", json=THING, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 19
    assert await stored() == 1


async def test_past_the_api_a_key_protects_as_well_and_reaches_nobody_elses(attacker, author):
    headers = keyed()
    await author.post("/things", json=THING, headers=headers)
    key = {"Idempotency-Key": headers["Idempotency-Key"].strip('"')}
    slice_of = key | {"X-Idempotency-Slice": "write_thing"}
    for sent in (key, slice_of):
        stranger_s = await attacker.post("/rest/v1/rpc/replayed_row", headers=sent)
        assert stranger_s.json() is None
        assert (await attacker.post("/rest/v1/things", json=THING, headers=sent)).is_success
        again = await attacker.post("/rest/v1/things", json=THING, headers=sent)
        assert (again.status_code, again.json()["code"]) == (409, "PT409")
    for long in ({"Idempotency-Key": "x" * 256}, key | {"X-Idempotency-Slice": "x" * 101}):
        assert (await attacker.post("/rest/v1/things", json=THING, headers=long)).is_client_error


async def test_a_deleted_user_leaves_no_keys(author, database):
    await author.post("/things", json=THING, headers=keyed())
    query = "select count(*) from idempotency.keys where caller = $1"
    assert await database.fetchval(query, author.id) == 1
    await database.execute("delete from auth.users where id = $1", author.id)
    assert await database.fetchval(query, author.id) == 0


async def test_a_table_without_protection_is_an_error_in_the_log_and_others_are_asked_once(
    author, database, monkeypatch, caplog
):
    monkeypatch.setattr(idempotency, "_PROTECTED", set())
    logging.getLogger().addHandler(caplog.handler)  # the application has replaced it
    await database.execute("alter table public.things disable trigger zz_idempotency")
    try:
        answer = await author.post("/things", json=THING, headers=keyed())
    finally:
        await database.execute("alter table public.things enable trigger zz_idempotency")
    assert answer.status_code == 201
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert "select idempotency.protect('public.things');" in record.getMessage()
    assert vars(record)["slice"] == "write_thing"
    for _ in range(2):
        await author.post("/things", json=THING, headers=keyed())
    assert {"things"} == idempotency._PROTECTED
    assert [one for one in caplog.records if one.levelno == logging.ERROR] == [record]


def test_only_calls_of_users_that_post_can_be_idempotent():
    router = APIRouter()

    @router.put("/things")
    async def put() -> None: ...

    with pytest.raises(ValueError, match="only POST"):
        Feature(router=router, idempotent=True)
    with pytest.raises(ValueError, match="required"):
        Feature(router=APIRouter(), idempotent=True, caller="ignored")


async def test_a_page_of_another_origin_may_send_the_key_and_read_the_mark(settings):
    page = "https://pages.example"
    app = create_app(changed(settings, cors_origins=[page]), SLICES)
    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "idempotency-key",
    }
    async with running(app) as client_for, client_for() as client:
        answer = await client.options("/things", headers=asked)
        assert answer.status_code == 200
        assert "idempotency-key" in answer.headers["access-control-allow-headers"].lower()
        answer = await client.get("/alive", headers={"Origin": page})
        assert "Idempotency-Replayed" in answer.headers["access-control-expose-headers"]
