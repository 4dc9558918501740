"""What is allowed, written down; whatever else is allowed in the database was forgotten.

The local stack has Supabase's permissive default grants, so an object whose migration forgets a
REVOKE shows here.
"""

import asyncpg
import httpx
import pytest

from kernel.supabase.http import bearer

PEOPLE = ("anon", "authenticated")
TABLES = {
    ("profiles", "authenticated"): {"SELECT", "UPDATE(display_name)"},
    ("posts", "anon"): {"SELECT"},
    ("posts", "authenticated"): {
        "SELECT",
        "INSERT(content)",
        "INSERT(published)",
        "INSERT(title)",
        "UPDATE(content)",
        "UPDATE(published)",
        "UPDATE(title)",
        "DELETE",
    },
    ("settings", "anon"): {"SELECT"},
    ("settings", "authenticated"): {
        "SELECT",
        "UPDATE(announcement)",
        "UPDATE(signups_open)",
        "UPDATE(site_name)",
    },
}
NOBODY = "00000000-0000-4000-8000-000000000000"
SERVICE = {"service_role"}
FUNCTIONS = {
    "alive": {"anon", "authenticated", "service_role"},
    "list_posts": {"anon", "authenticated", "service_role"},
    "me": {"authenticated"},
    "account": SERVICE,
    # The relay's.
    "claim_events": SERVICE,
    "settle_events": SERVICE,
    "lost_runs": SERVICE,
    # Beat's.
    "put_slot": SERVICE,
    # The worker's.
    "begin_run": SERVICE,
    "extend_run": SERVICE,
    "finish_run": SERVICE,
    "release_runs": SERVICE,
    "close_run": SERVICE,
    # Sessions and the audit log.
    "revoked_sessions": SERVICE,
    "session_started": SERVICE,
    "user_id_of": SERVICE,
    "request_password_reset": SERVICE,
    "credentials_of": SERVICE,
    "address_confirmed": SERVICE,
    # Tokens in mails.
    "request_confirmation": SERVICE,
    "request_email_change": SERVICE,
    "issue_mailed_token": SERVICE,
    "issue_notice": SERVICE,
    "email_change_from": SERVICE,
    "take_mailed_token": SERVICE,
    "settle_mailed_token": SERVICE,
    "record_audit": SERVICE,
    # The metrics'.
    "operations": SERVICE,
    # The daily cleanup's.
    "retention_rules": SERVICE,
    "apply_retention": SERVICE,
}
RUN = {"run_id": NOBODY, "job": "a.job", "event_id": 0, "item": 0}
ARGUMENTS = {
    "list_posts": {"page": 1, "page_size": 1, "published_only": True},
    "account": {"user_id": NOBODY},
    "claim_events": {"batch": 0, "lease_seconds": 0, "with_drops": True, "with_jobs": True},
    "settle_events": {"claim": NOBODY, "results": [], "runs": []},
    "lost_runs": {"untouched_seconds": 1, "batch": 0},
    "put_slot": {"job": "a.job", "slot": "2000-01-01T00:00:00Z"},
    "begin_run": RUN | {"holder": "me", "lease_seconds": 0, "max_attempts": 0},
    "extend_run": {"run_id": NOBODY, "holder": "me", "lease_seconds": 0},
    "finish_run": {
        "run_id": NOBODY,
        "holder": "me",
        "state": "failed",
        "error": None,
        "duration_ms": 0,
    },
    "release_runs": {"holder_prefix": "me", "counts": False},
    "close_run": RUN | {"state": "failed", "error": None},
    "session_started": {"session_id": NOBODY},
    "user_id_of": {"email": "nobody@example.com"},
    "record_audit": {"action": "login"},
    "request_password_reset": {"email": "nobody@example.com"},
    "credentials_of": {"user_id": NOBODY},
    "address_confirmed": {"email": "nobody@example.com"},
    "request_confirmation": {"email": "nobody@example.com", "created": True},
    "request_email_change": {"user_id": NOBODY, "email": "nobody@example.com"},
    "issue_mailed_token": {"request": NOBODY, "token": NOBODY, "hash": ""},
    "issue_notice": {"notice": NOBODY, "token": NOBODY, "hash": ""},
    "email_change_from": {"request": NOBODY},
    "take_mailed_token": {"token": NOBODY, "hash": "", "purpose": "signup"},
    "settle_mailed_token": {"token": NOBODY, "used": False},
    "apply_retention": {"rule": "events", "batch": 0, "dry_run": True},
}
# Nobody's but the functions': not even the service reads or writes there directly.
CLOSED = ("outbox", "jobs", "archive", "retention", "identity", "audit")


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
    assert found == TABLES


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
    assert found == FUNCTIONS
    assert not await database.fetch(
        """select c.relname from pg_class c, unnest($1::text[]) as r(role)
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
             and has_sequence_privilege(r.role, c.oid, 'USAGE')""",
        PEOPLE,
    )


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
            granted = TABLES.get((name, role), set())
            url = f"/rest/v1/{name}?id=eq.{NOBODY}"
            read = await supabase.get(url, headers=headers)
            removed = await supabase.delete(url, headers=headers)
            written = await supabase.post(url, headers=headers, json={"id": NOBODY})
            assert read.is_success == ("SELECT" in granted), (name, role)
            assert removed.is_success == ("DELETE" in granted), (name, role)
            assert written.json()["code"] == "42501", (name, role)
        for (name,) in functions:
            body = ARGUMENTS.get(name, {})
            called = await supabase.post(f"/rest/v1/rpc/{name}", headers=headers, json=body)
            if role in FUNCTIONS[name]:
                assert called.is_success, (name, role)
            else:
                assert called.json()["code"] == "42501", (name, role)


async def test_every_table_has_row_security(database):
    assert not await database.fetch(
        """select relname from pg_class where relnamespace = 'public'::regnamespace
           and relkind in ('r', 'p') and not relrowsecurity"""
    )


async def test_a_closed_schema_is_granted_to_nobody(database):
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
        CLOSED,
    )
    assert [tuple(row) for row in privileges] == []
    found = await database.fetch(
        "select nspname from pg_namespace where nspname = any ($1)", CLOSED
    )
    assert len(found) == len(CLOSED)


async def test_a_closed_schema_is_not_served(database, supabase, stranger, stack):
    tables = await database.fetch(
        """select n.nspname as schema, c.relname as name
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1) and c.relkind = 'r'""",
        CLOSED,
    )
    assert {row["schema"] for row in tables} == set(CLOSED)
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


@pytest.fixture
async def attacker(supabase, stranger):
    """A plain user who talks to PostgREST directly, past the API."""
    headers = dict(supabase.headers) | {
        "Authorization": f"Bearer {stranger.token}",
        "Prefer": "return=representation",
    }
    async with httpx.AsyncClient(base_url=f"{supabase.base_url}", headers=headers) as client:
        yield client


async def test_a12_a_user_cannot_write_what_is_not_the_own_past_the_api(
    attacker, author, stranger, post, draft, database
):
    other = f"/rest/v1/posts?id=eq.{post.id}"
    hidden = f"/rest/v1/posts?id=eq.{draft.id}"
    assert (await attacker.patch(other, json={"title": "Mine now"})).json() == []
    assert (await attacker.delete(other)).json() == []
    assert (await attacker.get(hidden)).json() == []
    body = {"title": "Forged", "content": "", "author_id": str(author.id)}
    assert (await attacker.post("/rest/v1/posts", json=body)).status_code == 403
    own = (await attacker.post("/rest/v1/posts", json={"title": "Own", "content": ""})).json()[0]
    assert own["author_id"] == str(stranger.id)
    mine = f"/rest/v1/posts?id=eq.{own['id']}"
    for change in (
        {"author_id": str(author.id)},
        {"id": str(post.id)},
        {"created_at": "2000-01-01T00:00:00Z"},
    ):
        assert (await attacker.patch(mine, json=change)).status_code == 403
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


async def test_e_mail_addresses_are_nobody_elses_business(attacker, stranger):
    rows = (await attacker.get("/rest/v1/profiles?select=*")).json()
    assert "email" not in rows[0]
    me = (await attacker.post("/rest/v1/rpc/me", json={})).json()
    assert [row["id"] for row in me] == [str(stranger.id)]
