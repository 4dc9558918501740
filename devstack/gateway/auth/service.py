"""What all routes of Auth share, and what they read from a request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from starlette.requests import Request

from devstack.gateway.auth.passwords import Passwords
from devstack.gateway.auth.tokens import AccessTokens
from devstack.gateway.config import GatewayConfig
from devstack.gateway.jsonb import speak_json

SECRET_PREFIX = "sb_secret_"  # noqa: S105 - of keys, no secret
Db: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


@dataclass(kw_only=True)
class Service:
    """The components of a running Auth; `pool` is set while it runs."""

    config: GatewayConfig
    tokens: AccessTokens
    passwords: Passwords
    pool: "asyncpg.Pool[asyncpg.Record]" = field(init=False)

    async def open(self) -> None:
        """Connect to the database as `supabase_auth_admin`."""
        self.pool = await asyncpg.create_pool(
            self.config.database_url,
            user="supabase_auth_admin",
            password="postgres",  # noqa: S106 - the CLI's own, local only
            min_size=1,
            max_size=self.config.db_pool_size,
            init=speak_json,
        )

    async def close(self) -> None:
        """Close the connections and stop the threads."""
        await self.pool.close()
        self.passwords.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Db]:
        """One connection in one transaction; an error rolls it back."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    def client_of(self, request: Request) -> dict[str, str | None]:
        """Return `ip` and `user_agent` of the client, as a session stores them.

        The address is the peer's or, as at a hosted project, that of `Sb-Forwarded-For` if
        forwarding is on and the request has a secret key of the newer form.
        """
        found = {"ip": None, "user_agent": request.headers.get("user-agent")}
        candidates = [request.client.host if request.client else ""]
        key, secret = request.headers.get("apikey", ""), self.config.service_key
        if self.config.forwards_addresses and secret.startswith(SECRET_PREFIX) and key == secret:
            candidates.append(request.headers.get("sb-forwarded-for", "").strip())
        for candidate in candidates:
            try:
                found["ip"] = str(ip_address(candidate))
            except ValueError:
                continue
        return found

    def redirect(self, request: Request, wanted: str = "") -> str:
        """Return the final URL of a link: the requested one, if it is on the site."""
        wanted = wanted or request.query_params.get("redirect_to", "")
        return wanted if _origin(wanted) == _origin(self.config.site_url) else self.config.site_url


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


async def insert(db: Db, table: str, **row: Any) -> None:
    """Insert a row into a table of the schema auth; names come only from this package."""
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    statement = f"insert into auth.{table} ({', '.join(row)}) values ({marks})"  # noqa: S608 - see above
    await db.execute(statement, *row.values())


async def update_user(db: Db, user_id: UUID, **row: Any) -> None:
    """Change columns of a user, and with them `updated_at`; names as for `insert`."""
    row["updated_at"] = now()
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(row, 2))
    await db.execute(f"update auth.users set {changes} where id = $1", user_id, *row.values())  # noqa: S608 - see above


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        origin = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None
    return origin
