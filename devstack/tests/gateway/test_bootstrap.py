"""A prepared database, as migrations expect it."""

import asyncio
import json
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from devstack.gateway.bootstrap import prepare


async def test_databases_can_be_prepared_at_the_same_time_and_again(postgres_url):
    server = await asyncpg.connect(postgres_url)
    names = [f"auth_{uuid4().hex}" for _ in range(3)]
    try:
        for name in names:
            await server.execute(f"create database {name}")

        async def make_ready(name: str) -> None:
            connection = await asyncpg.connect(
                urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
            )
            await prepare(connection)
            await connection.close()

        await asyncio.gather(*(make_ready(name) for name in [*names, *names]))
    finally:
        for name in names:
            await server.execute(f"drop database if exists {name} with (force)")
        await server.close()


async def test_the_database_knows_its_caller(auth):
    claims = {"sub": str(uuid4()), "role": "authenticated", "email": "ada@example.com"}
    query = "select auth.uid()::text as sub, auth.role() as role, auth.email() as email"
    for role in ("anon", "authenticated", "service_role"):
        async with auth.database.transaction():
            await auth.database.execute(f"set local role {role}")
            assert set((await auth.database.fetchrow(query)).values()) == {None}
            await auth.database.execute(
                "select set_config('request.jwt.claims', $1, true)", json.dumps(claims)
            )
            assert dict(await auth.database.fetchrow(query)) == claims
            assert await auth.database.fetchval("select auth.jwt() ->> 'sub'") == claims["sub"]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with auth.database.transaction():
                    await auth.database.fetch("select * from auth.users")


async def test_new_objects_in_public_are_open_as_on_supabase_but_not_to_auth(auth):
    await auth.database.execute("create table if not exists public.things (id int)")
    granted = {
        role: await auth.database.fetchval(
            "select has_table_privilege($1, 'public.things', 'select, insert, update, delete')",
            role,
        )
        for role in ("anon", "authenticated", "service_role", "supabase_auth_admin")
    }
    assert granted == {
        "anon": True,
        "authenticated": True,
        "service_role": True,
        "supabase_auth_admin": False,
    }
