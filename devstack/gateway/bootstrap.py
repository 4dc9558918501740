"""Prepares a fresh database like a Supabase project before its first migration."""

from pathlib import Path

import asyncpg

_SQL = [
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("bootstrap.sql", "bootstrap_storage.sql")
]


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Create roles, the schemas auth and storage, and the default grants; needs a superuser.

    It can be repeated, also while other databases of the same cluster are prepared. The default
    grants apply to objects that the connected role creates, so migrations run as that role.
    """
    async with connection.transaction():
        for sql in _SQL:
            await connection.execute(sql)
