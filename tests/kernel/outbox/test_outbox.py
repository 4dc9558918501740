"""The outbox in the database: what puts an event, and who may read and change events."""

from uuid import UUID

import asyncpg
import httpx
import pytest


@pytest.fixture
async def author(own_database):
    author = await own_database.user()
    await own_database.forget()
    return author


@pytest.fixture
async def notes(own_database):
    """A table that is not tracked yet; `id` identifies its rows."""
    sql = own_database.sql
    await sql.execute("create table public.notes (id int primary key, kind text, sent_at text)")
    yield "public.notes"
    await sql.execute("drop table public.notes")
    await own_database.forget()
    await sql.execute("delete from outbox.topics where topic like 'note%'")


def ids(events, field="thing_id"):
    return [[UUID(item[field]) for item in event["items"]] for event in events]


async def counted(own_database):
    return [(row["topic"], len(row["items"])) for row in await own_database.events()]


async def test_one_statement_is_one_event_however_many_rows_it_changes(own_database, author):
    await own_database.sql.execute(
        "insert into public.things (title, content, published, author_id) "
        "select 'A thing', '', true, $1 from generate_series(1, 50)",
        author,
    )
    await own_database.sql.execute("update public.things set title = 'Another title'")
    assert await counted(own_database) == [
        ("thing_changed", 50),
        ("thing_published", 50),
        ("thing_changed", 50),
    ]


async def test_deleting_a_user_with_1000_things_is_one_event_of_the_things(own_database, author):
    rows = await own_database.sql.fetch(
        "insert into public.things (title, content, author_id) "
        "select 'A thing', '', $1 from generate_series(1, 1000) returning id",
        author,
    )
    await own_database.forget()
    await own_database.sql.execute("delete from auth.users where id = $1", author)
    changed = await own_database.events("thing_changed")
    assert len(changed) == 1
    assert set(ids(changed)[0]) == {UUID(str(row["id"])) for row in rows}
    # One for each table with data of a user: auth.users and profiles.
    assert ids(await own_database.events("user_changed"), "user_id") == [[author], [author]]
    assert {row["topic"] for row in await own_database.events()} == {
        "thing_changed",
        "user_changed",
    }


async def test_a_rollback_leaves_no_event(own_database, author):
    transaction = own_database.sql.transaction()
    await transaction.start()
    await own_database.thing(author)
    assert len(await own_database.events()) == 2
    await transaction.rollback()
    assert await own_database.events() == []


async def test_a_statement_that_changes_no_row_puts_no_event(own_database, author):
    await own_database.sql.execute("update public.things set title = 'Another' where false")
    await own_database.sql.execute("delete from public.things where false")
    assert await own_database.events() == []


async def test_changes_of_hidden_user_columns_put_no_event(own_database, author):
    await own_database.sql.execute(
        "update auth.users set updated_at = now(), last_sign_in_at = now(), email = email"
    )
    assert await own_database.events() == []


async def test_signing_in_puts_no_event(own_database):
    _, _ = await own_database.sign_up()
    email = await own_database.sql.fetchval("select email from auth.users")
    await own_database.forget()
    async with httpx.AsyncClient(base_url=own_database.gateway.url) as client:
        answer = await client.post(
            "/auth/v1/token?grant_type=password",
            json={"email": email, "password": "correct horse 9"},
            headers={"apikey": own_database.gateway.config.anon_key},
        )
    assert answer.status_code == 200
    assert await own_database.events() == []


@pytest.mark.parametrize(
    ("statement", "topics"),
    [
        ("update public.things set title = 'Edited in Studio'", ["thing_changed"]),
        ("delete from public.things", ["thing_changed"]),
        ("update public.profiles set display_name = 'Ada'", ["user_changed"]),
        ("update auth.users set email = 'new@example.com'", ["user_changed"]),
        ("update auth.users set email_confirmed_at = now()", ["user_changed", "user_confirmed"]),
    ],
)
async def test_k13_a_row_that_is_edited_by_sql_alone_leads_to_its_event(
    own_database, author, statement, topics
):
    thing = await own_database.thing(author, published=False)
    await own_database.forget()
    await own_database.sql.execute(statement)
    events = await own_database.events()
    assert [row["topic"] for row in events] == topics
    expected = {"thing_id": str(thing)} if topics == ["thing_changed"] else {"user_id": str(author)}
    assert [row["items"] for row in events] == [[expected]] * len(topics)


async def test_a_user_is_confirmed_once(own_database):
    user = await own_database.user(confirmed=True)
    await own_database.sql.execute("update auth.users set email_confirmed_at = now()")
    assert ids(await own_database.events("user_confirmed"), "user_id") == [[user]]


async def write_a_thing(own_database, token, **headers):
    async with httpx.AsyncClient(base_url=own_database.gateway.url) as client:
        answer = await client.post(
            "/rest/v1/things",
            json={"title": "A thing", "content": ""},
            headers={
                "apikey": own_database.gateway.config.anon_key,
                "Authorization": f"Bearer {token}",
                **headers,
            },
        )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("sent", ["abcdefgh", "A.b_c-9" * 10, "x" * 128])
async def test_an_event_has_the_id_of_its_request(own_database, sent):
    _, token = await own_database.sign_up()
    await write_a_thing(own_database, token, **{"X-Request-ID": sent})
    (event,) = await own_database.events("thing_changed")
    assert event["request_id"] == sent


@pytest.mark.parametrize(
    "sent", ["", "short", "x" * 129, "with blank inside", "semi;colon", "caf\u00e9-caf\u00e9", None]
)
async def test_a_malformed_request_id_is_ignored(own_database, sent):
    _, token = await own_database.sign_up()
    headers = {} if sent is None else {"X-Request-ID": sent.encode()}
    await write_a_thing(own_database, token, **headers)
    (event,) = await own_database.events("thing_changed")
    assert event["request_id"] is None


async def test_one_line_tracks_a_table(own_database, notes):
    sql = own_database.sql
    await sql.execute("select outbox.track($1::text::regclass, 'note_changed', $2)", notes, NOTE)
    await sql.execute("insert into notes values (1, 'a', null), (2, 'a', null)")
    await sql.execute("update notes set kind = 'b' where id = 2")
    await sql.execute("update notes set id = 3 where id = 2")
    await sql.execute(
        "insert into notes values (3, 'c', null), (4, 'c', null) "
        "on conflict (id) do update set kind = excluded.kind"
    )
    await sql.execute(
        "insert into notes values (4, 'd', null) "
        "on conflict (id) do update set kind = excluded.kind"
    )
    await sql.execute("delete from notes where id <> 3")
    assert [numbers(event) for event in await own_database.events("note_changed")] == [
        {1, 2},
        {2},
        {2, 3},  # the old ids and the new ones
        {3},
        {4},
        {4},
        {1, 4},
    ]


async def test_an_upsert_tells_of_inserted_and_of_updated_rows_once_each(own_database, notes):
    sql = own_database.sql
    await sql.execute("select outbox.track($1::text::regclass, 'note_changed', $2)", notes, NOTE)
    await sql.execute("insert into notes values (1, 'a', null)")
    await own_database.forget()
    await sql.execute(
        "insert into notes values (1, 'b', null), (2, 'b', null) "
        "on conflict (id) do update set kind = excluded.kind"
    )
    told = [numbers(event) for event in await own_database.events("note_changed")]
    assert sorted(told, key=min) == [{1}, {2}]


async def test_once_set_puts_an_event_when_the_column_gets_a_value(own_database, notes):
    sql = own_database.sql
    await sql.execute(
        "select outbox.track($1::text::regclass, 'note_sent', $2, once_set => 'sent_at')",
        notes,
        NOTE,
    )
    await sql.execute("insert into notes values (1, 'a', null), (2, 'a', 'now')")
    await sql.execute("update notes set kind = 'b'")
    await sql.execute("update notes set sent_at = 'later'")
    await sql.execute("update notes set sent_at = 'later still'")
    await sql.execute("delete from notes")
    assert [numbers(event) for event in await own_database.events("note_sent")] == [{2}, {1}]


async def test_an_event_of_certain_columns_happens_when_one_changes(own_database, notes):
    sql = own_database.sql
    await sql.execute(
        "select outbox.track($1::text::regclass, 'note_changed', $2, columns => '{kind,sent_at}')",
        notes,
        NOTE,
    )
    await sql.execute("alter table notes add other int")
    await sql.execute("insert into notes values (1, 'a', null), (2, 'a', null)")
    await own_database.forget()
    await sql.execute("update notes set other = 1, kind = kind")
    assert await own_database.events() == []
    await sql.execute("update notes set kind = case id when 1 then 'b' else kind end")
    await sql.execute("update notes set sent_at = case id when 2 then 'now' end")
    await sql.execute("delete from notes where id = 1")
    told = [numbers(event) for event in await own_database.events("note_changed")]
    assert told == [{1}, {2}, {1}]


async def test_only_the_requested_operations_put_events(own_database, notes):
    sql = own_database.sql
    await sql.execute(
        "select outbox.track($1::text::regclass, 'note_gone', $2, operations => '{delete}')",
        notes,
        NOTE,
    )
    await sql.execute("insert into notes values (1, 'a', null), (2, 'a', null)")
    await sql.execute("update notes set kind = 'b'")
    await sql.execute("delete from notes where id = 1")
    assert [numbers(event) for event in await own_database.events()] == [{1}]


async def test_names_that_need_quotes_are_tracked(own_database):
    sql = own_database.sql
    await sql.execute('create table public."No\'te s" (id int primary key, "Ki""nd" text)')
    try:
        await sql.execute(
            "select outbox.track($1::text::regclass, 'note_quoted', $2, columns => $3)",
            'public."No\'te s"',
            {"no'te": "id", "kind": 'Ki"nd'},
            ['Ki"nd'],
        )
        await sql.execute("insert into public.\"No'te s\" values (1, 'a%s')")
        await sql.execute('update public."No\'te s" set "Ki""nd" = \'b%I\'')
        assert [row["items"] for row in await own_database.events()] == [
            [{"no'te": 1, "kind": "a%s"}],
            [{"no'te": 1, "kind": "b%I"}],
        ]
    finally:
        await sql.execute('drop table public."No\'te s"')
        await own_database.forget()
        await sql.execute("delete from outbox.topics where topic = 'note_quoted'")


async def test_a_topic_has_the_same_fields_everywhere(own_database, notes):
    sql = own_database.sql
    with pytest.raises(asyncpg.RaiseError, match="topic thing_changed has other fields elsewhere"):
        await sql.execute(
            "select outbox.track($1::text::regclass, 'thing_changed', $2)", notes, NOTE
        )
    await sql.execute(
        "select outbox.track($1::text::regclass, 'thing_changed', $2)", notes, {"thing_id": "id"}
    )


NOTE = {"note_id": "id"}


def numbers(event):
    return {item["note_id"] for item in event["items"]}


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "authenticator"])
@pytest.mark.parametrize(
    "statement",
    [
        "insert into outbox.events (topic, items) values ('thing_changed', '[{}]')",
        "select * from outbox.events",
        "select outbox.put('thing_changed', '[{}]')",
        "select outbox.track('public.things', 'forged', '{}')",
        "select * from jobs.runs",
        "insert into jobs.slots values ('a.b', now())",
    ],
)
async def test_nobody_reaches_the_outbox_past_its_functions(own_database, role, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(own_database, role, statement)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_users_claim_and_settle_nothing(own_database, role):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(own_database, role, "select * from claim_events(1, 1, true, true)")


async def run_as(own, role, statement):
    async with own.sql.transaction():
        await own.sql.execute(f"set local role {role}")
        await own.sql.execute(statement)
