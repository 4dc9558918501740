"""A separate stack for a test file, without our processes: only the test relays its events.

`own_database` is a database with a gateway in front of it. `own_stack` also has a cache and a
broker, which tests may kill and freeze. All are empty when a test begins.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import svcs

from devstack.testing import GatewayConfig, GatewayThread
from kernel.boot.services import register_services
from kernel.config.settings import Settings
from kernel.feature import Feature
from kernel.supabase import AsService, SupabaseHttp
from kit.people import PASSWORD, new_email
from kit.servers import make_database, refuse_remote, shut
from kit.valkeys import Valkey

_EMPTY = """
do $$
begin
  if to_regclass('public.settings') is not null then  -- the application's one row
    update public.settings
    set site_name = default, announcement = default, signups_open = default;
  end if;
end $$;
delete from auth.users;
delete from jobs.runs;
delete from jobs.dead_letters;
delete from jobs.slots;
delete from outbox.events;
"""


class OwnDatabase:
    """The parts, and operations on them; `sql` is a superuser's connection, past all APIs."""

    def __init__(self, url: str, gateway: GatewayThread, sql: Any, folder: Path) -> None:
        self.url, self.gateway, self.sql = url, gateway, sql
        self.cache = Valkey(folder / "cache", keeps=False)
        self.broker = Valkey(folder / "broker", keeps=True)

    @property
    def settings(self) -> Settings:
        """The settings of a process that uses this stack."""
        return Settings.model_validate(
            {
                "supabase_url": self.gateway.url,
                "supabase_key": self.gateway.config.anon_key,
                "supabase_service_key": self.gateway.config.service_key,
                "jwt_secret": self.gateway.config.jwt_secret,
                "redis_host": "127.0.0.1",
                "redis_port": self.cache.port,
                "broker_host": "127.0.0.1",
                "broker_port": self.broker.port,
                "app_env": "test",
            }
        )

    @contextlib.asynccontextmanager
    async def services(
        self, features: Mapping[str, Feature] | None = None
    ) -> AsyncIterator[svcs.Registry]:
        """Register the services of a process that uses this stack."""
        async with svcs.Registry() as registry:
            register_services(registry, self.settings, features or {})
            yield registry

    @contextlib.asynccontextmanager
    async def as_service(self) -> AsyncIterator[AsService]:
        """Call the database through the gateway with the secret key."""
        async with SupabaseHttp(self.settings) as http:
            yield AsService(http)

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Let only `sql` connect to the database, as if its server were down."""
        async with shut(self.sql):
            yield

    async def user(self, *, confirmed: bool = False) -> UUID:
        """Store a user, without Supabase Auth."""
        found = await self.sql.fetchval(
            "insert into auth.users (id, email, email_confirmed_at) "
            "values (gen_random_uuid(), $1, case when $2 then now() end) returning id",
            new_email(),
            confirmed,
        )
        return UUID(str(found))

    async def thing(self, author: UUID, *, published: bool = True) -> UUID:
        """Store a thing, without any API."""
        found = await self.sql.fetchval(
            "insert into public.things (title, content, published, author_id) "
            "values ('A thing', '', $1, $2) returning id",
            published,
            author,
        )
        return UUID(str(found))

    async def sign_up(self, role: str | None = None) -> tuple[UUID, str]:
        """Sign a user up at Supabase Auth, as an admin on request; return id and token."""
        body = {"email": new_email(), "password": PASSWORD}
        headers = {"apikey": self.gateway.config.anon_key}
        async with httpx.AsyncClient(base_url=f"{self.gateway.url}/auth/v1", headers=headers) as at:
            session = (await at.post("/signup", json=body)).raise_for_status().json()
            if role is not None:
                await self.sql.execute(
                    "update auth.users set raw_app_meta_data = raw_app_meta_data || $2 "
                    "where id = $1",
                    session["user"]["id"],
                    {"role": role},
                )
                again = await at.post("/token?grant_type=password", json=body)
                session = again.raise_for_status().json()
        return UUID(session["user"]["id"]), session["access_token"]

    async def put(self, topic: str, *items: Mapping[str, object]) -> int:
        """Put one event into the outbox, without a table; return its id."""
        await self.sql.execute("select outbox.put($1, $2)", topic, items)
        return int(await self.sql.fetchval("select max(id) from outbox.events"))

    async def events(self, topic: str | None = None) -> list[asyncpg.Record]:
        """Return the outbox, oldest first."""
        return list(
            await self.sql.fetch(
                "select * from outbox.events where topic = coalesce($1, topic) order by id", topic
            )
        )

    async def forget(self) -> None:
        """Empty the outbox, so that tests see only later events."""
        await self.sql.execute("delete from outbox.events")


@pytest.fixture(scope="module")
async def _own(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OwnDatabase]:
    url = await make_database(postgres_url, f"own_{uuid4().hex}")
    refuse_remote(url)
    config = GatewayConfig(
        database_url=url, public_url="http://127.0.0.1", mail_interval=0, bcrypt_rounds=4
    )
    sql = await asyncpg.connect(url)
    await sql.set_type_codec(
        "jsonb",
        encoder=partial(json.dumps, default=str),
        decoder=json.loads,
        schema="pg_catalog",
    )
    with GatewayThread(config) as gateway:
        yield OwnDatabase(url, gateway, sql, tmp_path_factory.mktemp("own"))
    await sql.close()
    maintenance = await asyncpg.connect(postgres_url)
    await maintenance.execute(f'drop database "{url.rpartition("/")[2]}" with (force)')
    await maintenance.close()


@pytest.fixture(scope="module")
async def _own_valkeys(_own: OwnDatabase) -> AsyncIterator[None]:
    await _own.cache.start()
    await _own.broker.start()
    yield
    for server in (_own.cache, _own.broker):
        server.kill()
        server.client.close()


@pytest.fixture
async def own_database(_own: OwnDatabase) -> OwnDatabase:
    """A separate database for this file, emptied, and a gateway."""
    await _own.sql.execute(_EMPTY)
    return _own


@pytest.fixture
async def own_stack(own_database: OwnDatabase, _own_valkeys: None) -> OwnDatabase:
    """The same, with servers for cache and broker, emptied."""
    for server in (own_database.cache, own_database.broker):
        server.client.flushall()
    return own_database
