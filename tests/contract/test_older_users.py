"""O6: a project whose users are older than the first migration of this application."""

import json
from functools import partial
from uuid import uuid4

import asyncpg
import bcrypt
import httpx
import pytest

from devstack.testing import GatewayConfig, GatewayThread, prepare
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.web.routing import PREFIX
from kit.application import running
from kit.people import PASSWORD
from kit.servers import MIGRATIONS, make_database
from migrate import migrate

USER = """
insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at,
  raw_app_meta_data, raw_user_meta_data, created_at, confirmation_token, recovery_token,
  email_change_token_new, email_change)
values ($1, 'authenticated', 'authenticated', $2, $3, $4::timestamptz, $5, $6, $4::timestamptz,
  '', '', '', '')
"""
NAMES = {
    "Ada Lovelace": "Ada Lovelace",
    "  two\nlines ": "two lines",
    "x" * 100: "x" * 80,
    "": None,
    None: None,
    7: "7",
}


@pytest.fixture
async def older(postgres_url):
    """Users by the name in their metadata, and a gateway to the migrated database."""
    url = await make_database(postgres_url, f"older_{uuid4().hex}", template="template0")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    sql = await asyncpg.connect(url)
    encoder = partial(json.dumps, default=str)
    await sql.set_type_codec("jsonb", encoder=encoder, decoder=json.loads, schema="pg_catalog")
    await prepare(sql)
    users = {}
    for number, name in enumerate(NAMES):
        user_id, email = uuid4(), f"older{number}@example.com"
        data = None if name is None else {"display_name": name}
        since = await sql.fetchval("select now() - interval '1 year'")
        await sql.execute(USER, user_id, email, hashed, since, {"provider": "email"}, data)
        users[name] = user_id, email
    await migrate(url, MIGRATIONS)
    config = GatewayConfig(
        database_url=url, public_url="http://127.0.0.1", mail_interval=0, bcrypt_rounds=4
    )
    with GatewayThread(config) as gateway:
        yield sql, gateway, users
    await sql.close()
    maintenance = await asyncpg.connect(postgres_url)
    await maintenance.execute(f'drop database "{url.rpartition("/")[2]}" with (force)')
    await maintenance.close()


async def test_o6_users_older_than_the_migrations_are_users_like_others(older, settings):
    sql, gateway, users = older
    rows = await sql.fetch("select id, display_name, created_at < now() as old from profiles")
    assert {row["id"]: row["display_name"] for row in rows} == {
        users[given][0]: stored for given, stored in NAMES.items()
    }
    assert all(row["old"] for row in rows)
    user_id, email = users["Ada Lovelace"]
    change = {"supabase_url": gateway.url, "supabase_key": gateway.config.anon_key}
    change |= {"supabase_service_key": gateway.config.service_key}
    own = settings.model_validate(settings.model_dump() | change)
    async with httpx.AsyncClient(headers={"apikey": gateway.config.anon_key}) as auth:
        session = await auth.post(
            f"{gateway.url}/auth/v1/token?grant_type=password",
            json={"email": email, "password": PASSWORD},
        )
    token = session.raise_for_status().json()["access_token"]
    app = create_app(own, discover())
    reads = [
        path.removeprefix(PREFIX).format(user_id=user_id)
        for path, methods in app.openapi()["paths"].items()
        if "get" in methods
        and not path.replace("{user_id}", "").count("{")
        # A stream of events does not end.
        and "text/event-stream" not in methods["get"]["responses"]["200"]["content"]
    ]
    assert reads
    async with running(app) as client, client(token) as me:
        for path in reads:
            answer = await me.get(path)
            # 403: only admins may call it.
            assert answer.status_code in {200, 202, 403}, f"GET {path}: {answer.text}"
