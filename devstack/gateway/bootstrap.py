"""Prepares a fresh database like a Supabase project before its first migration."""

from pathlib import Path

import asyncpg

_SQL = Path(__file__).with_name("bootstrap.sql").read_text(encoding="utf-8")


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Create roles, the schema auth and the default grants; needs a superuser.

    It can be repeated, also while other databases of the same cluster are prepared. The default
    grants apply to objects that the connected role creates, so migrations run as that role.
    """
    async with connection.transaction():
        await connection.execute(_SQL)
