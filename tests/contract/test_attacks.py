"""A12: what a user tries with the own token, through the API and straight at Supabase.

Each attack is followed by a look behind all of it, at the rows themselves.
"""

from uuid import uuid4

import asyncpg
import httpx
import jwt
import pytest

from kernel.supabase.http import bearer
from kit.people import PASSWORD

ROWS = """
select to_jsonb(u) - array['updated_at', 'last_sign_in_at', 'raw_user_meta_data'] as account,
  to_jsonb(p) as profile,
  (select jsonb_agg(to_jsonb(o) order by o.id) from public.posts o where o.author_id = u.id)
    as posts
from auth.users u join public.profiles p on p.id = u.id where u.id = $1
"""
UNTOUCHABLE = [
    {"id": str(uuid4())},
    {"role": "admin"},
    {"app_metadata": {"role": "admin"}},
    {"author_id": str(uuid4())},
    {"user_id": str(uuid4())},
    {"created_at": "2000-01-01T00:00:00Z"},
    {"email_confirmed_at": "2000-01-01T00:00:00Z"},
]
AUTH_CHANGES = [
    {"app_metadata": {"role": "admin"}},
    {"raw_app_meta_data": {"role": "admin"}},
    {"role": "service_role"},
    {"aud": "service_role"},
    {"id": str(uuid4())},
    {"sub": str(uuid4())},
    {"email_confirm": True, "email_confirmed_at": "2000-01-01T00:00:00Z"},
    {"ban_duration": "none"},
    {"is_super_admin": True},
    {"data": {"role": "admin", "app_metadata": {"role": "admin"}, "sub": str(uuid4())}},
]


@pytest.fixture
async def attacker(supabase, stranger):
    """A plain user who talks to Supabase directly, past the API."""
    headers = dict(supabase.headers) | {
        "Authorization": f"Bearer {stranger.token}",
        "Prefer": "return=representation",
    }
    async with httpx.AsyncClient(base_url=f"{supabase.base_url}", headers=headers) as client:
        yield client


@pytest.fixture
async def rows(database, author, stranger, post, draft, new_post):
    """Reads what is stored of victim and attacker, who both have a post."""
    await new_post(stranger)

    async def read():
        return [dict(await database.fetchrow(ROWS, person.id)) for person in (author, stranger)]

    return read


async def role_of(supabase, person):
    """Return the role in the token of a new login."""
    body = {"email": person.email, "password": PASSWORD}
    session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
    claims = jwt.decode(
        session.raise_for_status().json()["access_token"], options={"verify_signature": False}
    )
    assert claims["sub"] == str(person.id)
    assert claims["role"] == "authenticated"
    return claims["app_metadata"].get("role")


@pytest.mark.parametrize("field", UNTOUCHABLE, ids=lambda field: next(iter(field)))
async def test_a12_the_api_takes_no_field_that_is_not_the_callers(stranger, new_post, rows, field):
    own = await new_post(stranger)
    before = await rows()
    post = {"title": "A title", "content": "", "published": True}
    answers = [
        await stranger.put(f"/users/{stranger.id}", json={"display_name": "Mallory"} | field),
        await stranger.post("/posts", json=post | field),
        await stranger.put(f"/posts/{own.id}", json=post | field),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert await rows() == before


async def test_a12_the_api_changes_and_deletes_nobody_else(stranger, author, rows):
    before = await rows()
    for user_id in (author.id, str(author.id).upper(), author.id.hex, f"{{{author.id}}}"):
        changed = await stranger.put(f"/users/{user_id}", json={"display_name": "Mallory"})
        removed = await stranger.delete(f"/users/{user_id}")
        assert [changed.status_code, removed.status_code] == [403, 403]
    query = {"user_id": str(stranger.id)}
    changed = await stranger.put(f"/users/{author.id}", json={"display_name": "M"}, params=query)
    assert changed.status_code == 403
    assert await rows() == before


async def test_a12_the_api_changes_and_deletes_nobody_elses_post(stranger, post, draft, rows):
    before = await rows()
    body = {"title": "Mallory", "content": "", "published": True}
    for one, status in ((post, 403), (draft, 404)):
        for post_id in (one.id, str(one.id).upper(), one.id.hex, f"{{{one.id}}}"):
            changed = await stranger.put(f"/posts/{post_id}", json=body)
            removed = await stranger.delete(f"/posts/{post_id}")
            assert [changed.status_code, removed.status_code] == [status, status]
    assert await rows() == before


@pytest.mark.parametrize("body", AUTH_CHANGES, ids=lambda body: next(iter(body)))
async def test_a12_auth_takes_nothing_that_makes_more_of_a_user(
    attacker, supabase, stranger, author, rows, body
):
    before = await rows()
    await attacker.put("/auth/v1/user", json=body)
    assert await rows() == before
    assert await role_of(supabase, stranger) is None
    answer = await stranger.delete(f"/users/{author.id}")
    assert answer.status_code == 403


async def test_a12_metadata_of_ones_own_shows_nowhere(attacker, stranger, anonymous):
    await attacker.put("/auth/v1/user", json={"data": {"display_name": "root", "id": "1"}})
    before = (await stranger.get("/users/me")).json()["data"]
    body = {"email": stranger.email, "password": PASSWORD}
    session = (await anonymous.post("/auth/login", json=body)).json()["data"]
    assert session["user"] == before
    assert before["display_name"] == stranger.display_name


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/auth/v1/admin/users", None),
        ("GET", "/auth/v1/admin/users/{victim}", None),
        ("PUT", "/auth/v1/admin/users/{self}", {"app_metadata": {"role": "admin"}}),
        ("PUT", "/auth/v1/admin/users/{victim}", {"password": "mallory's own 1"}),
        ("DELETE", "/auth/v1/admin/users/{victim}", None),
        ("POST", "/auth/v1/admin/generate_link", {"type": "recovery", "email": "{address}"}),
        ("POST", "/auth/v1/admin/users", {"email": "m@example.com", "password": PASSWORD}),
    ],
)
async def test_a12_the_admins_door_of_auth_is_shut(
    attacker, stranger, author, rows, method, path, body
):
    before = await rows()
    path = path.format(victim=author.id, self=stranger.id)
    if body and body.get("email") == "{address}":
        body = body | {"email": author.email}
    answer = await attacker.request(method, path, json=body)
    assert answer.status_code in {401, 403}
    assert author.email not in answer.text
    assert await rows() == before


async def test_a12_a_profile_is_changed_by_its_owner_and_only_its_name(
    attacker, author, stranger, rows
):
    before = await rows()
    own, other = (f"/rest/v1/profiles?id=eq.{person.id}" for person in (stranger, author))
    assert (await attacker.patch(other, json={"display_name": "Mallory"})).json() == []
    for change in ({"id": str(author.id)}, {"id": str(uuid4())}, {"created_at": "2000-01-01"}):
        assert (await attacker.patch(own, json=change)).status_code == 403
        both = {"display_name": "Mallory"} | change
        assert (await attacker.patch(own, json=both)).status_code == 403
    for row in (author.id, stranger.id, uuid4()):
        body = {"id": str(row), "display_name": "Mallory"}
        assert (await attacker.post("/rest/v1/profiles", json=body)).status_code == 403
        upsert = {"Prefer": "resolution=merge-duplicates"}
        answer = await attacker.post("/rest/v1/profiles", json=body, headers=upsert)
        assert answer.status_code == 403
    for url in (own, other):
        assert (await attacker.delete(url)).status_code == 403
    assert await rows() == before


async def test_a12_a_change_without_a_filter_reaches_the_own_rows_alone(
    attacker, author, stranger, rows
):
    before = await rows()
    await attacker.patch("/rest/v1/profiles", json={"display_name": "Everyone"})
    await attacker.patch("/rest/v1/posts", json={"title": "All of them"})
    await attacker.delete("/rest/v1/posts")
    assert (await rows())[0] == before[0]


async def test_a12_no_post_gets_another_author_or_time(attacker, author, post, stranger, rows):
    before = await rows()
    own = f"/rest/v1/posts?author_id=eq.{stranger.id}"
    for change in (
        {"author_id": str(author.id)},
        {"first_published_at": "2000-01-01T00:00:00Z"},
        {"updated_at": "2000-01-01T00:00:00Z"},
    ):
        assert (await attacker.patch(own, json=change)).status_code == 403
        body = {"title": "A title", "content": ""} | change
        assert (await attacker.post("/rest/v1/posts", json=body)).status_code == 403
    upsert = {"Prefer": "resolution=merge-duplicates"}
    body = {"id": str(post.id), "title": "Mine now", "content": ""}
    answer = await attacker.post("/rest/v1/posts", json=body, headers=upsert)
    assert answer.status_code == 403
    assert await rows() == before


SETTINGS = {"site_name": "Mallory's", "announcement": "Hi", "signups_open": False}


@pytest.mark.parametrize("who", ["anon", "a user", "a user whose own metadata says admin"])
async def test_a12_nobody_but_an_admin_changes_the_settings(
    attacker, supabase, stranger, database, who
):
    query = "select to_jsonb(s) from public.settings s"
    before = await database.fetch(query)
    client = supabase if who == "anon" else attacker
    if who == "a user whose own metadata says admin":
        metadata = {"role": "admin", "app_metadata": {"role": "admin"}}
        await attacker.put("/auth/v1/user", json={"data": metadata})
        body = {"email": stranger.email, "password": PASSWORD}
        session = await supabase.post("/auth/v1/token?grant_type=password", json=body)
        token = session.raise_for_status().json()["access_token"]
        assert (
            jwt.decode(token, options={"verify_signature": False})["user_metadata"].items()
            >= metadata.items()
        )
        attacker.headers["Authorization"] = f"Bearer {token}"
    url = "/rest/v1/settings"
    for target in (f"{url}?id=eq.global", f"{url}?id=neq.other"):
        for name, value in SETTINGS.items():
            answer = await client.patch(target, json={name: value})
            assert answer.status_code == 401 if who == "anon" else answer.json() == []
        assert (await client.patch(target, json={"id": "other"})).status_code in {401, 403}
        assert (await client.delete(target)).status_code in {401, 403}
    for headers in ({}, {"Prefer": "resolution=merge-duplicates"}):
        for row in ({"id": "global"} | SETTINGS, {"id": "other"}, {}):
            answer = await client.post(url, json=row, headers=headers)
            assert answer.status_code in {401, 403}
    assert await database.fetch(query) == before


async def test_a12_not_even_the_service_adds_or_removes_settings(supabase, stack, database):
    headers = bearer(stack.gateway.service_key)
    url = "/rest/v1/settings"
    assert (await supabase.delete(f"{url}?id=eq.global", headers=headers)).status_code == 403
    assert (await supabase.post(url, json={"id": "other"}, headers=headers)).status_code == 403
    for statement in ("delete from public.settings", "truncate public.settings"):
        with pytest.raises(asyncpg.RaiseError, match="exactly one row"):
            await database.execute(statement)
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("insert into public.settings (id) values ('other')")


@pytest.mark.parametrize("schema", ["auth", "audit", "identity", "jobs", "outbox", "retention"])
async def test_a12_other_schemas_are_out_of_reach(attacker, schema):
    for headers in ({"Accept-Profile": schema}, {"Content-Profile": schema}):
        for method, table in (("GET", "users"), ("PATCH", "users"), ("GET", "entries")):
            answer = await attacker.request(method, f"/rest/v1/{table}", headers=headers, json={})
            assert answer.status_code >= 400
    assert (await attacker.get(f"/rest/v1/{schema}.users")).status_code == 404


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("account", {"user_id": "{victim}"}),
        ("user_id_of", {"email": "{address}"}),
        ("record_audit", {"action": "login"}),
        ("revoked_sessions", {}),
        ("apply_retention", {"rule": "entries", "batch": 1, "dry_run": True}),
    ],
)
async def test_a12_the_services_functions_are_not_the_users(
    attacker, supabase, author, function, arguments
):
    names = {"{victim}": str(author.id), "{address}": author.email}
    body = {name: names.get(str(value), value) for name, value in arguments.items()}
    for client, status in ((attacker, 403), (supabase, 401)):
        answer = await client.post(f"/rest/v1/rpc/{function}", json=body)
        assert answer.status_code == status
        assert answer.json()["code"] == "42501"
