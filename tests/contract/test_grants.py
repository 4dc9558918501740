"""Every privilege in the database is stated; any other privilege is a mistake.

Each slice states its own in tests/features/<slice>/grants.py, the platform in
tests/kernel/grants.py.

The local stack has Supabase's permissive default grants. So this test finds an object whose
migration forgets a REVOKE.
"""

import subprocess
from pathlib import Path

import asyncpg
import pytest

from contract import shipped
from kernel.boot.discovery import discover
from kernel.supabase.http import bearer
from kit import shipped as kit_shipped
from kit import slices
from kit.grants import NOBODY, ROOT, Grants, missing, of_slices, stated_in, union

PEOPLE = ("anon", "authenticated")
BY_SLICE = of_slices()
PLATFORM = stated_in(ROOT / "tests" / "kernel" / "grants.py")
KIT = stated_in(Path(slices.__file__).with_name("grants.py"))
STATED = union([*BY_SLICE.values(), PLATFORM, KIT])
REMOVED = shipped.SLICES - discover().keys()
# Privileges of removed slices may still exist.
ALLOWED = union([STATED, shipped.GRANTS]) if REMOVED else STATED
# Only functions may use all other schemas: not even the service role reads or writes there.
OPEN = ("public", "auth", "storage", "extensions", "information_schema")


@pytest.fixture
async def closed(database):
    """The schemas that are closed: those of the migrations, but for OPEN."""
    rows = await database.fetch(
        """select nspname from pg_namespace
           where nspname <> all ($1) and nspname !~ '^pg_' order by nspname""",
        OPEN,
    )
    names = [row["nspname"] for row in rows]
    assert {"outbox", "jobs"} <= set(names)
    return names


async def test_tables_and_views_are_granted_as_written(database):
    tables = await database.fetch(
        """select c.relname as name, r.role, p.privilege
           from pg_class c, unnest($1::text[]) as r(role),
             unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER'])
               as p(privilege)
           where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
             and has_table_privilege(r.role, c.oid, p.privilege)""",
        PEOPLE,
    )
    columns = await database.fetch(
        """select c.relname as name, r.role, p.privilege, a.attname as column
           from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0,
             unnest($1::text[]) as r(role),
             unnest(array['SELECT','INSERT','UPDATE']) as p(privilege)
           where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
             and not a.attisdropped
             and not has_table_privilege(r.role, c.oid, p.privilege)
             and has_column_privilege(r.role, c.oid, a.attnum, p.privilege)""",
        PEOPLE,
    )
    found: dict[tuple[str, str], set[str]] = {}
    for row in tables:
        found.setdefault((row["name"], row["role"]), set()).add(row["privilege"])
    for row in columns:
        privilege = f"{row['privilege']}({row['column']})"
        found.setdefault((row["name"], row["role"]), set()).add(privilege)
    stated = {
        place: privileges for place, privileges in STATED.tables.items() if place[1] in PEOPLE
    }
    for (table, role), privileges in found.items():
        more = privileges - ALLOWED.tables.get((table, role), set())
        assert not more, (
            f"{role} may {', '.join(sorted(more))} on public.{table}, and no slice states it: "
            "revoke it in a migration, or state it in the grants.py of the slice that needs it."
        )
    for place, privileges in stated.items():
        assert privileges <= found.get(place, set()), f"{place} is stated and not granted"


async def test_the_service_has_what_slices_state_that_it_needs(database):
    for (table, role), privileges in STATED.tables.items():
        if role not in PEOPLE:
            for privilege in privileges:
                query = "select has_table_privilege($1, $2::text::regclass, $3)"
                assert await database.fetchval(query, role, f"public.{table}", privilege)


@pytest.mark.parametrize("name", discover())
def test_a_slice_states_the_grants_of_what_it_asks_for(name):
    assert missing(name, BY_SLICE.get(name, Grants()), ROOT / "features" / name) == []


def test_a_slice_that_states_nothing_is_named_with_what_to_do(tmp_path):
    (tmp_path / "handler.py").write_text('await db.table("notes").select("*")\ndb.rpc("count")')
    found = missing("read_notes", Grants(), tmp_path)
    assert {sentence.partition(":")[0] for sentence in found} == {
        "features/read_notes asks for the table notes",
        "features/read_notes asks for the rpc count",
    }
    assert "tests/features/read_notes/grants.py" in found[0]


async def test_functions_and_sequences_are_granted_as_written(database):
    rows = await database.fetch(
        """select p.proname as name, r.role from pg_proc p, unnest($1::text[]) as r(role)
           where p.pronamespace = 'public'::regnamespace
             and has_function_privilege(r.role, p.oid, 'EXECUTE')""",
        (*PEOPLE, "service_role"),
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).add(row["role"])
    stated = {name: set(function.roles) for name, function in STATED.functions.items()}
    allowed = {name: set(function.roles) for name, function in ALLOWED.functions.items()}
    for name, roles in found.items():
        more = roles - allowed.get(name, set())
        assert not more, (
            f"{', '.join(sorted(more))} may call public.{name}, and no slice states it: revoke it "
            "in a migration, or state it in the grants.py of the slice that needs it."
        )
    assert {name: found.get(name) for name in stated} == stated
    assert not await database.fetch(
        """select c.relname from pg_class c, unnest($1::text[]) as r(role)
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
             and has_sequence_privilege(r.role, c.oid, 'USAGE')""",
        PEOPLE,
    )


def test_what_slices_state_may_remain_when_they_are_removed():
    assert kit_shipped.FILE.read_text(encoding="utf-8") == kit_shipped.written(), (
        "tests/contract/shipped.json is not up to date: run ./app features --write"
    )


def test_what_was_never_committed_is_forgotten_with_its_migrations(tmp_path):
    def git(*words: str) -> None:
        author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "tests" / "contract" / "shipped.json"
    migrations = tmp_path / "supabase" / "migrations"
    for folder in (file.parent, migrations):
        folder.mkdir(parents=True)
    (migrations / "1_a.sql").touch()
    file.write_text("now")
    assert kit_shipped.before(tmp_path) == "now"
    git("init")
    assert kit_shipped.before(tmp_path) == "now"
    file.write_text("committed")
    git("add", ".")
    git("commit", "-m", "x")
    file.write_text("now")
    assert kit_shipped.before(tmp_path) == "committed"
    (migrations / "2_b.sql").touch()
    assert kit_shipped.before(tmp_path) == "now"
    (migrations / "2_b.sql").unlink()
    assert kit_shipped.before(tmp_path) == "committed"


async def test_each_call_is_answered_as_written(database, supabase, stranger):
    tables = await database.fetch(
        """select relname from pg_class where relnamespace = 'public'::regnamespace
           and relkind in ('r', 'v', 'm', 'p', 'f')"""
    )
    functions = await database.fetch(
        """select distinct proname from pg_proc
           where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype"""
    )
    tokens = {"anon": {}, "authenticated": {"Authorization": f"Bearer {stranger.token}"}}
    for role, headers in tokens.items():
        for (name,) in tables:
            granted = ALLOWED.tables.get((name, role), set())
            url = f"/rest/v1/{name}?id=eq.{NOBODY}"
            read = await supabase.get(url, headers=headers)
            removed = await supabase.delete(url, headers=headers)
            written = await supabase.post(url, headers=headers, json={"id": NOBODY})
            assert read.is_success == ("SELECT" in granted), (name, role)
            assert removed.is_success == ("DELETE" in granted), (name, role)
            assert written.json()["code"] == "42501", (name, role)
        for (name,) in functions:
            stated = ALLOWED.functions[name]
            body = dict(stated.arguments)
            called = await supabase.post(f"/rest/v1/rpc/{name}", headers=headers, json=body)
            if role in stated.roles:
                assert called.is_success, (name, role)
            else:
                assert called.json()["code"] == "42501", (name, role)


async def test_every_table_has_row_security(database):
    assert not await database.fetch(
        """select relname from pg_class where relnamespace = 'public'::regnamespace
           and relkind in ('r', 'p') and not relrowsecurity"""
    )


async def test_a_closed_schema_is_granted_to_nobody(database, closed):
    privileges = await database.fetch(
        """with roles as (select unnest($1::text[]) as role),
             closed as (select oid, nspname from pg_namespace where nspname = any ($2))
           select role, nspname from roles, closed
             where has_schema_privilege(role, oid, 'USAGE')
               or has_schema_privilege(role, oid, 'CREATE')
           union all
           select role, nspname || '.' || relname from roles, closed, pg_class c
             where c.relnamespace = closed.oid and c.relkind in ('r', 'v', 'm', 'p', 'f')
               and (has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                 or has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE'))
           union all
           select role, nspname || '.' || relname from roles, closed, pg_class c
             where c.relnamespace = closed.oid and c.relkind = 'S'
               and has_sequence_privilege(role, c.oid, 'USAGE, SELECT, UPDATE')
           union all
           select role, nspname || '.' || proname from roles, closed, pg_proc p
             where p.pronamespace = closed.oid
               and has_function_privilege(role, p.oid, 'EXECUTE')""",
        (*PEOPLE, "service_role"),
        closed,
    )
    assert [tuple(row) for row in privileges] == []


async def test_a_closed_schema_is_not_served(database, supabase, stranger, stack, closed):
    tables = await database.fetch(
        """select n.nspname as schema, c.relname as name
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1) and c.relkind = 'r'""",
        closed,
    )
    assert {row["schema"] for row in tables} == set(closed)
    people: tuple[dict[str, str], ...] = ({}, {"Authorization": f"Bearer {stranger.token}"})
    for headers in (*people, bearer(stack.gateway.service_key)):
        for schema, name in tables:
            url = f"/rest/v1/{name}"
            read = await supabase.get(url, headers=headers | {"Accept-Profile": schema})
            written = await supabase.post(
                url, json={}, headers=headers | {"Content-Profile": schema}
            )
            plain = await supabase.get(url, headers=headers)
            codes = [answer.json()["code"] for answer in (read, written, plain)]
            assert codes == ["PGRST106", "PGRST106", "PGRST205"], (schema, name)


@pytest.mark.parametrize("role", [*PEOPLE, "service_role"])
async def test_a_closed_schema_is_closed_to_sql(database, role):
    for statement in (
        "select from outbox.events",
        "select outbox.put('post_changed', '[{}]')",
        "select from jobs.runs",
        "insert into jobs.slots values ('a.job', now())",
        "select from archive.events",
        "delete from retention.rules",
    ):
        transaction = database.transaction()
        await transaction.start()
        try:
            await database.execute(f"set local role {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.execute(statement)
        finally:
            await transaction.rollback()


async def test_a12_a_user_cannot_write_what_is_not_the_own_past_the_api(
    attacker, author, stranger, thing, hidden_thing
):
    other = f"/rest/v1/things?id=eq.{thing.id}"
    hidden = f"/rest/v1/things?id=eq.{hidden_thing.id}"
    assert (await attacker.patch(other, json={"title": "Mine now"})).json() == []
    assert (await attacker.get(hidden)).json() == []
    body = {"title": "Forged", "content": "", "author_id": str(author.id)}
    assert (await attacker.post("/rest/v1/things", json=body)).status_code == 403
    own = (await attacker.post("/rest/v1/things", json={"title": "Own", "content": ""})).json()[0]
    assert own["author_id"] == str(stranger.id)
    mine = f"/rest/v1/things?id=eq.{own['id']}"
    for change in (
        {"author_id": str(author.id)},
        {"id": str(thing.id)},
        {"created_at": "2000-01-01T00:00:00Z"},
    ):
        assert (await attacker.patch(mine, json=change)).status_code == 403


async def test_a12_a_user_cannot_write_anothers_profile_past_the_api(attacker, author, database):
    profile = f"/rest/v1/profiles?id=eq.{author.id}"
    assert (await attacker.patch(profile, json={"display_name": "Mallory"})).json() == []
    names = await database.fetch(
        "select display_name from public.profiles where id = $1", author.id
    )
    assert names[0]["display_name"] == author.display_name


async def test_a12_nobody_becomes_an_admin_by_the_own_token(supabase, stranger):
    headers = {"Authorization": f"Bearer {stranger.token}"}
    for body in ({"app_metadata": {"role": "admin"}}, {"role": "service_role"}):
        answer = await supabase.put("/auth/v1/user", json=body, headers=headers)
        user = answer.json()
        assert user.get("app_metadata", {}).get("role") is None
        assert user.get("role", "authenticated") == "authenticated"


async def test_users_read_no_e_mail_address_but_their_own(attacker, stranger):
    rows = (await attacker.get("/rest/v1/profiles?select=*")).json()
    assert [row["id"] for row in rows] == [str(stranger.id)]
    assert "email" not in rows[0]
    me = (await attacker.post("/rest/v1/rpc/me", json={})).json()
    assert [row["id"] for row in me] == [str(stranger.id)]
