"""A12: what users try with their own token, through the API and directly at Supabase.

After each attack, the test compares the stored rows.
"""

from uuid import uuid4

import jwt
import pytest

from kit.people import PASSWORD

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


@pytest.mark.parametrize("body", AUTH_CHANGES, ids=lambda body: next(iter(body)))
async def test_a12_auth_accepts_nothing_that_raises_a_users_privileges(
    attacker, supabase, stranger, author, rows, body
):
    before = await rows()
    await attacker.put("/auth/v1/user", json=body)
    assert await rows() == before
    assert await role_of(supabase, stranger) is None
    assert (await stranger.get("/rule")).status_code == 403


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
async def test_a12_auths_admin_endpoints_refuse_users(
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
        ("claim_events", {"batch": 1, "lease_seconds": 0, "with_drops": True, "with_jobs": True}),
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


async def test_a12_a_change_without_a_filter_reaches_the_own_rows_alone(
    attacker, author, stranger, rows
):
    before = await rows()
    await attacker.patch("/rest/v1/profiles", json={"display_name": "Everyone"})
    await attacker.patch("/rest/v1/things", json={"title": "All of them"})
    assert (await rows())[0] == before[0]
