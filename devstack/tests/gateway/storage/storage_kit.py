"""A database with policies for files, the Storage part of the gateway over it, and its clients."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import jwt
from starlette.applications import Starlette
from starlette.routing import Mount
from storage3 import AsyncStorageClient

from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import GatewayConfig
from devstack.gateway.storage import StorageServer
from devstack.tests.gateway.rest_kit import ADA, GRACE, fresh_database

URL = "http://storage.test/storage/v1"
# A user reads and writes below a folder that has the user's id.
POLICIES = """
create policy own_files on storage.objects to authenticated
  using ((storage.foldername(name))[1] = auth.uid()::text)
  with check ((storage.foldername(name))[1] = auth.uid()::text);
"""
__all__ = ["ADA", "GRACE"]


@dataclass
class Storage:
    """A running Storage; `database` is the superuser's connection."""

    config: GatewayConfig
    database: asyncpg.Connection
    http: httpx.AsyncClient
    folder: Path

    def client(self, user: str | None = None) -> AsyncStorageClient:
        """Return storage3's client of a user; without one of the service."""
        return AsyncStorageClient(f"{URL}/", self.headers(user), http_client=self.http)

    def headers(self, user: str | None = None) -> dict[str, str]:
        token = self.config.service_key if user is None else self.token(user)
        return {"apikey": self.config.anon_key, "Authorization": f"Bearer {token}"}

    def token(self, user: str, **claims: Any) -> str:
        claims = {"sub": user, "role": "authenticated", "exp": int(time.time()) + 600, **claims}
        return jwt.encode(claims, self.config.jwt_secret, algorithm="HS256")

    async def bucket(self, **options: Any) -> str:
        """Create a bucket and return its name."""
        name = f"bucket-{uuid4().hex[:12]}"
        body = {"name": name, **options}
        created = await self.http.post("/bucket", json=body, headers=self.headers())
        assert created.status_code == 200, created.text
        return name

    def stored(self) -> set[str]:
        """Return the versions that are on disk."""
        return {path.name for path in (self.folder / "objects").iterdir()}

    async def versions(self) -> set[str]:
        """Return the versions that have a row."""
        rows = await self.database.fetch("select version from storage.objects")
        return {row["version"] for row in rows}


@asynccontextmanager
async def storage_server(
    postgres_url: str, folder: Path, **settings: Any
) -> AsyncIterator[Storage]:
    async with fresh_database(postgres_url) as dsn:
        database = await asyncpg.connect(dsn)
        await prepare(database)
        await database.execute(POLICIES)
        config = GatewayConfig(
            database_url=dsn,
            public_url="http://storage.test",
            storage_folder=str(folder),
            **settings,
        )
        async with StorageServer(config) as server:
            app = Starlette(routes=[Mount("/storage/v1", app=server)])
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=URL) as http:
                yield Storage(config, database, http, folder)
        await database.close()
