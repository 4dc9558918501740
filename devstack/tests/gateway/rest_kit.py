"""A fresh database with the recording's schema, and the PostgREST part of the gateway over it."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import jwt

from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest import RestApi

RECORDINGS = Path(__file__).parent / "recordings"
SCHEMA = (RECORDINGS / "postgrest_schema.sql").read_text(encoding="utf-8")
ADA = "11111111-1111-4111-8111-111111111111"
GRACE = "22222222-2222-4222-8222-222222222222"
_STRANGER = "another-secret-that-is-not-ours-but-as-long-as-ours"


@asynccontextmanager
async def fresh_database(postgres_url: str) -> AsyncIterator[str]:
    """Create an empty database on the server and drop it afterwards; yields its DSN."""
    name = f"contract_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres_url)
    try:
        await server.execute(f'create database "{name}" template template0')
        try:
            yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        finally:
            await server.execute(f'drop database "{name}" with (force)')
    finally:
        await server.close()


async def execute(dsn: str, sql: str) -> None:
    """Run SQL as the superuser."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def load_schema(dsn: str) -> None:
    """Prepare the roles, and create the recording's schema with only its own grants."""
    connection = await asyncpg.connect(dsn)
    try:
        await prepare(connection)
        for kind in ("tables", "functions", "sequences"):
            await connection.execute(
                f"alter default privileges in schema public revoke all on {kind} "
                "from anon, authenticated, service_role"
            )
        await connection.execute(SCHEMA)
    finally:
        await connection.close()


@asynccontextmanager
async def serve(config: GatewayConfig) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the gateway's REST part that sends no key by itself."""
    async with (
        RestApi(config) as api,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=api), base_url="http://rest.test"
        ) as client,
    ):
        yield client


def token(config: GatewayConfig, who: str) -> str | None:
    """Return the bearer token of `who`, as the recording names people; None for anon."""
    if who in {"anon", "garbage", "service"}:
        return {"anon": None, "garbage": "garbage", "service": config.service_key}[who]
    now = int(time.time())
    claims: dict[str, str | int] = {
        "sub": GRACE if who == "grace" else ADA,
        "role": "authenticated",
        "exp": now + 600,
    }
    match who:
        case "unknown_role":
            claims["role"] = "nobody"
        case "expired":
            claims["exp"] = now - 600
        case "not_yet":
            claims["nbf"] = now + 300
        case "no_role":
            del claims["role"]
    secret = _STRANGER if who == "bad_signature" else config.jwt_secret
    return jwt.encode(claims, secret, algorithm="HS256")


def headers(config: GatewayConfig, who: str) -> dict[str, str]:
    """Return the key and the token of `who`, as a Supabase client sends them."""
    bearer = token(config, who)
    key = config.service_key if who == "service" else config.anon_key
    return {"apikey": key} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
