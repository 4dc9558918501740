"""S11: after the retention period of a table, no row in it names a deleted user."""

import json

import pytest

TABLES = """
select format('%I.%I', schemaname, tablename) as name, array(
    select format('%I', a.attname) from pg_attribute a
    where a.attrelid = format('%I.%I', schemaname, tablename)::regclass and a.attnum > 0
      and a.attgenerated = '' and not a.attisdropped
      and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
  ) as times
from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1
"""
DELIVER = """
update outbox.events set dropped_at = created_at, published_at = created_at
where strpos(items::text, $1) > 0
"""


class Traces:
    """Traces of a user in the whole database: rows with the id, the address or their words."""

    def __init__(self, database, user_id, *marks):
        self._database, self.user_id, self._marks = database, user_id, [user_id, *marks]

    async def found(self):
        """Return the tables that have a trace, with the number of rows."""
        counted = {
            row["name"]: await self._database.fetchval(
                f"select count(*) from {row['name']} t where {self._has_one}", self._marks
            )
            for row in await self._database.fetch(TABLES)
        }
        return {name: number for name, number in counted.items() if number}

    async def age(self, days):
        """Make all these rows older."""
        for row in await self._database.fetch(TABLES):
            if row["times"]:
                older = ", ".join(f"{one} = {one} - interval '{days} days'" for one in row["times"])
                query = f"update {row['name']} t set {older} where {self._has_one}"
                await self._database.execute(query, self._marks)

    @property
    def _has_one(self):
        return "exists (select from unnest($1::text[]) mark where strpos(t::text, mark) > 0)"


async def clean_up(database):
    """Do the work of the daily cleanup."""
    for rule in await database.fetch("select name from public.retention_rules()"):
        await database.execute("select public.apply_retention($1, 10000, false)", rule["name"])
    await database.execute("select public.forget_deleted_users(10000, false)")


@pytest.fixture
async def gone(author, new_thing, long_ago, supabase, stack, database):
    """The traces of a deleted user who had done much; all events are delivered."""
    title = f"Diary of {author.id.hex}"
    await new_thing(author, title=title)
    async with long_ago(author) as old:
        await old.post("/prove", json={"current_password": "a guess 123"})
    await database.execute("select public.request_password_reset($1)", author.email)
    await database.execute(
        "select public.request_email_change($1, $2)", author.id, f"new-{author.email}"
    )
    await database.execute(
        "select public.record_audit('user_promoted', user_id => $1, address => '203.0.113.9')",
        author.id,
    )
    key = stack.gateway.service_key
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    answer = await supabase.delete(f"/auth/v1/admin/users/{author.id}", headers=headers)
    assert answer.is_success
    await database.execute(DELIVER, str(author.id))
    return Traces(database, str(author.id), author.email, title)


async def test_s11_after_the_retention_no_row_names_a_deleted_user(gone, database):
    seen = set(await gone.found())
    assert {"audit.entries", "outbox.events", "identity.notices", "identity.mail_requests"} <= seen
    await gone.age(days=90)
    await clean_up(database)
    # Archived rows keep the id for one more day, because the deletion's event may be as young.
    assert await gone.found() == {
        "archive.events": (await gone.found())["archive.events"],
        "retention.deleted_users": 1,
    }
    await gone.age(days=1)
    await clean_up(database)
    assert await gone.found() == {}


async def test_s11_only_the_id_is_removed_from_an_archived_event(gone, stranger, database):
    await gone.age(days=92)
    items = [
        {"user_id": str(stranger.id), "author_id": None},
        {"user_id": gone.user_id, "number": 7},
    ]
    content = json.dumps({"id": 1, "topic": "user_changed", "items": items})
    await database.execute("insert into archive.events (content) values ($1::jsonb)", content)
    await clean_up(database)
    query = "select content from archive.events where strpos(content::text, $1) > 0"
    (left,) = await database.fetch(query, str(stranger.id))
    items[1]["user_id"] = None
    assert json.loads(left["content"])["items"] == items


async def test_s11_a_dry_run_forgets_nobody(gone, database):
    await gone.age(days=92)
    before = await gone.found()
    counted = await database.fetchval("select public.forget_deleted_users(1, true)")
    assert counted >= 1
    assert await gone.found() == before


async def test_s11_forgetting_looks_ids_up_by_an_index(database):
    async with database.transaction():
        await database.execute("set local enable_seqscan = off")
        plan = await database.fetch(
            "explain select from archive.events where archive.ids(content) && "
            "array['3820052a-bbd0-4a50-bce5-53a231166443'::uuid]"
        )
    assert any("events_ids" in row[0] for row in plan)
